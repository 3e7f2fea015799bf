"""Words normalised for comparison: subtokens, stemmed so that `caching`, `cached` and `caches` are one."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from repos.index.words import subtokens

_ENDINGS = (
    "izations ization ations ation izing ized izer ize ising ised iser ise ators ator ating ated ate ments ment "
    "ness able ible ingly ing edly ed ions ion ers er or ive ful ally al ly"
)
_SUFFIXES = tuple(_ENDINGS.split())
"""Of two with a common ending the longer comes first."""
_VOWELS = frozenset("aeiouy")
_SHORTEST = 3
"""Letters that stemming leaves at least."""
_SMALL = (
    "a about after all also an and any are as at be been before being but by can could did do does doesn don done e "
    "etc for from g get had has have he how i if in into is isn it its just made make more must no not now of on "
    "one only or other our out over own s same she should so some such t than that the their them then there these "
    "they this those to too up us use used using very was way we well were what when where which while who why will "
    "with without would you your"
)
STOP_WORDS = frozenset(_SMALL.split())
"""Stop words."""


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A lower-case word without inflectional and the commonest derivational suffixes."""
    if len(word) <= _SHORTEST or not word.isascii():
        return word
    word = _singular(word)
    for suffix in _SUFFIXES:
        rest = word[: -len(suffix)]
        if word.endswith(suffix) and len(rest) >= _SHORTEST and not _VOWELS.isdisjoint(rest):
            doubled = len(rest) > _SHORTEST and rest[-1] == rest[-2] and rest[-1] not in "lsz"
            word = rest[:-1] if doubled else rest
            break
    if word.endswith("e") and len(word) > _SHORTEST:
        word = word[:-1]
    return word[:-1] + "y" if word.endswith("i") else word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > _SHORTEST + 1:
        return word[:-3] + "y"
    if word.endswith("sses") or (word.endswith("es") and len(word) > _SHORTEST + 1 and word[-3] in "xzh"):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=1 << 16)
def stemmed(name: str) -> tuple[str, ...]:
    """The stemmed subtokens of a name, in order: `cachedReaders` -> cach, read."""
    return tuple(stem(part) for part in subtokens(name))


def stem_counts(names: Mapping[str, int]) -> Counter[str]:
    """How often each stemmed subtoken occurs in names that occur as often as `names` says."""
    counts: Counter[str] = Counter()
    for name, times in names.items():
        for part in stemmed(name):
            counts[part] += times
    return counts
