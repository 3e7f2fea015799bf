"""Contenders compared on held-out repositories: figures of each, and paired sign-flip tests over repositories.

The unit is the repository: a metric is computed over all of a repository's judgements, and contenders are compared by
its differences, every repository counting the same.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from evals.classification import (
    CalibrationBin,
    ClassificationScores,
    calibration,
    calibration_error,
    classification_scores,
    recalls,
)
from evals.paired import holm, interval, least_changes, sign_flip
from evals.power import deviation, groups_needed, least_effect, power
from models.context import Relevance
from models.evaluation import ClassJudgement
from models.plans import Frozen

METRICS = ("average_precision", "macro_f1", "recall", "recall_at_precision", "balanced_accuracy", "accuracy")
TESTED = ("average_precision", "macro_f1", "recall")
"""Metrics whose differences are tested; p-values are corrected over all tests of the study by Holm's method."""
ALPHA = 0.05
WORTH = 0.05
"""The difference for which power is stated."""
RELEVANT = Relevance.RELEVANT.value

Judgements = Mapping[str, Sequence[ClassJudgement]]
"""A contender's judgements by repository."""


class Reliability(Frozen):
    """A group of a reliability diagram."""

    count: int
    probability: float
    share: float


class ContenderFigures(Frozen):
    """One contender's metrics: by repository, their means, recall of each class; calibration where it has
    probabilities. `ranked_by` says what average precision sorted by."""

    name: str
    judgements: int
    ranked_by: str
    means: dict[str, float]
    by_repository: dict[str, dict[str, float]]
    class_recalls: dict[str, float]
    calibration_error: float | None
    reliability: tuple[Reliability, ...]


class Comparison(Frozen):
    """Challenger less reference for one metric, over the repositories where both have it.

    `detectable` is the smallest difference found with 80% power (None: none is), `power` that of a difference of
    `WORTH`, `needed` the repositories by which that is found with 80% power (None: more than 300).
    """

    challenger: str
    reference: str
    metric: str
    repositories: int
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    detectable: float | None
    power: float
    needed: int | None


def figures(name: str, judged: Judgements, *, probabilities: bool) -> ContenderFigures:
    """All figures of a contender; `probabilities` says whether what it sorts by are probabilities."""
    scores = {repository: classification_scores(found, RELEVANT) for repository, found in sorted(judged.items())}
    everything = [each for _, found in sorted(judged.items()) for each in found]
    known = [each.probability for each in everything if each.probability is not None]
    hits = [each.expected == RELEVANT for each in everything]
    whole = probabilities and len(known) == len(everything) > 0
    by_repository = {repository: _defined(each) for repository, each in scores.items()}
    return ContenderFigures(
        name=name,
        judgements=len(everything),
        ranked_by="probability" if whole else "score" if len(known) == len(everything) else "class, then rank",
        means={
            metric: fmean(row[metric] for row in by_repository.values() if metric in row)
            for metric in METRICS
            if any(metric in row for row in by_repository.values())
        },
        by_repository=by_repository,
        class_recalls=recalls([each.expected for each in everything], [each.given for each in everything]),
        calibration_error=calibration_error(known, hits) if whole else None,
        reliability=tuple(map(_reliability, calibration(known, hits))) if whole else (),
    )


class Pair(NamedTuple):
    """A challenger, a reference, and the metrics by which they are compared."""

    challenger: ContenderFigures
    reference: ContenderFigures
    metrics: tuple[str, ...] = TESTED


def compare(pairs: Sequence[Pair]) -> list[Comparison]:
    """Each pair by each of its metrics, corrected together."""
    found = [one for a, b, metrics in pairs for metric in metrics if (one := _test(a, b, metric))]
    adjusted = holm([each.p for each in found])
    return [each.model_copy(update={"p_adjusted": p}) for each, p in zip(found, adjusted, strict=True)]


def _test(challenger: ContenderFigures, reference: ContenderFigures, metric: str) -> Comparison | None:
    """One test, not yet corrected; None without a repository in which both have the metric."""
    rows, others = challenger.by_repository, reference.by_repository
    both = [r for r in sorted(rows) if metric in rows[r] and metric in others.get(r, {})]
    if not both:
        return None
    differences = {r: [rows[r][metric] - others[r][metric]] for r in both}
    values = [value for [value] in differences.values()]
    low, high = interval(differences)
    enough = len(values) >= least_changes(ALPHA)
    spread = deviation(list(differences.values())) if len(values) > 1 else 0.0
    units = [1] * len(values)
    return Comparison(
        challenger=challenger.name,
        reference=reference.name,
        metric=metric,
        repositories=len(values),
        difference=fmean(values),
        low=low,
        high=high,
        p=sign_flip(values),
        p_adjusted=1.0,
        detectable=least_effect(units, ALPHA) * spread if enough else None,
        power=power(WORTH, spread, units, ALPHA) if enough else 0.0,
        needed=groups_needed(WORTH, spread, len(values) - 1, ALPHA) if len(values) > 1 else None,
    )


def _defined(scores: ClassificationScores) -> dict[str, float]:
    return {name: value for name in METRICS if (value := getattr(scores, name)) is not None}


def _reliability(found: CalibrationBin) -> Reliability:
    return Reliability(count=found.size, probability=found.probability, share=found.share)
