import runpy
import sys

from spans import cli

if __name__ == "__main__":
    sys.exit(cli.main(tuple(sys.argv[1:])))
