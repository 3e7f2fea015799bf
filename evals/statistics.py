"""Pass rates with intervals clustered by repository, and pass@k."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from models.plans import Frozen

RESAMPLES = 4000
FEW_REPOSITORIES = 5
_NORMAL = 1.959963984540054  # the 97.5% quantile


class Rate(Frozen):
    """A rate between 0 and 1 with its 95% interval, and the basis of that.

    `weak`: too few repositories for the interval to generalise to others.
    """

    value: float
    low: float
    high: float
    instances: int
    repositories: int
    method: str
    weak: bool


class SampleCount(NamedTuple):
    """How many of an instance's samples passed."""

    samples: int
    passed: int


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """An unbiased estimate of the probability that at least one of `k` samples passes, if `passed` of `samples` did.

    The estimator of Chen et al. 2021, "Evaluating Large Language Models Trained on Code". Raises ValueError if there
    are fewer than `k` samples.
    """
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise ValueError(f"pass@{k} needs at least {k} samples, and {passed} of {samples} passed")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def mean_pass_at_k(instances: Sequence[SampleCount], k: int) -> float | None:
    """pass@k averaged over the instances with `k` samples; None without any."""
    values = [pass_at_k(each.samples, each.passed, k) for each in instances if each.samples >= k]
    return sum(values) / len(values) if values else None


def pass_rate(by_repository: Mapping[str, Sequence[SampleCount]], seed: int = 0) -> Rate:
    """pass@1 with equal weight for each instance, and an interval clustered by repository, as of `mean_rate`.

    Raises ValueError when there are no instances.
    """
    return mean_rate(
        {name: [each.passed / each.samples for each in found] for name, found in by_repository.items()}, seed
    )


def mean_rate(by_repository: Mapping[str, Sequence[float]], seed: int = 0) -> Rate:
    """The mean of one value between 0 and 1 per instance, and its interval, clustered by repository.

    The interval is the 2.5% and 97.5% quantiles of the cluster bootstrap over whole repositories (too narrow with few
    clusters, hence `weak`). Where that cannot vary, with one repository or equal instances, it is Wilson's over
    instances instead. The result is reproducible. Raises ValueError when there are no instances.
    """
    groups = [list(by_repository[name]) for name in sorted(by_repository) if by_repository[name]]
    values = [value for group in groups for value in group]
    if not values:
        raise ValueError("no instance has a closed trajectory")
    mean = sum(values) / len(values)
    if len(groups) == 1 or min(values) == max(values):
        low, high = wilson(mean, len(values))
        method = "Wilson over instances"
    else:
        low, high = _bootstrap([(sum(group), len(group)) for group in groups], seed)
        method = "cluster bootstrap over repositories"
    return Rate(
        value=mean,
        low=min(low, mean),
        high=max(high, mean),
        instances=len(values),
        repositories=len(groups),
        method=method,
        weak=len(groups) < FEW_REPOSITORIES,
    )


def wilson(rate: float, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a rate observed in `count` independent trials."""
    square = _NORMAL**2 / count
    middle = (rate + square / 2) / (1 + square)
    half = _NORMAL * math.sqrt(rate * (1 - rate) / count + square / (4 * count)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def _bootstrap(groups: Sequence[tuple[float, int]], seed: int) -> tuple[float, float]:
    chance = random.Random(seed)
    rates = []
    for _ in range(RESAMPLES):
        drawn = [groups[chance.randrange(len(groups))] for _ in groups]
        rates.append(sum(total for total, _ in drawn) / sum(count for _, count in drawn))
    rates.sort()
    return rates[int(0.025 * RESAMPLES)], rates[int(0.975 * RESAMPLES) - 1]
