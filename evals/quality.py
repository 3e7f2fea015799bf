"""Quality and cost of a campaign's planners: the report's figures, from the database."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from evals.statistics import Rate, SampleCount, mean_pass_at_k, pass_rate
from models.outcomes import OutcomeKind
from models.plans import Frozen
from store.runs import ClosedTrajectory, OwnTests, StageUse, Usage

UNATTRIBUTED = "not attributed"


class OwnTestsQuality(Frozen):
    """Quality of a planner's own tests, over the trajectories that wrote some.

    `tests` counts those in the test files it wrote, `steady` those of them that pass reliably. `lines_run` is the share
    of its changed executable lines that the steady tests run, `hunks_noticed` the share of its hunks whose reversal one
    of them detects; None without any such lines or hunks.
    """

    trajectories: int
    tests: int
    steady: int
    lines_run: float | None
    hunks_noticed: float | None


class PlannerQuality(Frozen):
    """One planner's figures. `trajectories` are the closed ones; those without a verdict do not count.

    pass@k takes an instance's samples at all temperatures together; where all trajectories are pairs synthesized from
    commits there are no rates, and `pass_at_1` is None. `attribution` counts failures by the stage at
    fault. `context_tokens` is the median size of the retrieved context. `own_tests` is None if none were measured.
    """

    planner: str
    trajectories: int
    pass_at_1: Rate | None
    by_temperature: dict[str, Rate]
    by_repository: dict[str, Rate]
    pass_at_k: dict[int, float]
    attribution: dict[str, int]
    context_tokens: float | None
    rungs: dict[str, int]
    own_tests: OwnTestsQuality | None
    stages: tuple[StageUse, ...]

    @property
    def cost(self) -> float:
        """The total cost of its calls."""
        return sum(stage.cost for stage in self.stages)


def qualities(usage: Usage) -> list[PlannerQuality]:
    """The figures of each planner with a closed trajectory or a call, in name order."""
    planners = sorted({result.planner for result in usage.results})
    return [_quality(planner, usage) for planner in planners]


def _quality(planner: str, usage: Usage) -> PlannerQuality:
    results = [result for result in usage.results if result.planner == planner]
    contexts = [result.context_tokens for result in results if result.context_tokens is not None]
    judged = [result for result in results if not result.synthesized]
    temperatures = sorted({result.temperature for result in judged})
    failures = [result for result in results if OutcomeKind(result.outcome).failed]
    return PlannerQuality(
        planner=planner,
        trajectories=len(results),
        pass_at_1=pass_rate(_solved(judged)) if judged else None,
        by_temperature={
            f"{temperature:g}": pass_rate(_solved(r for r in judged if r.temperature == temperature))
            for temperature in temperatures
        },
        by_repository={repository: pass_rate({repository: samples}) for repository, samples in _solved(judged).items()},
        pass_at_k=_pass_at_k([each for group in _solved(judged).values() for each in group]) if judged else {},
        attribution=dict(sorted(Counter(result.label or UNATTRIBUTED for result in failures).items())),
        context_tokens=statistics.median(contexts) if contexts else None,
        rungs=usage.rungs.get(planner, {}),
        own_tests=_own_tests([own for own in usage.own_tests if own.planner == planner]),
        stages=tuple(stage for stage in usage.stages if stage.planner == planner),
    )


def _own_tests(measured: Sequence[OwnTests]) -> OwnTestsQuality | None:
    if not measured:
        return None
    lines, hunks = sum(own.lines for own in measured), sum(own.hunks for own in measured)
    return OwnTestsQuality(
        trajectories=len(measured),
        tests=sum(own.tests for own in measured),
        steady=sum(own.steady for own in measured),
        lines_run=sum(own.ran for own in measured) / lines if lines else None,
        hunks_noticed=sum(own.noticed for own in measured) / hunks if hunks else None,
    )


def _solved(results: Iterable[ClosedTrajectory]) -> dict[str, list[SampleCount]]:
    """Samples and passes of each instance, by repository."""
    counted: dict[tuple[str, str], list[bool]] = {}
    for result in results:
        counted.setdefault((result.repository, result.instance), []).append(result.passed)
    found: dict[str, list[SampleCount]] = {}
    for (repository, _), passed in sorted(counted.items()):
        found.setdefault(repository, []).append(SampleCount(len(passed), sum(passed)))
    return found


def _pass_at_k(instances: Sequence[SampleCount]) -> dict[int, float]:
    """pass@k for k = 1, 2, 4, ... and the most samples that every instance has."""
    least = min(each.samples for each in instances)
    ks = sorted({k for k in (1, 2, 4, 8, 16, 32, 64) if k < least} | {least})
    return {k: value for k in ks if (value := mean_pass_at_k(instances, k)) is not None}
