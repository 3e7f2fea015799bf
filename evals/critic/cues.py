"""What tells the better version without reading code: its length, a word that it has more of, all of these together.

Cues are fitted on training repositories. A critic that does not beat them has learned no more than they say. numpy and
scipy are imported on use.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from models.comparisons import Comparison
from models.plans import Frozen

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LENGTH = "length"
TOGETHER = "cues together"
FEWEST = 20
"""Fewer training comparisons of a criterion do not set a direction of its own."""
PENALTY = 1e-2
_WORDS = ("raise", "except", "if", "return", "assert", "None", "not")
_WORD = re.compile(r"[A-Za-z]{3,}")


def _count(word: str) -> Callable[[str, str], float]:
    pattern = re.compile(rf"\b{word}\b")
    return lambda task, text: float(len(pattern.findall(text)))


def _of_task(task: str, text: str) -> float:
    wanted = {word.lower() for word in _WORD.findall(task)}
    return float(len(wanted & {word.lower() for word in _WORD.findall(text)}))


CUES: Mapping[str, Callable[[str, str], float]] = {
    LENGTH: lambda task, text: float(len(text)),
    "lines": lambda task, text: float(text.count("\n")),
    **{f"`{word}`": _count(word) for word in _WORDS},
    "`#`": lambda task, text: float(text.count("#")),
    "words of the task": _of_task,
}
"""Each cue as a number read off a version and its task."""


class FittedCues(Frozen):
    """Cues fitted on comparisons: for each cue and criterion ("": all) whether more of it is better (1) or less (-1),
    and the coefficients of a logistic regression without a constant over the differences of all."""

    directions: dict[str, dict[str, int]]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    comparisons: int

    def score(self, cue: str, comparison: Comparison) -> float:
        """1 if a cue picks the better version, 0 if the worse, 0.5 if it says nothing."""
        if cue == TOGETHER:
            told = sum(
                weight * value / scale
                for weight, value, scale in zip(self.coefficients, _differences(comparison), self.scales, strict=True)
            )
        else:
            directions = self.directions[cue]
            told = directions.get(comparison.criterion.value, directions[""]) * _difference(cue, comparison)
        return 0.5 if told == 0 else float(told > 0)


def fit_cues(comparisons: Sequence[Comparison]) -> FittedCues:
    """Fit the cues. Without a comparison, more of a cue is better and the regression says nothing."""
    import numpy as np

    directions: dict[str, dict[str, int]] = {}
    for cue in CUES:
        signs: dict[str, list[float]] = {"": []}
        for each in comparisons:
            sign = math.copysign(1, _difference(cue, each)) if _difference(cue, each) else 0.0
            signs[""].append(sign)
            signs.setdefault(each.criterion.value, []).append(sign)
        directions[cue] = {
            name: 1 if sum(values) >= 0 else -1
            for name, values in sorted(signs.items())
            if not name or len(values) >= FEWEST
        }
    x = np.array([_differences(each) for each in comparisons], dtype=float).reshape(-1, len(CUES))
    scales = np.sqrt((x**2).mean(0)) + 1e-9 if len(x) else np.ones(len(CUES))
    return FittedCues(
        directions=directions,
        scales=tuple(map(float, scales)),
        coefficients=tuple(map(float, _regression(x / scales))),
        comparisons=len(comparisons),
    )


def _regression(x: "Array") -> "Array":
    """The coefficients that make the better version of each row likeliest, with an L2 penalty."""
    import numpy as np
    from scipy.optimize import minimize

    if not len(x):
        return np.zeros(x.shape[1])

    def loss(w: "Array") -> tuple[float, "Array"]:
        margins = x @ w
        wrong = 1 / (1 + np.exp(np.clip(margins, -500, 500)))
        value = float(np.logaddexp(0, -margins).mean()) + PENALTY * float(w @ w)
        return value, -(wrong[:, None] * x).mean(0) + 2 * PENALTY * w

    found: Array = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    return found


def _difference(cue: str, comparison: Comparison) -> float:
    read = CUES[cue]
    return read(comparison.task, comparison.better) - read(comparison.task, comparison.worse)


def _differences(comparison: Comparison) -> list[float]:
    return [_difference(cue, comparison) for cue in CUES]
