"""A multinomial logistic regression over what the ranking knows of a candidate, fitted by L-BFGS with an L2 penalty.

It stands in the study for any classifier without a language model. numpy and scipy are imported on use.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evals.study.questions import StudyQuestion
from models.context import Relevance
from models.errors import EvaluationError
from models.plans import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CLASSES = (Relevance.RELEVANT, Relevance.SUPPORTING, Relevance.IRRELEVANT)
PENALTY = 1e-3
"""L2 penalty on standardised coefficients, per judgement."""


class Logistic(Frozen):
    """A fitted regression: means and scales of the features, a row of coefficients for each class (its bias last)."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    rows: int
    repositories: tuple[str, ...]

    def probabilities(self, questions: Sequence[StudyQuestion]) -> list[dict[Relevance, float]]:
        """The probability of each class for all candidates of the questions, in order.

        Raises EvaluationError if it was fitted on other features.
        """
        import numpy as np

        if any(self.features != each.FEATURES for each in questions):
            raise EvaluationError("the fitted logistic regression has other features; fit it again in another --out")
        rows = [row for each in questions for row in each.features()]
        x = _standardised(_matrix(rows), np.array(self.means), np.array(self.scales))
        found = _softmax(x @ np.array(self.coefficients).T)
        return [dict(zip(CLASSES, map(float, row), strict=True)) for row in found]


def fit_logistic(questions: Sequence[StudyQuestion]) -> Logistic:
    """Fit on the candidates of the questions that are learned from, every repository with the same total weight.

    Raises EvaluationError without candidates of at least two classes.
    """
    import numpy as np
    from scipy.optimize import minimize

    labels = np.array([CLASSES.index(c.relevance) for q in questions for c in q.learned_from], dtype=int)
    if len(set(labels.tolist())) < 2:
        raise EvaluationError(
            f"{len(labels)} candidates of {len({q.repository for q in questions})} repositories are of one class; "
            "fit on more commits"
        )
    owners = [q.repository for q in questions for _ in q.indices]
    names, place, counts = np.unique(owners, return_inverse=True, return_counts=True)
    weight = 1.0 / (counts[place] * len(names))
    raw = _matrix([features for q in questions for features in _taken(q)])
    means, scales = raw.mean(0), raw.std(0) + 1e-6
    x = _standardised(raw, means, scales)
    target = np.eye(len(CLASSES))[labels]
    shape = (len(CLASSES), x.shape[1])
    kept = np.ones(shape)
    kept[:, -1] = 0.0  # no penalty on the bias

    def loss(flat: "Array") -> tuple[float, "Array"]:
        w = flat.reshape(shape)
        p = _softmax(x @ w.T)
        value = -float(np.sum(weight * np.log(np.sum(p * target, 1) + 1e-300))) + PENALTY * float(np.sum(kept * w * w))
        slope = ((p - target) * weight[:, None]).T @ x + 2 * PENALTY * kept * w
        return value, slope.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    if not np.all(np.isfinite(found.x)):
        raise EvaluationError("the logistic regression did not converge to finite coefficients; fit on more commits")
    return Logistic(
        features=questions[0].FEATURES,
        means=tuple(map(float, means)),
        scales=tuple(map(float, scales)),
        coefficients=tuple(tuple(map(float, row)) for row in found.x.reshape(shape)),
        rows=len(labels),
        repositories=tuple(map(str, names)),
    )


def _taken(question: StudyQuestion) -> list[list[float]]:
    features = question.features()
    return [features[number] for number in question.indices]


def _matrix(rows: Sequence[Sequence[float]]) -> "Array":
    import numpy as np

    return np.array(rows, dtype=float)


def _standardised(x: "Array", means: "Array", scales: "Array") -> "Array":
    """Standardised features with a column of ones at the end."""
    import numpy as np

    return np.hstack([(x - means) / scales, np.ones((len(x), 1))])


def _softmax(x: "Array") -> "Array":
    import numpy as np

    raised = np.exp(x - x.max(1, keepdims=True))
    result: Array = raised / raised.sum(1, keepdims=True)
    return result
