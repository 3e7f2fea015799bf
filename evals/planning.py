"""Figures of plans by type, from recorded runs: what meta plans, step plans and test plans were worth.

Each figure is a number between 0 and 1 for one trajectory, None where it does not apply to it:

    meta   file_coverage      share of the commit's production files that the parts name
           dependency_order   share of the commit's dependent changes that parts and steps take in the commit's order
           step_success       share of the planned steps that succeeded (`evals.step_success`), those of tests included
           kept               1 if no part was restructured on the way, else 0
    step   file_coverage      share of the commit's production files that the steps of parts target
           step_success       share of the steps of parts that succeeded
           at_once            share of them that succeeded at the first attempt
    test   names_f1           F1 of the names that the test plans say they cover, against those that the change defines
                              or edits: naming everything finds all of these, and costs precision
           step_success       share of the test steps that succeeded
           steady             share of the tests written that pass whenever they are run
           lines_run          share of the changed executable lines that these tests run
           hunks_noticed      share of the change's hunks whose reversal one of them detects (mutation testing)

A trajectory that was not asked for a plan of a type does not count there; one that was, and gave none that can be read,
has 0 in all its figures; so has one whose prompt was too long to ask for any, of a meta plan. What only a measurement
shows (`campaign.measure_tests`) is left out of a planner of whom nothing was measured. An instance's samples are
averaged; intervals are over repositories. Of pairs synthesized from a commit, only what needs no run counts.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from statistics import fmean
from typing import NamedTuple

from agent.planner import NO_PLAN
from evals.statistics import Rate, mean_rate
from evals.step_success import PlannedSteps, planned_steps, share_of
from models.manifest import PlanningType
from models.outcomes import OutcomeKind
from models.plans import Frozen, MetaPlan, PartPlan, Target, TestPlan
from models.protocols import Stage
from store.runs.plan_runs import PlanRun

_DEFINED = re.compile(r"^[ +-]\s*(?:export\s+)?(?:async\s+)?(?:def|class|function)\s+\*?\s*(\w+)")
_WORD = re.compile(r"\w+")


class Figure(NamedTuple):
    """A figure of a type of plans: its name, what it says in a table, its value for one trajectory, and whether that is
    only known where the tests written were measured."""

    name: str
    title: str
    value: "Callable[[_Run], float | None]"
    measured: bool = False


class PlanFigure(Frozen):
    """A figure over the instances of a campaign for one planner and one type of plans."""

    planner: str
    type: PlanningType
    name: str
    title: str
    rate: Rate


class _Run(NamedTuple):
    run: PlanRun
    steps: list[PlannedSteps]

    def of(self, tests: bool) -> list[PlannedSteps]:
        return [each for each in self.steps if isinstance(each.plan, TestPlan) is tests]

    @property
    def first(self) -> MetaPlan | None:
        """The meta plan that was accepted first."""
        plans = (each.plan for each in self.run.plans if each.stage is Stage.META_PLAN)
        return next((plan for plan in plans if isinstance(plan, MetaPlan)), None)

    @property
    def tried(self) -> bool:
        """Whether its steps were carried out, or could have been."""
        return not self.run.synthesized


def _meta_coverage(each: _Run) -> float | None:
    if each.first is None:
        return None
    return _coverage(each.run, (target for part in each.first.parts for target in part.targets))


def _order(each: _Run) -> float | None:
    return None if each.first is None or each.run.alignment is None else each.run.alignment.get("order")


def _downstream(each: _Run) -> float | None:
    return share_of(each.steps) if each.tried and each.first is not None else None


def _kept(each: _Run) -> float | None:
    if not each.tried or each.first is None:
        return None
    return float(all(plan.stage is not Stage.ADJUSTMENT for plan in each.run.plans))


def _step_coverage(each: _Run) -> float | None:
    plans = each.of(tests=False)
    if not plans:
        return None
    return _coverage(each.run, (target for of in plans for step in of.plan.steps for target in step.targets))


def _step_success(each: _Run) -> float | None:
    return share_of(each.of(tests=False)) if each.tried else None


def _at_once(each: _Run) -> float | None:
    done = [flag for of in each.of(tests=False) for flag in of.at_once.values()]
    return fmean(done) if done and each.tried else None


def _names_f1(each: _Run) -> float | None:
    plans, changed = each.of(tests=True), changed_names(each.run)
    if not plans or not changed:
        return None
    covered = set().union(*(_covered(of.plan, each.run) for of in plans))
    return 2 * len(changed & covered) / (len(changed) + len(covered))


def _test_steps(each: _Run) -> float | None:
    return share_of(each.of(tests=True)) if each.tried else None


def _steady(each: _Run) -> float | None:
    own = each.run.own_tests
    written = len(own.tests) + len(own.unsteady) if own else 0
    return len(own.tests) / written if own and written else None


def _lines_run(each: _Run) -> float | None:
    return each.run.own_tests.coverage if each.run.own_tests else None


def _noticed(each: _Run) -> float | None:
    own = each.run.own_tests
    return own.killed / own.total if own and own.total else None


FIGURES: dict[PlanningType, tuple[Figure, ...]] = {
    PlanningType.META: (
        Figure("file_coverage", "changed files named", _meta_coverage),
        Figure("dependency_order", "dependent changes in order", _order),
        Figure("step_success", "steps that succeeded, with tests", _downstream),
        Figure("kept", "plan not restructured", _kept),
    ),
    PlanningType.STEP: (
        Figure("file_coverage", "changed files targeted", _step_coverage),
        Figure("step_success", "steps that succeeded", _step_success),
        Figure("at_once", "... at the first attempt", _at_once),
    ),
    PlanningType.TEST: (
        Figure("names_f1", "F1 of names covered", _names_f1),
        Figure("step_success", "test steps that succeeded", _test_steps),
        Figure("steady", "tests that pass reliably", _steady, measured=True),
        Figure("lines_run", "changed lines run", _lines_run, measured=True),
        Figure("hunks_noticed", "reverted hunks noticed", _noticed, measured=True),
    ),
}


STAGES = {
    PlanningType.META: Stage.META_PLAN,
    PlanningType.STEP: Stage.PART_PLAN,
    PlanningType.TEST: Stage.TEST_PLAN,
}
"""The stage that makes each type of plans."""


def figures_of(run: PlanRun) -> Iterator[tuple[PlanningType, Figure, float]]:
    """The figures that apply to a trajectory."""
    each = _Run(run, planned_steps(run.steps))
    for kind, figures in FIGURES.items():
        unread = STAGES[kind] in _asked(run) and all(plan.stage is not STAGES[kind] for plan in run.plans)
        for figure in figures:
            if (value := 0.0 if unread else figure.value(each)) is not None:
                yield kind, figure, value


def _asked(run: PlanRun) -> Collection[Stage]:
    """The planning stages that were asked, or would have been if the prompt had not been too long."""
    refused = not run.asked and run.outcome == OutcomeKind.PROMPT_TOO_LONG and run.planner != NO_PLAN
    return {Stage.META_PLAN} if refused else run.asked


Values = dict[str, dict[tuple[PlanningType, str], dict[tuple[str, str], list[float]]]]
"""By planner, by figure, by instance (repository and commit): the values of its samples."""


def figure_values(runs: Iterable[PlanRun]) -> Values:
    """The values of all figures of some trajectories."""
    found: Values = {}
    measured = set()
    for run in runs:
        if run.own_tests is not None:
            measured.add(run.planner)
        for kind, figure, value in figures_of(run):
            samples = found.setdefault(run.planner, {}).setdefault((kind, figure.name), {})
            samples.setdefault((run.repository, run.instance.commit), []).append(value)
    of_measured = {(kind, figure.name) for kind, of_kind in FIGURES.items() for figure in of_kind if figure.measured}
    return {
        planner: {key: each for key, each in figures.items() if planner in measured or key not in of_measured}
        for planner, figures in found.items()
    }


def planning_figures(runs: Iterable[PlanRun], seed: int = 0) -> list[PlanFigure]:
    """The figures of each planner and type of plans, with 95% intervals over repositories."""
    made = []
    for planner, figures in sorted(figure_values(runs).items()):
        for kind, each in ((kind, each) for kind, of_kind in FIGURES.items() for each in of_kind):
            if samples := figures.get((kind, each.name)):
                rate = mean_rate(by_repository({place: fmean(values) for place, values in samples.items()}), seed)
                made.append(PlanFigure(planner=planner, type=kind, name=each.name, title=each.title, rate=rate))
    return made


def by_repository(values: dict[tuple[str, str], float]) -> dict[str, list[float]]:
    """Values of instances, by their repositories."""
    found: dict[str, list[float]] = {}
    for (repository, _), value in sorted(values.items()):
        found.setdefault(repository, []).append(value)
    return found


def changed_names(run: PlanRun) -> set[str]:
    """The last parts of the names that a trajectory's change touches outside of tests: those of its hunks if its tests
    were measured, else functions and classes on the lines of its patch, and the symbols that its steps target."""
    own = run.own_tests
    if own is not None and (names := {_last(name) for mutant in own.mutants for name in mutant.names}):
        return names
    files = _changed_files(run)
    targets = [
        target
        for each in planned_steps(run.steps)
        if not isinstance(each.plan, TestPlan)
        for step in each.plan.steps
        if each.succeeded[step.id]
        for target in step.targets
    ]
    named = {_last(each.symbol) for each in targets if each.symbol and each.path in files}
    defined = (_DEFINED.match(line) for lines in files.values() for line in lines)
    return named | {match[1] for match in defined if match}


def _changed_files(run: PlanRun) -> dict[str, list[str]]:
    """The lines of the patch of each file that is not one of tests."""
    files: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in run.patch.splitlines():
        if line.startswith("diff --git "):
            path = line.rpartition(" b/")[2]
            lines = None if _of_tests(path, run.instance.test_files) else files.setdefault(path, [])
        elif lines is not None and not line.startswith(("--- ", "+++ ")):
            lines.append(line)
    return files


def _of_tests(path: str, known: Sequence[str]) -> bool:
    parts = PurePosixPath(path).parts
    named = any(part in ("test", "tests", "__tests__") for part in parts[:-1]) or re.search(
        r"^test_|_test\.|\.test\.|\.spec\.|^conftest\.py$", parts[-1]
    )
    return path in known or bool(named)


def _covered(plan: PartPlan, run: PlanRun) -> set[str]:
    """The names of code that a test plan says it covers, and those that its steps target outside of tests."""
    covers = plan.covers if isinstance(plan, TestPlan) else ()
    targets = (target for step in plan.steps for target in step.targets)
    targeted = (each.symbol for each in targets if each.symbol and not _of_tests(each.path, run.instance.test_files))
    words = (_WORD.findall(text.partition("(")[0]) for text in (*covers, *targeted))
    return {found[-1] for found in words if found}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _coverage(run: PlanRun, targets: Iterable[Target]) -> float | None:
    """The share of the commit's production files among targets; None if the commit changes none."""
    wanted = set(run.instance.production_files)
    named = {path for target in targets for path in (target.path, target.new_path) if path}
    return len(wanted & named) / len(wanted) if wanted else None
