"""Sums of durations."""

import itertools
import os
import sys

from spans.errors import SpanError
from spans.span import Span


def total(texts):
    """The sum of the spans in some texts."""
    spans = (Span.of(text) for text in texts)
    *_, last = itertools.accumulate(itertools.chain([Span(0)], spans))
    return last


def main(arguments=None):
    """Print a sum."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_seconds = False
    texts = []
    for argument in arguments:
        if argument == "--seconds":
            as_seconds = True
        elif argument.startswith("-"):
            print("usage: spans [--seconds] span [span ...]", file=sys.stderr)
            sys.exit(2)
        else:
            texts.append(argument)
    if not texts:
        print("spans: at least one span is needed", file=sys.stderr)
        sys.exit(2)
    try:
        result = total(texts)
    except SpanError as error:
        print("spans:", *error.args, file=sys.stderr)
        return os.EX_USAGE - 62
    print(result.seconds if as_seconds else result, flush=True)
    return os.EX_OK
