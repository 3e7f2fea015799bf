"""Plants faults in attempts at real instances, verifies that each makes its attempt fail, and attributes the failure.

Attribution gets the input of a campaign: the plans, the context, the resulting files, the outcome.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from evals.planted.contexts import complete
from evals.planted.faults import AttemptStyle, Fault, FaultKind, faults, no_fault
from harness.attribution import AttributionExperiments, attribute
from harness.planners import GoldPlanner
from harness.runs.attempt import InstanceContext, outcome_of, work
from harness.runs.verdicts import Judge
from models.attribution import Attribution, Label, attributable
from models.context import ContextPackage
from models.edits import EditFormat, EditResult
from models.files import Overlay
from models.limits import LoopLimits
from models.outcomes import OutcomeKind
from models.plans import MetaPlan, PartPlan
from models.protocols import Answer, Request, Stage
from models.solution import Solution
from models.suite import SuiteReport

TRIES = 4
"""The most candidate faults of a kind that are tried on an instance until one makes it fail."""
BY_LABEL = {label: [kind for kind in FaultKind if kind.label is label] for label in Label}


@dataclass(frozen=True)
class PlantedCase:
    """An attempt that failed because of its planted fault."""

    fault: Fault
    solution: Solution
    work: Overlay
    outcome: OutcomeKind


@dataclass(frozen=True)
class PlantedResult:
    """A case, the kind of its fault, and its attribution."""

    instance: str
    kind: FaultKind
    case: PlantedCase
    found: Attribution

    @property
    def right(self) -> bool:
        """Whether attribution found the stage of the fault."""
        return self.found.label is self.kind.label


class _NullRecorder:
    """A recorder that discards everything."""

    def call(self, request: Request, answer: Answer) -> None: ...
    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None: ...
    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None: ...
    def tests(self, purpose: str, report: SuiteReport) -> None: ...
    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None: ...


def run_suite(
    cases: Iterable[tuple[InstanceContext, Judge, ContextPackage | None]], each: int = 1
) -> Iterator[PlantedResult]:
    """Plant `each` faults per label in each instance, cycling through kinds and styles.

    Instances whose attempt fails without a fault are left out: they need changes of documentation, which the attempts
    do not make.
    """
    for number, (instance_context, judge, found) in enumerate(cases):
        gold = GoldPlanner(instance_context.gold(), EditFormat.SEARCH_REPLACE)
        context, manner = complete(gold, found), AttemptStyle(coarse=number % 2 == 1, besides=number % 4 > 1)
        if (
            attempt(instance_context, judge, no_fault(instance_context, gold, context, manner)).outcome
            is not OutcomeKind.PASSED
        ):
            continue
        for kinds in BY_LABEL.values():
            planted = 0
            for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)] if kinds else []:
                case = find_case(instance_context, judge, gold, context, kind, manner)
                if case is None:
                    continue
                attribution = attribute(
                    AttributionExperiments(instance_context, judge), case.solution, case.work, case.outcome
                )
                yield PlantedResult(instance_context.instance.instance_id, kind, case, attribution)
                planted += 1
                if planted == each:
                    break


def find_case(
    instance_context: InstanceContext,
    judge: Judge,
    gold: GoldPlanner,
    context: ContextPackage,
    kind: FaultKind,
    manner: AttemptStyle,
) -> PlantedCase | None:
    """A fault of a kind that makes an attempt at the instance fail; None if none of the tried ones does."""
    if kind is FaultKind.SYMBOL_HIDDEN:
        manner = replace(manner, coarse=False)
    for fault in islice(faults(instance_context, gold, context, kind, manner), TRIES):
        case = attempt(instance_context, judge, fault)
        if attributable(case.outcome):
            return case
    return None


def attempt(instance_context: InstanceContext, judge: Judge, fault: Fault) -> PlantedCase:
    """An attempt with a fault in it, judged."""
    done = work(instance_context, fault.planner, _NullRecorder(), LoopLimits())
    assert done.solution is not None
    outcome, _ = outcome_of(done, judge(done.changes))
    return PlantedCase(fault, done.solution.model_copy(update={"context": fault.context}), done.changes, outcome)


def confusion(results: Iterable[PlantedResult]) -> Counter[tuple[Label, Label]]:
    """Counts by (stage of the fault, attributed stage)."""
    return Counter((result.kind.label, result.found.label) for result in results)
