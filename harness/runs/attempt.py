"""One attempt at one instance: a planner works on the parent's files and leaves a patch; the hidden tests judge it."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.loop import solve
from harness.packages.gold_patch import GoldPatch, read_gold_patch
from harness.packages.package import RepoPackage
from harness.planners.registry import PLANNERS, PlannerInputs
from harness.runs.alignment import align
from harness.runs.model_pool import ModelPool, seed_of
from harness.runs.step_tests import ReportCache, StepTests, run_anew, step_tests
from harness.runs.workspace import TreeWorkspace
from models.edits import EditFormat
from models.files import Overlay
from models.limits import LoopLimits
from models.manifest import Instance
from models.outcomes import OutcomeKind, Validation
from models.plans import Frozen, MetaPlan, StepStatus
from models.protocols import Planner, Recorder, Task
from models.solution import Solution, StopReason
from runtime.trees import Runtime, checked_out

if TYPE_CHECKING:
    from repos.index import RepositoryIndex


class File(Frozen):
    """A text file that a planner left."""

    text: str
    executable: bool = False


class AttemptResult(Frozen):
    """The result of an attempt: its patch for display, its files for validation, how the loop ended, its alignment.

    `solution` is the loop's own result, plans and context included.
    """

    patch: str
    files: dict[str, File | None]
    end: OutcomeKind | None
    detail: str
    alignment: dict[str, float]
    solution: Solution | None = None

    @property
    def changes(self) -> Overlay:
        """The files as an overlay."""
        return {p: None if f is None else (f.text.encode(), f.executable) for p, f in self.files.items()}

    def canonical(self) -> str:
        """The same files as the same text."""
        return json.dumps(self.model_dump(mode="json", include={"files"}), sort_keys=True, ensure_ascii=True)


@dataclass(frozen=True)
class InstanceContext:
    """An instance with its package, its gold patch, and the runtime to judge by."""

    runtime: Runtime
    package: RepoPackage
    instance: Instance

    @property
    def has_answer(self) -> bool:
        """Whether there is a reference commit; a user's own task has none."""
        return self.instance.commit != self.instance.base_commit

    def gold(self) -> GoldPatch:
        """The commit's own change. Never shown to a planner under evaluation."""
        return read_gold_patch(self.package.git, self.instance.commit, self.instance.base_commit)

    def task(self) -> Task:
        """The task as shown to a planner."""
        return Task(text=self.instance.task, repository=self.package.manifest.name, base=self.instance.base_commit)


def make_planner(
    name: str,
    instance_context: InstanceContext,
    edit_format: EditFormat | None = None,
    temperature: float = 0.0,
    sample: int = 0,
    pool: ModelPool | None = None,
) -> Planner:
    """A planner of a kind for an instance. Model planners need a pool.

    Without an edit format, gold writes search/replace blocks and a model the format of its endpoint.
    """
    seed = seed_of(instance_context.instance.instance_id, sample)
    return PLANNERS[name].make(PlannerInputs(instance_context.gold, edit_format, temperature, seed, pool))


@dataclass(frozen=True)
class StepTesting:
    """Tests after each step, with a time limit in seconds; `keep` may return a cached report."""

    seconds: float
    keep: ReportCache = run_anew


def work(
    instance_context: InstanceContext,
    planner: Planner,
    recorder: Recorder,
    limits: LoopLimits,
    index: "RepositoryIndex | None" = None,
    testing: StepTesting | None = None,
) -> AttemptResult:
    """Run a planner on the parent's files.

    `index` is that of the parent: without one nothing is retrieved. Without `testing` no tests run after steps.
    """
    with ExitStack() as held:
        tree = held.enter_context(
            checked_out(
                instance_context.package.git, instance_context.instance.base_commit, instance_context.runtime.scratch
            )
        )
        tests: StepTests | None = None
        if testing is not None:
            tests = held.enter_context(
                step_tests(
                    instance_context.runtime,
                    instance_context.package,
                    instance_context.instance,
                    tree,
                    testing.seconds,
                    index,
                    testing.keep,
                )
            )

        workspace = TreeWorkspace(tree, tests.run if tests else None)
        solution = solve(instance_context.task(), planner, workspace, recorder, limits, index)
        changes = workspace.changes()
        patch = workspace.patch()
    plans = (*solution.part_plans, *solution.test_plans)
    alignment = (
        align(solution.meta or MetaPlan(), plans, instance_context.gold()).model_dump()
        if instance_context.has_answer
        else {}
    )
    return AttemptResult(
        patch=patch,
        files={d.path: d.after and File(text=d.after.text, executable=d.after.executable) for d in changes},
        end=_end(solution),
        detail=solution.detail or _first_failure(solution),
        alignment={name: round(value, 4) for name, value in alignment.items()},
        solution=solution,
    )


_ENDS = {
    StopReason.STOPPED: OutcomeKind.PLANNER_STOPPED,
    StopReason.PLAN_MALFORMED: OutcomeKind.PLAN_MALFORMED,
    StopReason.TOO_MANY_PARTS: OutcomeKind.LIMITS_REACHED,
    StopReason.TOO_MANY_STEPS: OutcomeKind.LIMITS_REACHED,
    StopReason.TOO_MANY_REVISIONS: OutcomeKind.LIMITS_REACHED,
    StopReason.PROMPT_TOO_LONG: OutcomeKind.PROMPT_TOO_LONG,
}


def _first_failure(solution: Solution) -> str:
    """The first failed step and its reason in one line; empty if none failed."""
    for result in solution.step_results:
        if result.status is StepStatus.EDIT_REJECTED:
            return f"step {result.part_id}/{result.step_id}: {' '.join(result.detail.split())[:300]}"
    return ""


def _end(solution: Solution) -> OutcomeKind | None:
    """The outcome implied by the loop's own end, None if it completed the plan."""
    if solution.stopped_reason is not StopReason.FINISHED:
        return _ENDS[solution.stopped_reason]
    rejected = any(result.status is StepStatus.EDIT_REJECTED for result in solution.step_results)
    return OutcomeKind.EDIT_REJECTED if rejected else None


def outcome_of(done: AttemptResult, verdict: Validation) -> tuple[OutcomeKind, str]:
    """The outcome of an attempt: the hidden tests decide success, the loop's own end explains a failure."""
    if verdict.kind in (OutcomeKind.PASSED, OutcomeKind.PASSED_UNCONFIRMED):
        return verdict.kind, verdict.detail
    if done.end is not None:
        return done.end, f"{done.detail}; judged all the same: {verdict.kind.value}: {verdict.detail}"
    if not done.files:
        return OutcomeKind.EMPTY_PATCH, f"judged all the same: {verdict.kind.value}: {verdict.detail}"
    return verdict.kind, verdict.detail
