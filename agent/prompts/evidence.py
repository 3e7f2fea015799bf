"""What the ranking knows of a candidate, in words: a small model reads them better than decimals."""

from typing import Protocol

from models.context import CandidateTier, RelevanceEstimate, SymbolOutline
from models.protocols import Request

_WORDS = ("very likely to", "likely to", "may", "unlikely to", "very unlikely to")
_LEAST = (0.7, 0.4, 0.12, 0.02)
"""Least probabilities of all words but the last. A file's share of the total score is near the rate at which such files
change: on twelve training repositories, 93%, 75%, 22%, 9% and 0.4% of what these words are said of."""
_FOUND = {
    CandidateTier.MENTIONED: "named in the task",
    CandidateTier.IMPORTS: "found by imports",
    CandidateTier.COCHANGE: "found by past commits",
    CandidateTier.LEXICAL: "found by words",
}


class Ranked(Protocol):
    """A file with the ranking's figures: a candidate, or the outline of one."""

    @property
    def rank(self) -> int: ...
    @property
    def score(self) -> float: ...
    @property
    def estimate(self) -> RelevanceEstimate | None: ...


def evidence(file: Ranked) -> str:
    """Rank and likelihood of a file: `rank 2, likely to change`; a calibrated estimate says more, and comes first."""
    rank = f"rank {file.rank}, " if file.rank else ""
    if file.estimate is None:
        return f"{rank}{_in_words(file.score)} change"
    return f"{rank}{_in_words(file.estimate.relevant)} change, {_in_words(file.estimate.supporting)} be read only"


def found_by(tier: CandidateTier) -> str:
    """How a candidate was found: `found by past commits`."""
    return _FOUND[tier]


def rank_among(symbol: SymbolOutline, total: int) -> str:
    """A symbol's place in its file, behind what is said of it: `, rank 3 of 14`; empty if it is unknown."""
    return f", rank {symbol.rank} of {total}" if symbol.rank and total else ""


def place_in_all(request: Request) -> str:
    """Which of all items a question shows, behind their name: ` 7 to 12 of 30`; empty if it is unknown."""
    shown = request.shown
    if shown is None:
        return ""
    return f" {shown.first}{f' to {shown.last}' if shown.last > shown.first else ''} of {shown.total}"


def _in_words(chance: float) -> str:
    return next((word for word, least in zip(_WORDS, _LEAST, strict=False) if chance >= least), _WORDS[-1])
