"""Licences of datasets and of their rows: which are known, and which do not allow every use."""

import re
from collections.abc import Iterable
from functools import lru_cache

from harness.mining.licenses import spdx
from training.data.sources.open_datasets.conversion import NotKept

UNKNOWN, RESTRICTED = "licence unknown", "licence forbids commercial use or changes"
_RESTRICTING = {"NC", "ND", "NONCOMMERCIAL", "BUSL", "SSPL", "ELASTIC"}
"""Parts of SPDX identifiers."""
_BETWEEN = re.compile(r"[,;|/]")
_LONGEST = 1000
"""Limit of a licence field in characters; longer ones are texts and no names."""


def row_license(values: str | Iterable[str] | None) -> str:
    """The SPDX expression of a row's licences, each of which applies: a text, several with commas between them, or a
    list. Raises NotKept if there is none, if one of them is unknown, or if one restricts the use."""
    told = [values] if isinstance(values, str) else list(values or ())
    if any(len(text) > _LONGEST for text in told):
        raise NotKept(UNKNOWN)
    parts = [part.strip(" []'\"") for text in told for part in _BETWEEN.split(text)]
    found = sorted({_known(part) for part in parts if part})
    if not found or "" in found:
        raise NotKept(UNKNOWN)
    if any(restricts(license) for license in found):
        raise NotKept(RESTRICTED)
    several = len(found) > 1
    return " AND ".join(f"({each})" if several and " OR " in each else each for each in found)


@lru_cache(maxsize=4096)
def _known(text: str) -> str:
    """The SPDX expression that a text is, of licences that SPDX lists; or an empty text."""
    found = spdx(text) or ""
    return "" if "LicenseRef-" in found else found


def restricts(license: str) -> bool:
    """Whether an SPDX expression names a licence that forbids commercial use or changes."""
    return not _RESTRICTING.isdisjoint(re.split(r"[-\s()]", license.upper()))
