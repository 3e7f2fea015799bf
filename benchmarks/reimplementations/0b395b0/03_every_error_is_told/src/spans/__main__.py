import sys

import spans.cli

if __name__ == "__main__":
    code = spans.cli.main(sys.argv[1:])
    sys.exit(code)
