"""A classifier moved towards one repository's own past commits, if that helps with its later ones.

The weights for files are those of a classifier plus a change that its own commits ask for: multinomial logistic
regression whose L2 penalty draws towards the classifier instead of zero. Symbols keep their weights, and thresholds
stay. Whether it helps is cross-validated forward in time: commits are cut into parts by age, each part from the third
on is judged by weights that were moved by the parts before it, and the average precision of relevant files must be
significantly higher than the classifier's over these commits. Penalties are compared by their loss on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from agent.retrieve.relevance.features import OTHER_FEATURES, PRODUCTION_FEATURES
from evals.paired import sign_flip
from evals.relevance.fitting import FOLDS, candidate_chances
from evals.relevance.metrics import average_precision
from evals.relevance.operating_point import Judged
from evals.relevance.questions import LabelledQuestion, Rows
from models.errors import UsageError
from models.relevance import BIAS, FILE_CLASSES, ClassifierFile, LinearModel

Array = NDArray[np.float64]
PARTS, FIRST = 5, 2
"""Parts of the commits by age, and how many the first judged one comes after."""
LEAST = 50
"""Fewest questions with a relevant file to refit on."""
PENALTIES = (3.0, 10.0, 30.0, 100.0)
"""Of the squared change of weights on standardised features, against the sum of losses."""
ALPHA = 0.05
_DIGITS = 6


@dataclass(frozen=True)
class Refit:
    """What cross-validation forward in time says, by average precision over the questions that it judged: `before` the
    classifier's mean, `after` that of the moved weights; `p` of their differences, two-sided. `file`: the classifier
    moved by all questions; `chosen`: whether it is to be used."""

    questions: int
    judged: int
    penalty: float
    before: float
    after: float
    p: float
    file: ClassifierFile

    @property
    def chosen(self) -> bool:
        """Whether the moved weights are significantly better."""
        return self.after > self.before and self.p <= ALPHA


def refit(file: ClassifierFile, questions: Sequence[LabelledQuestion]) -> Refit:
    """Cross-validate a refit on a repository's questions, the oldest first. Raises UsageError for too few of them."""
    asked = [question for question in questions if has_relevant(question)]
    if len(asked) < LEAST:
        raise UsageError(
            f"{len(asked)} commits with a relevant file among the candidates are too few to refit on, {LEAST} are "
            f"needed; ask for more with --questions, or name {FOLDS} or more repositories to fit a classifier anew"
        )
    cuts = [round(len(asked) * part / PARTS) for part in range(PARTS + 1)]
    folds = [(asked[: cuts[part]], asked[cuts[part] : cuts[part + 1]]) for part in range(FIRST, PARTS)]
    later = [question for _, after in folds for question in after]
    moved = {
        penalty: [
            chances for earlier, after in folds for chances in judged(moved_towards(file, earlier, penalty), after)
        ]
        for penalty in PENALTIES
    }
    penalty = min(PENALTIES, key=lambda each: _loss(moved[each]))
    before, after = average_precisions(judged(file, later)), average_precisions(moved[penalty])
    return Refit(
        questions=len(asked),
        judged=len(later),
        penalty=penalty,
        before=fmean(before),
        after=fmean(after),
        p=sign_flip([new - old for new, old in zip(after, before, strict=True)]),
        file=moved_towards(file, asked, penalty),
    )


def moved_towards(file: ClassifierFile, questions: Sequence[LabelledQuestion], penalty: float) -> ClassifierFile:
    """The classifier with its weights for files moved towards what the questions ask for."""
    names = tuple(sorted({*file.trained_on, *(question.repository for question in questions)}))
    return file.model_copy(
        update={
            "trained_on": names,
            "questions": file.questions + len(questions),
            "rows": file.rows + sum(len(q.production.labels) + len(q.other.labels) for q in questions),
            "production": _moved(file.production, PRODUCTION_FEATURES, [q.production for q in questions], penalty),
            "other": _moved(file.other, OTHER_FEATURES, [q.other for q in questions], penalty),
            "calibration": None,
        }
    )


def average_precisions(judged: Sequence[Judged]) -> list[float]:
    """The average precision of relevant files of each question, each with at least one."""
    relevant = FILE_CLASSES.index("relevant")
    return [average_precision(chances[:, relevant], labels == relevant) for chances, labels in judged]


def has_relevant(question: LabelledQuestion) -> bool:
    """Whether a candidate of the question is relevant."""
    return bool((question.labels == FILE_CLASSES.index("relevant")).any())


def judged(file: ClassifierFile, questions: Sequence[LabelledQuestion]) -> list[Judged]:
    """Probabilities and classes of each question's candidates."""
    return [candidate_chances(file.production, file.other, question) for question in questions]


def _loss(judged: Sequence[Judged]) -> float:
    """Mean negative log likelihood of the right classes."""
    own = np.concatenate([chances[np.arange(len(labels)), labels] for chances, labels in judged])
    return float(-np.log(own + 1e-12).mean())


def _moved(model: LinearModel, names: Sequence[str], tables: Sequence[Rows], penalty: float) -> LinearModel:
    """A model whose loss on some rows, with a penalty on the change of its weights, is the least."""
    from scipy.optimize import minimize

    features = np.concatenate([each.features for each in tables]).astype(np.float64)
    if not len(features):
        return model
    classes = len(model.classes)
    target = np.eye(classes)[np.concatenate([each.labels for each in tables]).astype(np.int64)]
    weights = np.array([model.weights[name] for name in (BIAS, *names)])
    mean, scale = features.mean(0), features.std(0)
    scale = np.where(scale < 1e-9, np.inf, scale)  # a constant feature keeps its weight
    rows = np.hstack([np.ones((len(features), 1)), (features - mean) / scale])
    known = (features @ weights[1:] + weights[0]) / model.temperature

    def loss(flat: Array) -> tuple[float, Array]:
        change = flat.reshape(-1, classes)
        scores = known + rows @ change
        logs = scores - scores.max(1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(1, keepdims=True))
        slope = rows.T @ (np.exp(logs) - target) + 2 * penalty * change
        return float(-(logs * target).sum() + penalty * (change**2).sum()), slope.ravel()

    start = np.zeros(rows.shape[1] * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    change = found.x.reshape(-1, classes)
    own = change[1:] / scale[:, None]
    moved = weights + model.temperature * np.vstack([change[:1] - mean @ own, own])
    rounded = (tuple(float(f"{weight:.{_DIGITS}g}") for weight in row) for row in moved)
    return model.model_copy(update={"weights": dict(zip((BIAS, *names), rounded, strict=True))})
