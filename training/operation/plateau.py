"""Whether there is anything more to gain: the rules by which rounds end, from what rounds and whole runs showed.

SWE-Gym (Pan et al., ICML 2025) saw self-improvement of small models end after about two rounds on the same tasks, and
Hybrid-Gym (2026) saw fresh repositories take it up again. So `guardrails.plateau_rounds` rounds (2) without a promotion
are a plateau if their gates could have seen a gain of `plateau_gain` (0.05): the power of each target's best primary
test for it is at least `plateau_power` (0.80). Silence of weaker gates is no evidence, and wants larger evaluation
sets. Promotions that leave whole runs where they were are a plateau as well: over as many rounds the 95% interval of
the change of pass@1 holds 0 and excludes a gain of `plateau_gain` (by interval, one-sided: Blackwelder, 1982), over at
least five repositories: with fewer the interval is too narrow to exclude anything. One wholly below 0 is no plateau but
a fall, in steps that each kept their margin: it stops. So does an adapter that passed its gate and may not serve. A
repository that no round has had yet reopens a plateau; one that lasts over `plateau_rounds` rounds with new
repositories each does not end by itself.

Falls and losses of diversity are looked for after each round. Each look has a level of its own (`evals.spending`), so
that over `guardrails.looks` rounds a false alarm has the chance `guardrails.end_to_end_alpha` at most, for each rule.
That takes instances that passed before: with too few of them no fall is significant at these levels, and with one or
two every fall beyond the margin counts as a loss of diversity (`too_few_instances` says so).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from evals.paired import fell, interval
from evals.spending import level
from evals.statistics import FEW_REPOSITORIES
from evals.whole_runs import compare
from models.errors import EvaluationError, GuardrailError
from models.evaluation import MetricTest
from models.guardrail_settings import GuardrailSettings
from training.cycle import guardrails
from training.cycle.past_rounds import PastRound
from training.cycle.promotion import WITHHELD
from training.operation.measuring import Measure, repository_of
from training.operation.standing import FAILED, FALL, GOES_ON, PLATEAU, POWER, Standing, State

GATE_GAIN = 0.05
"""The gain for which gates state their power (`MetricTest.power`)."""
_NO_WIDTH = 1e-9
_RULE = re.compile(r"[a-z]+(-[a-z]+)*")
"""The name of a guardrail, with which its reason begins; other refusals begin with anything."""
NOTHING_NEW = "no new examples"
"""How a round's skipped target begins where nothing was left to learn from."""


class Evidence(NamedTuple):
    """What is judged: finished rounds and whole runs since a person last continued, and the repositories of the next
    round. `rounds` holds all rounds for the rule on fresh repositories."""

    rounds: Sequence[PastRound]
    measures: Sequence[Measure]
    offered: Collection[str]
    since: int = 0
    """Rounds up to this number do not count for a plateau: a person continued after them."""


def judge(evidence: Evidence, limits: GuardrailSettings) -> Standing:
    """Where the operation stands before its next round."""
    finished = [each for each in evidence.rounds if each.finished and each.number > evidence.since]
    measures = [each for each in evidence.measures if each.round > evidence.since]
    for standing in (
        diversity(measures, limits),
        _stalled(evidence, finished, limits),
        _flat(evidence, finished, measures, limits),
        _fresh(evidence, limits),
    ):
        if standing is not None:
            return standing
    return GOES_ON


def diversity(measures: Sequence[Measure], limits: GuardrailSettings) -> Standing | None:
    """Loss of diversity against the last whole runs and against the first: small losses add up.

    Each round is another look: its level is what alpha-spending leaves it, half of it for each comparison.
    """
    looks = _looks(measures)
    if len(looks) < 2:
        return None
    compared = [looks[-2], looks[0]] if len(looks) > 2 else [looks[0]]
    allowed = level(len(looks) - 1, limits.end_to_end_alpha, limits.looks) / len(compared)
    for before in compared:
        try:
            guardrails.check_diversity(compare(before.passes, looks[-1].passes), limits, allowed)
        except GuardrailError as error:
            reason = f"since turn {before.turn}: {error} (p of look {len(looks) - 1} at most {allowed:.5f})"
            return Standing(state=State.STOPPED, rule=error.rule, reason=reason)
        except EvaluationError:  # other packages are measured now: `incomparable` says so
            continue
    return None


def _looks(measures: Sequence[Measure]) -> list[Measure]:
    """Whole runs that were done anew: those of a turn after which the same adapters served are no further look."""
    return [each for n, each in enumerate(measures) if n == 0 or each.samples != measures[n - 1].samples]


def incomparable(measures: Sequence[Measure]) -> str:
    """Why the last whole runs show nothing against earlier ones, in words; empty if they share samples."""
    looks = _looks(measures)
    for before in (looks[-2], looks[0]) if len(looks) > 1 else ():
        if not before.passes.keys() & looks[-1].passes.keys():
            return (
                f"whole runs of turn {before.turn} and of turn {looks[-1].turn} have no sample in common, so that no "
                "fall or loss of diversity between them can be seen; name the earlier packages with --end-to-end again"
            )
    return ""


def too_few_instances(measures: Sequence[Measure], limits: GuardrailSettings) -> str:
    """Why the next whole runs could show no fall, or would show one by chance, in words; empty if they are enough."""
    looks = _looks(measures)
    if not looks:
        return ""
    outcomes = [[set(seeds.values()) for seeds in each.samples.values()] for each in (looks[0], looks[-1])]
    passing, mixed = (max(sum(fits(one) for one in each) for each in outcomes) for fits in (any, _mixed))
    allowed = level(len(looks), limits.end_to_end_alpha, limits.looks) / (1 if len(looks) == 1 else 2)
    remedy = "name more packages with --end-to-end"
    if 2.0**-passing > limits.end_to_end_alpha:
        said = "each fall beyond the margin stops the operation, also by chance"
        return f"{passing} instances of whole runs pass at all, so that {said}; {remedy}"
    if 2.0**-mixed > allowed:
        said = f"no loss of diversity can be significant at look {len(looks)} (p at most {allowed:.5f})"
        return f"{mixed} instances of whole runs pass in some samples and fail in others, with which {said}; {remedy}"
    return ""


def _mixed(outcomes: set[bool]) -> bool:
    return len(outcomes) > 1


def _stalled(evidence: Evidence, finished: Sequence[PastRound], limits: GuardrailSettings) -> Standing | None:
    """Rounds at the end that promoted nothing."""
    last = finished[-limits.plateau_rounds :]
    if len(last) < limits.plateau_rounds or any(each.promoted for each in last):
        return None
    said = f"rounds {last[0].number} to {last[-1].number} promoted nothing"
    if held := [line for line in last[-1].lines if line.verdict == WITHHELD]:
        return Standing(state=State.STOPPED, rule=WITHHELD, reason=f"{said}, but {held[0].adapter} {held[0].reason}")
    if not any(each.gates for each in last):
        return _unjudged(evidence, last, said)
    if weak := _weak_gates(last, limits):
        reason = f"{said}, but {weak}; freeze larger evaluation sets, or continue with a reason"
        return Standing(state=State.STOPPED, rule=POWER, reason=reason)
    return _plateau(evidence, last, f"{said}, and their gates would have seen a gain of {limits.plateau_gain}")


def _unjudged(evidence: Evidence, last: Sequence[PastRound], said: str) -> Standing | None:
    """Rounds in which no adapter was judged: for want of new examples, or because a rule refused each."""
    reasons = dict.fromkeys(line.reason for each in last for line in each.lines)
    if _unseen(evidence):
        return None
    if all(reason.startswith(NOTHING_NEW) for reason in reasons):
        reason = f"{said}, as there are no new examples; waiting for repositories: give one to `cra ingest`"
        return Standing(state=State.WAITING, rule=guardrails.FRESH_REPOSITORIES, reason=reason)
    first = next(reason for reason in reasons if not reason.startswith(NOTHING_NEW))
    named = first.partition(":")[0]
    rule = named if _RULE.fullmatch(named) else FAILED
    return Standing(state=State.STOPPED, rule=rule, reason=f"{said}: every target was refused ({first})")


def _weak_gates(rounds: Sequence[PastRound], limits: GuardrailSettings) -> str:
    """The targets whose gates could not have seen the smallest gain that matters, in words; empty: there are none."""
    tests: dict[str, list[MetricTest]] = defaultdict(list)
    for report in (report for each in rounds for report in each.gates):
        tests[report.target.value] += [test for test in report.tests if test.primary]
    best = {target: max((_power(test, limits) for test in found), default=0.0) for target, found in tests.items()}
    weak = {target: power for target, power in best.items() if power < limits.plateau_power}
    shown = ", ".join(f"{target} ({power:.2f})" for target, power in sorted(weak.items()))
    return f"the power of a gate for a gain of {limits.plateau_gain} is too low to call it a plateau: {shown}" * bool(
        weak
    )


def _power(test: MetricTest, limits: GuardrailSettings) -> float:
    """The power for the smallest gain that matters, at least: a gate states it for a gain of 0.05, and one whose
    interval over at least five repositories excludes a gain of that size has shown as much."""
    high = test.high + (_unseen_share(test.items) if test.high - test.low < _NO_WIDTH else 0.0)
    if high < limits.plateau_gain and test.repositories >= FEW_REPOSITORIES:
        return 1.0
    return (test.power or 0.0) if limits.plateau_gain >= GATE_GAIN else 0.0


def _flat(
    evidence: Evidence, finished: Sequence[PastRound], measures: Sequence[Measure], limits: GuardrailSettings
) -> Standing | None:
    """Promotions after which whole runs are where they were before."""
    last = finished[-limits.plateau_rounds :]
    if len(last) < limits.plateau_rounds:
        return None
    before = [each for each in measures if each.round < last[0].number]
    after = [each for each in measures if each.round >= last[-1].number]
    if not before or not after or not any(each.promoted for each in last):
        return None
    gains = _gains(before[-1], after[-1])
    if not gains:
        return None
    low, high = _change(gains)
    numbers = f"rounds {last[0].number} to {last[-1].number}"
    said = f"pass@1 of whole runs over {numbers} changed by {low:+.3f} to {high:+.3f} (95%)"
    if high < 0 and _fell_for_sure(gains, measures, limits):
        reason = f"{said}, though each promotion kept its margin; roll back with `cra adapters`, or continue"
        return Standing(state=State.STOPPED, rule=FALL, reason=reason)
    if low > 0 or high < 0 or high >= limits.plateau_gain or len(gains) < FEW_REPOSITORIES:
        return None
    return _plateau(evidence, last, said)


def _fell_for_sure(
    gains: Mapping[str, Sequence[float]], measures: Sequence[Measure], limits: GuardrailSettings
) -> bool:
    """Whether a fall is significant at the level of this look, as falls are looked for after each round."""
    p = fell([gain for each in gains.values() for gain in each])
    return p <= level(max(1, len(_looks(measures)) - 1), limits.end_to_end_alpha, limits.looks)


def _change(gains: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """The 95% interval of the mean change. The bootstrap's has no width where all changes are equal: what was not seen
    is added on both sides."""
    low, high = interval(gains)
    if high - low < _NO_WIDTH:
        unseen = _unseen_share(sum(len(each) for each in gains.values()))
        low, high = max(-1.0, low - unseen), min(1.0, high + unseen)
    return low, high


def _unseen_share(count: int) -> float:
    """The share of all that may differ where none of so many did (Clopper and Pearson, 1934, for none of n)."""
    return float(1 - 0.025 ** (1 / max(1, count)))


def _gains(before: Measure, after: Measure) -> dict[str, list[float]]:
    """The change of each instance's pass rate over the samples that both have, by repository."""
    gains: dict[str, list[float]] = defaultdict(list)
    for item, seeds in after.samples.items():
        if shared := sorted(seeds.keys() & before.samples.get(item, {}).keys()):
            change = sum(seeds[seed] - before.samples[item][seed] for seed in shared) / len(shared)
            gains[repository_of(item)].append(change)
    return dict(gains)


def _plateau(evidence: Evidence, last: Sequence[PastRound], shown: str) -> Standing | None:
    if all(each.fresh for each in last):
        reason = f"{shown}, with new repositories in each; change the base, the recipe or the evaluation, or continue"
        return Standing(state=State.STOPPED, rule=PLATEAU, reason=reason)
    if _unseen(evidence):
        return None
    reason = f"{shown}; a new repository takes it up again: give one to `cra ingest`"
    return Standing(state=State.DONE, rule=PLATEAU, reason=reason)


def _unseen(evidence: Evidence) -> set[str]:
    """Offered repositories that no round has had."""
    return set(evidence.offered).difference(*(each.repositories for each in evidence.rounds))


def _fresh(evidence: Evidence, limits: GuardrailSettings) -> Standing | None:
    """The guardrail on fresh repositories, for which the operation waits instead of failing."""
    try:
        guardrails.check_fresh_repositories([*(e.repositories for e in evidence.rounds), evidence.offered], limits)
    except GuardrailError as error:
        return Standing(
            state=State.WAITING, rule=error.rule, reason=f"waiting for repositories: give one to `cra ingest` ({error})"
        )
    return None
