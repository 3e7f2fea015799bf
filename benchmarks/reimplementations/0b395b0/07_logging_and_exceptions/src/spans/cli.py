"""`spans`: durations on the command line."""

import argparse
import logging
import sys

from spans.errors import SpanError
from spans.span import Span

log = logging.getLogger("spans")


class Failure(Exception):
    """The command ends with a code."""

    code = 2


def _spans(texts):
    for number, text in enumerate(texts, 1):
        try:
            yield Span.of(text)
        except SpanError as error:
            raise Failure(f"argument {number} is not a duration: {text}") from error


def _run(options):
    total = sum(_spans(options.span), start=Span(0))
    return str(total.seconds) if options.seconds else str(total)


def main(arguments=None):
    """Print the sum of the durations given; 2 when one cannot be read."""
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    parser = argparse.ArgumentParser(prog="spans")
    parser.add_argument("span", nargs="+")
    parser.add_argument("--seconds", action="store_true", help="print plain seconds")
    try:
        print(_run(parser.parse_args(arguments)))
    except Failure as failure:
        log.error("%s", failure)
        return failure.code
    finally:
        log.removeHandler(handler)
    return 0
