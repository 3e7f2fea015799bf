"""Sum durations."""

import contextlib
import io
import sys
from argparse import REMAINDER, ArgumentParser

from .errors import SpanError
from .span import Span


def _sum(texts):
    total = None
    for text in texts:
        span = Span.of(text)
        total = span if total is None else total + span
    return total


def main(args=None):
    """Print the sum of durations."""
    parser = ArgumentParser(prog="spans")
    parser.add_argument("--seconds", action="store_true")
    parser.add_argument("first")
    parser.add_argument("others", nargs="*")
    found = parser.parse_args(args)
    out = io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out):
        try:
            total = _sum([found.first, *found.others])
            print(f"{total.seconds}" if found.seconds else f"{total}")
        except SpanError as error:
            status = 2
            sys.stderr.write(f"error: {error!s}\n")
    sys.stdout.write(out.getvalue())
    return status
