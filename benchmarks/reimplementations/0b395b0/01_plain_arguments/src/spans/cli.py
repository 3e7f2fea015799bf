"""The command `spans`."""

import sys

from spans import Span, SpanError

USAGE = "usage: spans [--seconds] SPAN..."


def main(argv=None):
    """Add durations up. Returns the exit code: 0, or 2 for what cannot be read."""
    words = list(sys.argv[1:] if argv is None else argv)
    plain = "--seconds" in words
    texts = [word for word in words if word != "--seconds"]
    if not texts or any(text.startswith("--") for text in texts):
        sys.stderr.write(USAGE + "\n")
        return 2
    total = Span(0)
    for text in texts:
        try:
            total += Span.of(text)
        except SpanError as error:
            sys.stderr.write(f"spans: {error}\n")
            return 2
    sys.stdout.write(f"{total.seconds if plain else total}\n")
    return 0
