"""The gate: does a challenger replace the champion? Decided by paired tests over the repositories of a frozen set.

    promote       a primary metric gained significantly, and none is worse than its margin
    reject        a primary metric is significantly worse, or worse by more than its margin
    inconclusive  anything else; the champion stays

Planning has three kinds of plans under one rate: an overall gain does not promote if the rate of one kind fell by more
than its margin and its items show this (one-sided, p <= 0.20) or are too few to show it; a significant fall rejects.

Significance is by the sign-flip test over repositories. Fewer than six do not generalise to others, and the verdict
says so; the tests over items are then reported as such, and promote only if the rules allow it. The chance of
promoting a challenger that is no better is at most `alpha`: a two-sided p of at most alpha in favour of the challenger
has probability alpha/2 for each of at most two primary metrics. Targets gated together are
corrected by Holm's method.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from evals.paired import (
    at_item_level,
    detectable,
    fell,
    holm,
    interval,
    least_changes,
    no_worse,
    sign_flip_over_repositories,
)
from evals.thresholds import HELD_ALPHA, REQUIREMENTS, Metric, Rules
from models.errors import EvaluationError
from models.evaluation import Evaluation, GateReport, GateVerdict, ItemScore, MetricTest

EvaluationPair = tuple[Evaluation, Evaluation]
"""Champion and challenger."""

DEFAULT = Rules()
BEYOND = "beyond these repositories: inconclusive"


def shown_p(value: float) -> str:
    """A p-value for display: small ones are not shown as 0."""
    return "< 0.0001" if value < 0.0001 else f"= {value:.4f}"


class _Paired(NamedTuple):
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


def decide(
    champion: Evaluation, challenger: Evaluation, others: Sequence[EvaluationPair] = (), rules: Rules = DEFAULT
) -> GateReport:
    """Decide whether the challenger replaces the champion; `others` are the pairs of targets gated together with it.

    Raises EvaluationError if the two were not measured alike (set, settings, seeds, items) or lack a primary metric.
    """
    check_comparable(champion, challenger)
    rest = [_target_p(pair, rules) for pair in others]
    measured = [_test(champion, challenger, metric, rest, rules) for metric in _metrics(champion, challenger)]
    held = {metric.name for metric in REQUIREMENTS[champion.target].held}
    verdict, reason = _verdict(champion, measured, held, len(rest) + 1, rules)
    return GateReport(
        target=champion.target,
        champion=champion.subject,
        challenger=challenger.subject,
        set_id=champion.set_id,
        verdict=verdict,
        reason=reason,
        tests=tuple(each.test for each in measured),
    )


def decide_together(pairs: Sequence[EvaluationPair], rules: Rules = DEFAULT) -> list[GateReport]:
    """Gate reports for several targets, corrected for multiple testing. Raises EvaluationError as `decide` does."""
    return [
        decide(champion, challenger, [pair for other, pair in enumerate(pairs) if other != place], rules)
        for place, (champion, challenger) in enumerate(pairs)
    ]


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


def _metrics(champion: Evaluation, challenger: Evaluation) -> list[tuple[Metric, bool]]:
    """The metrics to compare, primary ones first, with whether they are primary."""
    primary = REQUIREMENTS[champion.target].metrics
    names = {name for each in (champion, challenger) for score in each.scores for name in score.scores}
    for metric in primary:
        if metric.name not in names:
            raise EvaluationError(f"no answer of target {champion.target.value} has the primary metric {metric.name}")
    held = {metric.name: metric for metric in REQUIREMENTS[champion.target].held}
    others = sorted(names - {metric.name for metric in primary})
    return [(metric, True) for metric in primary] + [
        (held.get(name, Metric(name, None, 0.0)), False) for name in others
    ]


def _pair(champion: Evaluation, challenger: Evaluation, metric: str, strict: bool) -> _Paired | None:
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
    return _Paired(by_repository, first, then, sum(value > 0 for value in means[0]))


class _Measured(NamedTuple):
    test: MetricTest
    paired: _Paired
    margin: float


def _p(paired: _Paired, rules: Rules) -> tuple[float | None, float]:
    """(p over repositories, None if they are too few; p over items)."""
    enough = len(paired.by_repository) >= rules.repositories
    by_repository = sign_flip_over_repositories(paired.by_repository, rules.seed) if enough else None
    return by_repository, at_item_level(paired.items, rules.seed)


def _target_p(pair: EvaluationPair, rules: Rules) -> float:
    """A target's own p-value: the smallest of its primary metrics."""
    check_comparable(*pair)
    values = []
    for metric in REQUIREMENTS[pair[0].target].metrics:
        if (paired := _pair(*pair, metric.name, strict=True)) is not None:
            by_repository, by_item = _p(paired, rules)
            values.append(by_item if by_repository is None else by_repository)
    return min(values, default=1.0)


def _test(
    champion: Evaluation, challenger: Evaluation, which: tuple[Metric, bool], rest: Sequence[float], rules: Rules
) -> _Measured:
    metric, primary = which
    paired = _pair(champion, challenger, metric.name, strict=primary)
    if paired is None:  # a secondary metric without common items
        paired = _Paired({}, 0.0, 0.0, 0)
    by_repository, by_item = _p(paired, rules)
    decisive = by_item if by_repository is None else by_repository
    low, high = interval(paired.by_repository, rules.seed) if paired.items else (0.0, 0.0)
    test = MetricTest(
        metric=metric.name,
        primary=primary,
        champion=paired.champion,
        challenger=paired.challenger,
        difference=paired.challenger - paired.champion,
        low=low,
        high=high,
        p_repository=by_repository,
        p_item=by_item,
        p_adjusted=holm([decisive, *rest])[0],
        detectable=detectable(paired.groups(rules), rules.alpha / (len(rest) + 1)),  # Holm's first step
        threshold=metric.threshold,
        items=len(paired.items),
        repositories=len(paired.by_repository),
    )
    return _Measured(test, paired, metric.margin if rules.margin is None else rules.margin)


def _verdict(
    champion: Evaluation, measured: Sequence[_Measured], held: Collection[str], targets: int, rules: Rules
) -> tuple[GateVerdict, str]:
    primary = [each for each in measured if each.test.primary]
    beyond = all(each.test.p_repository is not None for each in primary)
    notes = [] if beyond else [BEYOND]
    verdict, what = _hold([each for each in measured if each.test.metric in held], *_compare(primary, rules), rules)
    if not beyond:
        count = primary[0].test.repositories
        what += f", by a test over items of {count} {'repository' if count == 1 else 'repositories'}"
        if verdict is GateVerdict.PROMOTE and not rules.item_level:
            verdict, what = GateVerdict.INCONCLUSIVE, f"{what}; evidence about items alone does not promote"
        elif verdict is GateVerdict.PROMOTE:
            what += ", which the rules accept"
    notes.insert(0, what)
    shown = [f"{e.test.detectable:.3f} {e.test.metric}" for e in primary if e.test.detectable is not None]
    notes.append(f"finds 4 in 5 differences of {', '.join(shown)}" if shown else _blind(beyond, targets, rules))
    if champion.subject.adapter is None:
        notes += [_absolute(each.test) for each in primary if each.test.threshold is not None]
    return verdict, "; ".join(notes)


def _compare(primary: Sequence[_Measured], rules: Rules) -> tuple[GateVerdict, str]:
    """The verdict by the test that applies, and its reason."""
    for test, _, margin in primary:
        if test.difference < -margin:
            return GateVerdict.REJECT, f"{_change(test)}, which is worse by more than {margin:.3f}"
        if test.difference < 0 and test.p_adjusted <= rules.alpha:
            return GateVerdict.REJECT, f"{_change(test)}, which is significantly worse (p {shown_p(test.p_adjusted)})"
    gained = [each for each in primary if each.test.difference > 0 and each.test.p_adjusted <= rules.alpha]
    if not gained:
        best = max(primary, key=lambda each: each.test.difference).test
        return GateVerdict.INCONCLUSIVE, f"no significant gain ({_change(best)}, p {shown_p(best.p_adjusted)})"
    for each in primary:
        p = no_worse(each.paired.groups(rules), each.margin, rules.seed)
        if each not in gained and p > rules.alpha:
            return GateVerdict.INCONCLUSIVE, (
                f"{_change(gained[0].test)} is a gain (p {shown_p(gained[0].test.p_adjusted)}), but "
                f"{_change(each.test)} may be a loss of more than {each.margin:.3f} (p {shown_p(p)})"
            )
    return GateVerdict.PROMOTE, "; ".join(
        f"{_change(each.test)} (p {shown_p(each.test.p_adjusted)})" for each in gained
    )


def _blind(beyond: bool, targets: int, rules: Rules) -> str:
    """The note for a set that can show no difference at all, with the size that it needs."""
    together = f" of {targets} targets gated together" if targets > 1 else ""
    what = "repositories" if beyond else "items"
    return f"can find no difference{together}: at least {least_changes(rules.alpha / targets)} {what} are needed"


def _hold(held: Sequence[_Measured], verdict: GateVerdict, what: str, rules: Rules) -> tuple[GateVerdict, str]:
    """The verdict and its reason after the vetoes of the metrics that may not fall."""
    for test in (each.test for each in held):
        if test.difference < 0 and test.p_adjusted <= rules.alpha and verdict is not GateVerdict.REJECT:
            return GateVerdict.REJECT, f"{_change(test)}, which is significantly worse (p {shown_p(test.p_adjusted)})"
    for test, paired, margin in held:
        p = fell(paired.items, rules.seed)
        too_few = 0.5**paired.fallible > HELD_ALPHA
        if test.difference < -margin and (p <= HELD_ALPHA or too_few) and verdict is GateVerdict.PROMOTE:
            return GateVerdict.INCONCLUSIVE, (
                f"{what} is a gain, but {_change(test)} ({test.items} items, p {shown_p(p)}) is a loss of more than "
                f"{margin:.3f}"
            )
    return verdict, what


def _change(test: MetricTest) -> str:
    return f"{test.metric} {test.champion:.3f} to {test.challenger:.3f}"


def _absolute(test: MetricTest) -> str:
    assert test.threshold is not None
    met = "reaches" if test.challenger >= test.threshold else "misses"
    return f"{test.metric} {met} the {test.threshold:.2f} of a first adapter"
