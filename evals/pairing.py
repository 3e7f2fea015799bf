"""Two evaluations of one set, paired: item by item, or repository by repository over all their judgements."""

from statistics import fmean
from typing import NamedTuple

from evals.classification import classification_scores
from evals.thresholds import REQUIREMENTS, Rules
from models.errors import EvaluationError
from models.evaluation import ClassJudgement, Evaluation, ItemScore
from models.training import TrainingTarget

POSITIVE = {TrainingTarget.SCOPE: "relevant", TrainingTarget.PRECISION: "primary"}
"""The class that must be found, by target."""
POOLED = {
    "average_precision": "average_precision",
    "pooled_macro_f1": "macro_f1",
    "recall_at_precision": "recall_at_precision",
    "balanced_accuracy": "balanced_accuracy",
}
"""Metrics over all judgements of a repository, with their fields in `ClassificationScores`."""


class Paired(NamedTuple):
    """One metric's differences, item by item within each repository, and the two means over the same items; `fallible`
    items had something to lose."""

    by_repository: dict[str, list[float]]
    champion: float
    challenger: float
    fallible: int

    @property
    def items(self) -> list[float]:
        return [value for _, values in sorted(self.by_repository.items()) for value in values]

    def groups(self, rules: Rules) -> list[list[float]]:
        """The units of resampling: repositories if there are enough, else items."""
        if len(self.by_repository) >= rules.repositories:
            return [values for _, values in sorted(self.by_repository.items())]
        return [[value] for value in self.items]


def check_comparable(champion: Evaluation, challenger: Evaluation) -> None:
    """Raise EvaluationError unless two evaluations differ only in their subject."""
    pair = f"{champion.subject.name} and {challenger.subject.name} cannot be compared"
    remedy = "evaluate both again on one set with the same settings"
    for what in ("target", "set_id"):
        one, other = getattr(champion, what), getattr(challenger, what)
        if one != other:
            raise EvaluationError(f"{pair}: {what} {one[:12]} against {other[:12]}; {remedy}")
    for name in sorted({*champion.settings, *challenger.settings}):
        before, after = champion.settings.get(name), challenger.settings.get(name)
        if before != after:
            raise EvaluationError(f"{pair}: setting {name} is {before!r} against {after!r}; {remedy}")
    one_keys, other_keys = _by_key(champion).keys(), _by_key(challenger).keys()
    if one_keys != other_keys:
        item, seed = min(one_keys ^ other_keys)
        raise EvaluationError(
            f"{pair}: {len(one_keys ^ other_keys)} answers have no counterpart, first item {item} seed {seed}; {remedy}"
        )
    if not one_keys:
        raise EvaluationError(f"{pair}: there are no answers in them; {remedy}")


def _by_key(evaluation: Evaluation) -> dict[tuple[str, int], ItemScore]:
    found = {(score.item, score.seed): score for score in evaluation.scores}
    if len(found) != len(evaluation.scores):
        raise EvaluationError(f"the evaluation of {evaluation.subject.name} holds an item twice with one seed")
    return found


def pair_items(champion: Evaluation, challenger: Evaluation, metric: str, strict: bool) -> Paired | None:
    """The metric's paired differences; None if no item has it on both sides.

    `strict` refuses an item that has it on one side only: leaving it out would favour one of them.
    """
    after = _by_key(challenger)
    seen: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for key, score in sorted(_by_key(champion).items()):
        other = after[key]
        if other.repository != score.repository:
            raise EvaluationError(f"item {score.item} is of {score.repository} and of {other.repository}")
        if metric in score.scores and metric in other.scores:
            both = score.scores[metric], other.scores[metric]
            seen.setdefault((score.repository, score.item), []).append(both)
        elif strict and (metric in score.scores or metric in other.scores):
            raise EvaluationError(f"item {score.item} has {metric} for one of the two only; score it for both")
    if not seen:
        return None
    by_repository: dict[str, list[float]] = {}
    for (repository, _), values in sorted(seen.items()):
        by_repository.setdefault(repository, []).append(sum(b - a for a, b in values) / len(values))
    means = [[sum(value[side] for value in values) / len(values) for values in seen.values()] for side in (0, 1)]
    first, then = (sum(side) / len(side) for side in means)
    return Paired(by_repository, first, then, sum(value > 0 for value in means[0]))


def pools(champion: Evaluation, challenger: Evaluation, rules: Rules) -> bool:
    """Whether metrics over all judgements of a repository decide: the target has classes, every answer on both sides
    has its judgements, and enough repositories have something to be found. With fewer, items are compared."""
    if not REQUIREMENTS[champion.target].pooled:
        return False
    if not all(score.judgements for each in (champion, challenger) for score in each.scores):
        return False
    positive = POSITIVE[champion.target]
    found = {s.repository for s in champion.scores if any(j.expected == positive for j in s.judgements)}
    return len(found) >= rules.repositories


def pair_repositories(champion: Evaluation, challenger: Evaluation, metric: str) -> Paired | None:
    """A pooled metric's difference in each repository where both have it, each repository counting the same; None if
    there is none. A repository without anything to be found has no average precision."""
    before, after = (_pooled(each, metric) for each in (champion, challenger))
    both = sorted(before.keys() & after.keys())
    if not both:
        return None
    return Paired(
        {name: [after[name] - before[name]] for name in both},
        fmean(before[name] for name in both),
        fmean(after[name] for name in both),
        sum(before[name] > 0 for name in both),
    )


def _pooled(evaluation: Evaluation, metric: str) -> dict[str, float]:
    """A pooled metric by repository, over the judgements of all items and seeds."""
    judged: dict[str, list[ClassJudgement]] = {}
    for score in evaluation.scores:
        judged.setdefault(score.repository, []).extend(score.judgements)
    scores = {name: classification_scores(each, POSITIVE[evaluation.target]) for name, each in judged.items()}
    values = {name: getattr(each, POOLED[metric]) for name, each in scores.items()}
    return {name: value for name, value in values.items() if value is not None}
