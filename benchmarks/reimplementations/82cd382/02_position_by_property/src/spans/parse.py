"""Reading durations such as `1h 30m`."""

import re

from spans.errors import SpanError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def parse(text):
    """Seconds in a duration such as `1h 30m`. Raises SpanError."""
    if not text or text.isspace():
        raise SpanError("", text)
    total, rest = 0, text
    while rest:
        token = TOKEN.match(rest)
        stopped = len(text) - len(rest)
        if token is None:
            raise SpanError(text[:stopped], rest)
        try:
            total += float(token[1]) * SECONDS[token[2]]
        except KeyError as error:
            stopped += token.start(2)
            raise SpanError(text[:stopped], text[stopped:]) from error
        rest = rest[token.end() :]
    return int(total) if float(total).is_integer() else total
