"""Two classifiers combined: a logistic regression of both log-odds, fitted on the other repositories (cross-fitted).

Stacked generalisation (Wolpert 1992) with folds by repository. What the combination gains over one of them is what the
other adds. numpy and scipy are imported on use.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from models.errors import EvaluationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_EDGE = 1e-6
"""Probabilities are held this far from 0 and 1."""
_PENALTY = 1e-3


class StackRow(NamedTuple):
    """One candidate: its probability by each of two classifiers, and whether it is positive."""

    first: float
    second: float
    positive: bool


def stacked(rows: Mapping[str, Sequence[StackRow]]) -> dict[str, list[float]]:
    """The combined probability of each candidate, by repository; each repository's by a fit on all others.

    Raises EvaluationError with fewer than two repositories, or where the others hold no positive or nothing else.
    """
    if len(rows) < 2:
        raise EvaluationError(f"answers are combined across repositories, and there is {len(rows)}; give at least two")
    return {
        name: _predicted(_fit([r for o in sorted(rows) if o != name for r in rows[o]]), rows[name]) for name in rows
    }


def stacked_by(known: Sequence[StackRow], rows: Sequence[StackRow]) -> list[float]:
    """The combined probability of each row by a fit on the known ones. Raises EvaluationError as `stacked` does."""
    return _predicted(_fit(known), rows)


def _matrix(rows: Sequence[StackRow]) -> "Array":
    import numpy as np

    p = np.clip(np.array([[row.first, row.second] for row in rows], dtype=float).reshape(-1, 2), _EDGE, 1 - _EDGE)
    return np.hstack([np.log(p / (1 - p)), np.ones((len(p), 1))])


def _fit(rows: Sequence[StackRow]) -> "Array":
    import numpy as np
    from scipy.optimize import minimize

    y = np.array([row.positive for row in rows], dtype=float)
    if not 0 < y.sum() < len(y):
        raise EvaluationError(f"{int(y.sum())} of {len(y)} candidates are positive; both kinds are needed to combine")
    x = _matrix(rows)
    kept = np.array([1.0, 1.0, 0.0])

    def loss(w: "Array") -> tuple[float, "Array"]:
        z = x @ w
        value = float(np.mean(np.logaddexp(0, z) - y * z)) + _PENALTY * float(np.sum(kept * w * w))
        return value, x.T @ (1 / (1 + np.exp(-z)) - y) / len(y) + 2 * _PENALTY * kept * w

    found: Array = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B").x
    return found


def _predicted(weights: "Array", rows: Sequence[StackRow]) -> list[float]:
    import numpy as np

    return [float(p) for p in 1 / (1 + np.exp(-(_matrix(rows) @ weights)))]
