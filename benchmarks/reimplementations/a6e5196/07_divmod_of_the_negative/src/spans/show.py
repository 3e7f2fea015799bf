"""Writing durations the way people read them."""

import re

from spans.units import SECONDS

_NOTHING = re.compile(r"\b0[a-z] ?")


def show(seconds):
    """A duration such as `1h 30m` for a number of seconds."""
    template = "{:d}w {:d}d {:d}h {:d}m {:d}s"
    counts, rest = [], abs(int(seconds))
    for size in SECONDS.values():
        counts.append(rest // size)
        rest -= counts[-1] * size
    text = _NOTHING.sub("", template.format(*counts)).strip() or "0s"
    return text if seconds >= 0 or text == "0s" else "-" + text
