"""Best of n: one sample of each instance, chosen by a critic, beside other ways to choose.

A chooser sees the task and the samples' patches. What hidden tests said of a sample is looked up after the choice, for
the figures alone; neither tests nor the commit's own change are ever shown.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import NamedTuple

from evals.critic.judging import Critic, CriticQuestion, both_orders
from evals.paired import interval, sign_flip_over_repositories
from models.comparisons import Criterion
from models.errors import EvaluationError
from models.plans import Frozen

RANDOM, WITH_CHANGE, SHORTEST, ORACLE = "random", "random with a change", "shortest diff", "oracle"
Shown = Callable[[str], str]
"""What of a patch a critic is shown."""


class Sample(NamedTuple):
    """One attempt at an instance: the id of its trajectory and its patch."""

    trajectory: str
    patch: str


class SampledInstance(NamedTuple):
    """An instance with the samples that hidden tests have judged, and whether each passed, by trajectory."""

    instance: str
    repository: str
    task: str
    samples: tuple[Sample, ...]
    passed: Mapping[str, bool]


class Choice(Frozen):
    """The sample that a critic chose of an instance, and the share of comparisons it would win, of each sample."""

    instance: str
    trajectory: str
    shares: dict[str, float]
    undecided: int


class ChosenRate(Frozen):
    """The pass rate of the samples that one way of choosing picks, with its 95% interval over repositories."""

    name: str
    value: float
    low: float
    high: float


class RankDifference(Frozen):
    """The critic's pass rate less another's, with its 95% interval and the two-sided p of a sign-flip test, both over
    repositories."""

    reference: str
    value: float
    low: float
    high: float
    p: float


class RankReport(Frozen):
    """Best of n over a campaign. `left_out` are instances with fewer than two judged samples."""

    critic: str
    instances: int
    samples: int
    left_out: int
    rates: tuple[ChosenRate, ...]
    differences: tuple[RankDifference, ...]
    choices: tuple[Choice, ...]


def rank(critic: Critic, task: str, samples: Sequence[Sample], shown: Shown) -> tuple[dict[str, float], int]:
    """How likely each sample, by trajectory, is better than another one, and how many pairs only the order decides.

    Each pair of patches is compared in both orders, and the probabilities are averaged. Patches that are shown alike
    are equal, and samples with one patch share what it wins. Those without a change lose to all others unasked.
    """
    texts = {each.trajectory: shown(each.patch) if each.patch.strip() else "" for each in samples}
    won: dict[tuple[str, str], float] = {}
    undecided = 0
    for one, other in combinations(sorted(set(texts.values())), 2):
        if not one:  # the empty text comes first
            first, second = 0.0, 0.0
        else:
            first, second = both_orders(critic, CriticQuestion(Criterion.TASK, task, "", one, other))
            undecided += (first > 0.5) is not (second > 0.5)
        won[one, other] = (first + second) / 2
        won[other, one] = 1 - won[one, other]
    shares = {}
    for each in samples:
        mine = texts[each.trajectory]
        others = [texts[other.trajectory] for other in samples if other is not each]
        shares[each.trajectory] = fmean(won.get((mine, text), 0.5) for text in others) if others else 0.5
    return shares, undecided


def choose_best(samples: Sequence[Sample], shares: Mapping[str, float]) -> Sample:
    """The sample with the largest share; of equals the shortest patch, then the first trajectory."""
    return min(samples, key=lambda each: (-shares[each.trajectory], len(each.patch), each.trajectory))


def shortest(samples: Sequence[Sample]) -> Sample:
    """The sample with the shortest patch that changes something, if there is one."""
    return min(samples, key=lambda each: (not each.patch.strip(), len(each.patch), each.trajectory))


def rank_instances(
    critic: Critic, instances: Sequence[SampledInstance], shown: Shown, progress: Callable[[int, int], None]
) -> RankReport:
    """Choose a sample of each instance with two judged ones or more, and compare what was chosen with what was not.

    Raises EvaluationError without such an instance, and what the critic raises.
    """
    several = [each for each in instances if len(each.samples) > 1]
    if not several:
        raise EvaluationError(
            f"none of {len(instances)} instances has two judged samples; run the campaign with more --samples"
        )
    choices = []
    for done, each in enumerate(several, 1):
        shares, undecided = rank(critic, each.task, each.samples, shown)
        best = choose_best(each.samples, shares)
        choices.append(Choice(instance=each.instance, trajectory=best.trajectory, shares=shares, undecided=undecided))
        progress(done, len(several))
    by_critic = [float(each.passed[choice.trajectory]) for each, choice in zip(several, choices, strict=True)]
    ways = {critic.name: by_critic} | {name: [way(each) for each in several] for name, way in _WAYS.items()}
    return RankReport(
        critic=critic.name,
        instances=len(several),
        samples=sum(len(each.samples) for each in several),
        left_out=len(instances) - len(several),
        rates=tuple(_rate(name, several, values) for name, values in ways.items()),
        differences=tuple(
            _difference(name, several, by_critic, ways[name]) for name in (RANDOM, WITH_CHANGE, SHORTEST)
        ),
        choices=tuple(choices),
    )


def _random(instance: SampledInstance) -> float:
    return fmean(instance.passed[each.trajectory] for each in instance.samples)


def _with_change(instance: SampledInstance) -> float:
    changed = [each for each in instance.samples if each.patch.strip()]
    return fmean(instance.passed[each.trajectory] for each in changed or instance.samples)


def _shortest(instance: SampledInstance) -> float:
    return float(instance.passed[shortest(instance.samples).trajectory])


def _oracle(instance: SampledInstance) -> float:
    return float(any(instance.passed[each.trajectory] for each in instance.samples))


_WAYS: Mapping[str, Callable[[SampledInstance], float]] = {
    RANDOM: _random,
    WITH_CHANGE: _with_change,
    SHORTEST: _shortest,
    ORACLE: _oracle,
}
"""The pass rate that each other way of choosing has on an instance, in expectation."""


def _rate(name: str, instances: Sequence[SampledInstance], values: Sequence[float]) -> ChosenRate:
    low, high = interval(_by_repository(instances, values))
    return ChosenRate(name=name, value=fmean(values), low=low, high=high)


def _difference(
    name: str, instances: Sequence[SampledInstance], one: Sequence[float], other: Sequence[float]
) -> RankDifference:
    values = [first - second for first, second in zip(one, other, strict=True)]
    groups = _by_repository(instances, values)
    low, high = interval(groups)
    return RankDifference(
        reference=name, value=fmean(values), low=low, high=high, p=sign_flip_over_repositories(groups)
    )


def _by_repository(instances: Sequence[SampledInstance], values: Sequence[float]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for each, value in zip(instances, values, strict=True):
        groups.setdefault(each.repository, []).append(value)
    return groups
