"""The command line."""

import argparse
import sys
from functools import reduce
from operator import add

from spans.errors import SpanError
from spans.span import Span


def _parser():
    parser = argparse.ArgumentParser("spans", description="Add durations up.")
    parser.add_argument("-s", "--seconds", dest="show", action="store_const", const=lambda span: str(span.seconds))
    parser.add_argument("spans", metavar="SPAN", nargs="+")
    parser.set_defaults(show=str)
    return parser


class Application:
    """One run of the command."""

    def __init__(self, words=None):
        self.options = _parser().parse_args(words)

    def run(self):
        """Print the sum, or what is wrong; the exit code."""
        try:
            total = reduce(add, map(Span.of, self.options.spans))
        except SpanError as error:
            print(f"spans: error: {error}", file=sys.stderr)
            return 2
        print(self.options.show(total))
        return 0


def main(words=None):
    """The command's entry point."""
    return Application(words).run()
