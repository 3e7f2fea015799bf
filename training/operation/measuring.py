"""Whole runs of the student on reserved repositories, turn by turn: pass@1 and pass@k of who serves at the time.

A reserved repository is out of distribution if no repository that was trained on has its organisation, nor its domain
where both are known. The others are reserved only: unseen, but of a kind that training has seen.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from evals.paired import interval
from evals.statistics import FEW_REPOSITORIES, Rate, SampleCount, pass_at_k, pass_rate, wilson
from evals.whole_runs import Passes
from models.plans import Frozen
from store.learning.datasets import trained_repositories
from store.runs.closed_runs import UNKNOWN, repository_kinds
from training.operation.log import EventKind, OperationEvent

if TYPE_CHECKING:
    from store.database import Engine

RESERVED, OUT_OF_DISTRIBUTION = "reserved", "out of distribution"


class Measure(Frozen):
    """What whole runs showed after a turn: whether each sample passed, by item and seed, with the adapters by stage.
    An item is named `repository@commit`."""

    turn: int
    round: int
    adapters: dict[str, str]
    samples: dict[str, dict[int, bool]]

    @property
    def passes(self) -> Passes:
        """Samples as whole runs are compared."""
        return {(item, seed): passed for item, seeds in self.samples.items() for seed, passed in seeds.items()}


class GroupRates(Frozen):
    """Pass rates of a group of reserved repositories after a turn; `k` is the fewest samples of an instance."""

    turn: int
    group: str
    k: int
    at_1: Rate
    at_k: Rate


def measured(turn: int, number: int, adapters: Mapping[str, str], passes: Passes) -> Measure:
    """Whole runs as they are kept in the log."""
    samples: dict[str, dict[int, bool]] = defaultdict(dict)
    for (item, seed), passed in sorted(passes.items()):
        samples[item][seed] = passed
    return Measure(turn=turn, round=number, adapters=dict(adapters), samples=dict(samples))


def repository_of(item: str) -> str:
    """The repository of an item of whole runs."""
    return item.rpartition("@")[0]


def group_rates(measure: Measure, unlike: Collection[str]) -> list[GroupRates]:
    """Rates of all reserved repositories, and of those out of distribution (`unlike`) if there are any."""
    names = {repository_of(item) for item in measure.samples}
    groups = {RESERVED: names, OUT_OF_DISTRIBUTION: names & set(unlike)}
    return [_rates(measure, group, chosen) for group, chosen in groups.items() if chosen]


def _rates(measure: Measure, group: str, repositories: Collection[str]) -> GroupRates:
    counted: dict[str, list[SampleCount]] = defaultdict(list)
    for item, seeds in measure.samples.items():
        if (name := repository_of(item)) in repositories:
            counted[name].append(SampleCount(len(seeds), sum(seeds.values())))
    k = min(each.samples for counts in counted.values() for each in counts)
    return GroupRates(turn=measure.turn, group=group, k=k, at_1=pass_rate(counted), at_k=_rate_at_k(counted, k))


def _rate_at_k(counted: Mapping[str, Sequence[SampleCount]], k: int) -> Rate:
    """pass@k over the instances, with an interval as that of pass@1."""
    values = {name: [pass_at_k(each.samples, each.passed, k) for each in found] for name, found in counted.items()}
    flat = [value for found in values.values() for value in found]
    mean = fmean(flat)
    constant = len(values) == 1 or min(flat) == max(flat)
    low, high = wilson(mean, len(flat)) if constant else interval(values)
    return Rate(
        value=mean,
        low=min(low, mean),
        high=max(high, mean),
        instances=len(flat),
        repositories=len(values),
        method="Wilson over instances" if constant else "cluster bootstrap over repositories",
        weak=len(values) < FEW_REPOSITORIES,
    )


def out_of_distribution(raw: "Engine", repositories: Collection[str]) -> set[str]:
    """Those of these repositories that are out of the distribution of what was trained on."""
    kinds = repository_kinds(raw)
    trained = [kinds[name] for name in trained_repositories(raw) if name in kinds]
    organisations = {kind.organisation for kind in trained} - {UNKNOWN}
    domains = {kind.domain for kind in trained} - {UNKNOWN}
    known = {name: kinds[name] for name in repositories if name in kinds}
    return {
        name
        for name, kind in known.items()
        if kind.organisation != UNKNOWN and kind.organisation not in organisations and kind.domain not in domains
    }


def read_measures(events: Sequence[OperationEvent]) -> list[Measure]:
    """The whole runs of all turns, in order."""
    found = [event.result for event in events if event.kind is EventKind.MEASURE and "measure" in event.result]
    return [Measure.model_validate(each["measure"]) for each in found]
