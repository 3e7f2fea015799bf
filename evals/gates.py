"""The gate: does a challenger replace the champion? Decided by paired tests over the repositories of a frozen set.

    promote       a primary metric gained significantly, and none is worse than its margin
    reject        a primary metric is significantly worse, or worse by more than its margin
    inconclusive  anything else; the champion stays

Planning has three kinds of plans under one rate: an overall gain does not promote if the rate of one kind fell by more
than its margin and its items show this (one-sided, p <= 0.20) or are too few to show it; a significant fall rejects.

Of scope and precision, average precision of what must be found and macro F1 are primary, over all judgements of each
repository (`evals/classification.py`); accuracy and recall over items may not fall, and their thresholds for a first
adapter are stated. Average precision sorts by probability where answers have one, else by class and then by rank. On
too few repositories accuracy and recall over items are primary instead.

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
from evals.pairing import POOLED, Paired, check_comparable, pair_items, pair_repositories, pools
from evals.power import POWER, deviation, groups_needed, power
from evals.thresholds import HELD_ALPHA, REQUIREMENTS, WORTH, Metric, Rules
from models.errors import EvaluationError
from models.evaluation import Evaluation, GateReport, GateVerdict, MetricTest

EvaluationPair = tuple[Evaluation, Evaluation]
"""Champion and challenger."""

DEFAULT = Rules()
BEYOND = "beyond these repositories: inconclusive"


def shown_p(value: float) -> str:
    """A p-value for display: small ones are not shown as 0."""
    return "< 0.0001" if value < 0.0001 else f"= {value:.4f}"


def decide(
    champion: Evaluation, challenger: Evaluation, others: Sequence[EvaluationPair] = (), rules: Rules = DEFAULT
) -> GateReport:
    """Decide whether the challenger replaces the champion; `others` are the pairs of targets gated together with it.

    Raises EvaluationError if the two were not measured alike (set, settings, seeds, items) or lack a primary metric.
    """
    check_comparable(champion, challenger)
    rest = [_target_p(pair, rules) for pair in others]
    measured = [_test(champion, challenger, metric, rest, rules) for metric in _metrics(champion, challenger, rules)]
    held = {metric.name for metric in _held(champion, challenger, rules)}
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


def shown_no_worse(champion: Evaluation, challenger: Evaluation, rules: Rules = DEFAULT) -> str:
    """Why it is not shown that each primary metric is no worse than its margin, over repositories; empty if it is.

    Raises EvaluationError as `decide` does.
    """
    check_comparable(champion, challenger)
    for metric in _primary(champion, challenger, rules):
        paired = _pair(champion, challenger, metric.name, strict=True)
        count = 0 if paired is None else len(paired.by_repository)
        if paired is None or count < rules.repositories:
            return f"{metric.name} of {count} repositories shows nothing beyond these: {rules.repositories} are needed"
        margin = metric.margin if rules.margin is None else rules.margin
        p = no_worse([values for _, values in sorted(paired.by_repository.items())], margin, rules.seed)
        if p > rules.alpha:
            change = f"{metric.name} {paired.champion:.3f} to {paired.challenger:.3f}"
            return f"{change} may be a loss of more than {margin:.3f} (p {shown_p(p)})"
    return ""


def _primary(champion: Evaluation, challenger: Evaluation, rules: Rules) -> tuple[Metric, ...]:
    need = REQUIREMENTS[champion.target]
    if pools(champion, challenger, rules):
        return need.pooled
    scores = [score.scores for each in (champion, challenger) for score in each.scores]
    return (*need.metrics, *(metric for metric in need.structural if all(metric.name in each for each in scores)))


def _held(champion: Evaluation, challenger: Evaluation, rules: Rules) -> tuple[Metric, ...]:
    """Metrics that may not fall: the target's, and those over items where pooled ones are primary."""
    need = REQUIREMENTS[champion.target]
    return (*need.held, *(need.metrics if pools(champion, challenger, rules) else ()))


def _metrics(champion: Evaluation, challenger: Evaluation, rules: Rules) -> list[tuple[Metric, bool]]:
    """The metrics to compare, primary ones first, with whether they are primary."""
    pooled = pools(champion, challenger, rules)
    primary = _primary(champion, challenger, rules)
    names = {name for each in (champion, challenger) for score in each.scores for name in score.scores}
    for metric in REQUIREMENTS[champion.target].metrics:
        if metric.name not in names:
            raise EvaluationError(f"no answer of target {champion.target.value} has the primary metric {metric.name}")
    held = {metric.name: metric for metric in _held(champion, challenger, rules)}
    others = [*(POOLED if pooled else ()), *sorted(names)]
    secondary = [name for name in others if name not in {metric.name for metric in primary}]
    return [(metric, True) for metric in primary] + [
        (held.get(name, Metric(name, None, 0.0)), False) for name in secondary
    ]


def _pair(champion: Evaluation, challenger: Evaluation, metric: str, *, strict: bool) -> Paired | None:
    if metric in POOLED:
        return pair_repositories(champion, challenger, metric)
    return pair_items(champion, challenger, metric, strict)


class _Measured(NamedTuple):
    test: MetricTest
    paired: Paired
    margin: float


def _p(paired: Paired, rules: Rules) -> tuple[float | None, float]:
    """(p over repositories, None if they are too few; p over items)."""
    enough = len(paired.by_repository) >= rules.repositories
    by_repository = sign_flip_over_repositories(paired.by_repository, rules.seed) if enough else None
    return by_repository, at_item_level(paired.items, rules.seed)


def _target_p(pair: EvaluationPair, rules: Rules) -> float:
    """A target's own p-value: the smallest of its primary metrics."""
    check_comparable(*pair)
    values = []
    for metric in _primary(*pair, rules):
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
        paired = Paired({}, 0.0, 0.0, 0)
    by_repository, by_item = _p(paired, rules)
    decisive = by_item if by_repository is None else by_repository
    low, high = interval(paired.by_repository, rules.seed) if paired.items else (0.0, 0.0)
    groups = paired.groups(rules)
    alpha = rules.alpha / (len(rest) + 1)  # Holm's first step
    chance, needed = _power(paired, alpha) if primary and by_repository is not None else (None, None)
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
        detectable=detectable(groups, alpha),
        power=chance,
        needed=needed,
        threshold=metric.threshold,
        items=len(paired.items),
        repositories=len(paired.by_repository),
    )
    return _Measured(test, paired, metric.margin if rules.margin is None else rules.margin)


def _power(paired: Paired, alpha: float) -> tuple[float, int | None]:
    """The power for a difference of `WORTH` by the spread seen, and the repositories that would give it 80%."""
    groups = [values for _, values in sorted(paired.by_repository.items())]
    spread = deviation(groups)
    found = power(WORTH, spread, [len(values) for values in groups], alpha)
    return found, groups_needed(WORTH, spread, len(groups) - 1, alpha)


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
    notes += [_powered(each.test) for each in primary if each.test.power is not None]
    if champion.subject.adapter is None:
        notes += [_absolute(each.test) for each in measured if each.test.threshold is not None]
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


def _powered(test: MetricTest) -> str:
    most = "more than 300" if test.needed is None else str(test.needed)
    enough = "" if test.power is not None and test.power >= POWER else f", 0.80 takes {most} repositories"
    return f"a difference of {WORTH:.2f} {test.metric} is found with power {test.power:.2f}{enough}"


def _change(test: MetricTest) -> str:
    return f"{test.metric} {test.champion:.3f} to {test.challenger:.3f}"


def _absolute(test: MetricTest) -> str:
    assert test.threshold is not None
    met = "reaches" if test.challenger >= test.threshold else "misses"
    return f"{test.metric} {met} the {test.threshold:.2f} of a first adapter"
