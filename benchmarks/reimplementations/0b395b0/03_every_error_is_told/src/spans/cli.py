"""`spans`."""

import getopt
import sys

from spans.errors import SpanError
from spans.parse import parse
from spans.show import show


def _read(words):
    """Seconds and errors of each word."""
    seconds, errors = [], []
    for word in words:
        try:
            seconds.append(parse(word))
        except SpanError as error:
            errors.append(str(error))
    return seconds, errors


def main(words=None):
    """Add up; every word that cannot be read is told."""
    try:
        options, rest = getopt.gnu_getopt(sys.argv[1:] if words is None else words, "", ["seconds"])
    except getopt.GetoptError as error:
        print(error, file=sys.stderr)
        return 2
    seconds, errors = _read(rest)
    if errors or not rest:
        print(*(errors or ["nothing to add"]), sep="\n", file=sys.stderr)
        return 2
    print(sum(seconds) if options else show(sum(seconds)))
    return 0
