"""The command `spans`."""

import argparse
import sys

from spans.errors import SpanError
from spans.span import Span


class Add(argparse.Action):
    """Adds its values up as they come."""

    def __call__(self, parser, namespace, values, option_string=None):
        total = Span(0)
        for value in values:
            total = total + Span.of(value)
        setattr(namespace, self.dest, total)


class Command(argparse.ArgumentParser):
    """The command's parser."""

    def __init__(self):
        super().__init__(prog="spans", description=__doc__, allow_abbrev=False)
        self.add_argument("total", metavar="span", nargs="+", action=Add)
        self.add_argument("--seconds", action="store_true", default=False)

    def run(self, words=None):
        """The exit code."""
        try:
            options = self.parse_args(words)
        except SpanError as error:
            self._print_message(f"{self.prog}: {error}\n", sys.stderr)
            return 2
        self._print_message(f"{options.total.seconds if options.seconds else options.total}\n", sys.stdout)
        return 0

    def exit_with_result(self):
        """End the process."""
        self.exit(self.run())


def main(words=None):
    """What the installed script calls."""
    return Command().run(words)
