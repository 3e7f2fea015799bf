"""The relevance classifier's estimates of symbols: the order in each file, chances given that the file changes."""

from collections.abc import Mapping

from models.context import RelevanceEstimate
from models.relevance import SymbolEstimate

SymbolEstimates = Mapping[str, Mapping[str, SymbolEstimate]]
"""Of symbols, by path and name."""
_LEAST = 0.002
"""Least P(relevant) that is divided by: estimates have four decimals."""


def worth(estimate: SymbolEstimate) -> float:
    """By how much a symbol's text is wanted in a context."""
    return estimate.primary + estimate.supporting / 4


def likeliest_first(symbols: Mapping[str, SymbolEstimate]) -> list[str]:
    """The names of a file's symbols, those first whose text is wanted most."""
    return sorted(symbols, key=lambda name: -worth(symbols[name]))


def chance_if_changed(primary: float, file: RelevanceEstimate | None) -> float | None:
    """P(primary | the file is relevant) of a symbol, by the classifier's P(primary) and what it estimates of the file.

    None without an estimate of the file.
    """
    return None if file is None else min(1.0, primary / max(file.relevant, _LEAST))
