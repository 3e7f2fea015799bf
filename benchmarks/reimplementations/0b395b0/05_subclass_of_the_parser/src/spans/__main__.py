"""`python -m spans`."""

from spans.cli import Command

Command().exit_with_result()
