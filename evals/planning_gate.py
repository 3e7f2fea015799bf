"""Plans of two bases in two campaigns over the same instances: what a gate makes of their figures by type.

The figures are those of `evals.planning` that speak of a plan's worth; they are paired by instance and tested over
repositories, corrected by Holm's method over all of them. A significant fall rejects, and nothing here promotes: the
rates of whole runs are what planning adapters are promoted by.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from evals.paired import family_over_repositories, interval
from evals.planning import FIGURES, by_repository, figure_values
from evals.thresholds import Rules
from models.base_evaluation import PlanningTest
from models.errors import EvaluationError
from models.manifest import PlanningType
from store.runs.plan_runs import PlanRun

GATED: Mapping[PlanningType, tuple[str, ...]] = {
    PlanningType.META: ("file_coverage", "dependency_order", "step_success"),
    PlanningType.STEP: ("step_success",),
    PlanningType.TEST: ("names_f1", "lines_run", "hunks_noticed"),
}
Instances = dict[tuple[PlanningType, str], dict[tuple[str, str], list[float]]]


def compare_planning(before: Iterable[PlanRun], after: Iterable[PlanRun], rules: Rules) -> list[PlanningTest]:
    """The gated figures of two campaigns with one planner each, on the instances that both have.

    Raises EvaluationError if they have none in common.
    """
    old, new = _of_one_planner(before), _of_one_planner(after)
    groups: dict[tuple[PlanningType, str], tuple[float, float, dict[str, list[float]]]] = {}
    for kind, figures in FIGURES.items():
        for name in (each.name for each in figures if each.name in GATED[kind]):
            first, then = old.get((kind, name), {}), new.get((kind, name), {})
            if common := sorted(first.keys() & then.keys()):
                pairs = {place: (fmean(first[place]), fmean(then[place])) for place in common}
                sides = [fmean(pair[side] for pair in pairs.values()) for side in (0, 1)]
                differences = by_repository({place: pair[1] - pair[0] for place, pair in pairs.items()})
                groups[kind, name] = (sides[0], sides[1], differences)
    if not groups:
        raise EvaluationError(
            "the two campaigns have no instance in common on which both planned; run both on the same"
        )
    family = family_over_repositories(
        {key: each for key, (_, _, each) in groups.items()}, rules.repositories, rules.seed
    )
    tests = []
    for key, (champion, challenger, differences) in groups.items():
        low, high = interval(differences, rules.seed)
        tests.append(
            PlanningTest(
                type=key[0],
                figure=key[1],
                champion=champion,
                challenger=challenger,
                difference=challenger - champion,
                low=low,
                high=high,
                p_repository=family[key][0],
                p_adjusted=family[key][1],
                instances=sum(map(len, differences.values())),
                repositories=len(differences),
            )
        )
    return tests


def fallen(tests: Sequence[PlanningTest], rules: Rules) -> list[str]:
    """The figures that fell significantly, in words."""
    return [
        f"{each.figure} of {each.type.value} plans {each.champion:.3f} to {each.challenger:.3f}"
        for each in tests
        if each.difference < 0 and each.p_adjusted <= rules.alpha
    ]


def _of_one_planner(runs: Iterable[PlanRun]) -> Instances:
    found = figure_values(runs)
    if len(found) > 1:
        raise EvaluationError(f"a campaign has plans of {', '.join(sorted(found))}; compare one planner at a time")
    return next(iter(found.values()), {})
