"""`python -m spans`."""

import sys

from spans.cli import main

sys.exit(main())
