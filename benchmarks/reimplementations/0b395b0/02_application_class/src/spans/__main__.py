"""Run the command."""

import sys

from spans.cli import Application

if __name__ == "__main__":
    sys.exit(Application(sys.argv[1:]).run())
