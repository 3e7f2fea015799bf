"""Identifiers and prose as lower-case subtokens: `readHTTPResponse_v2` -> read, http, response, v, 2."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

_PARTS = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_WORDS = re.compile(r"\w+")


@lru_cache(maxsize=1 << 16)
def subtokens(identifier: str) -> tuple[str, ...]:
    """The words of a name in order: split at underscores, at changes of case and at digits; lower-case.

    Only ASCII capitals count. Anything but letters and digits separates.
    """
    return tuple(part.lower() for part in _PARTS.findall(identifier))


def count_subtokens(names: Mapping[str, int]) -> Counter[str]:
    """How often each subtoken occurs in names that occur as often as `names` says."""
    counts: dict[str, int] = {}
    for name, times in names.items():
        for part in subtokens(name):
            counts[part] = counts.get(part, 0) + times
    return Counter(counts)


def prose_subtokens(texts: Iterable[str]) -> Counter[str]:
    """Subtokens of running text; identifiers in it are split as anywhere."""
    return count_subtokens(Counter(word for text in texts for word in _WORDS.findall(text)))
