"""The main loop: a task becomes a context, a plan, parts, steps, and edits, each tested at once.

    retrieval -> meta_plan -> per part: part_plan -> (per step: code -> apply -> affected tests -> one retry)
              -> test_plan -> (the same for test steps) -> adjustment
    and an adjustment at once when a step fails its retry. A planner that does not plan gets one step: the task.

Its only side effects are calls of the planner, the workspace and the recorder. An InfrastructureError of theirs passes
through; any other failure is part of the Solution.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from agent.asking import ATTEMPTS, MALFORMED, Asker, Unanswered, attempts_of, place_of, record_answer
from agent.edits.parse import parse_edits
from agent.plan.parse import parse_adjustment, parse_meta_plan, parse_part_plan, parse_test_plan
from agent.regressions import Baseline, step_purpose
from models.context import ContextPackage, Relevance
from models.edits import Edit, RenameFile
from models.errors import EditError, PromptTooLong
from models.limits import LoopLimits
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanStep, StepResult, StepStatus, Target, TestPlan, Verdict
from models.protocols import Planner, Recorder, Request, SourceFile, Stage, Task, Workspace
from models.solution import Solution, StopReason

if TYPE_CHECKING:
    from repos.index import RepositoryIndex

T = TypeVar("T")


def solve(
    task: Task,
    planner: Planner,
    workspace: Workspace,
    recorder: Recorder,
    limits: LoopLimits | None = None,
    index: "RepositoryIndex | None" = None,
    context: ContextPackage | None = None,
) -> Solution:
    """Work on a task in `workspace`; what was done before a stop is kept and is in the Solution.

    `index` is of the workspace's files as they are now and of the history before them; without one there is no
    retrieval, and the planner sees the task and `context`, if there is one.

    Raises InfrastructureError when the model could not be reached or the tests could not be run.
    """
    loop = _Loop(task, planner, workspace, recorder, limits or LoopLimits(), Baseline(workspace, recorder), context)
    return loop.solution_of(index)


def plan(
    task: Task, planner: Planner, workspace: Workspace, recorder: Recorder, index: "RepositoryIndex | None" = None
) -> Solution:
    """The plans of a task, without any step carried out. Raises as `solve` does."""
    loop = _Loop(task, planner, workspace, recorder, LoopLimits(), Baseline(workspace, recorder))
    return loop.solution_of(index, plans_only=True)


class _Stop(Exception):
    """Ends the loop early, with a named reason."""

    def __init__(self, reason: StopReason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass
class _Loop:
    task: Task
    planner: Planner
    workspace: Workspace
    recorder: Recorder
    limits: LoopLimits
    baseline: Baseline
    context: ContextPackage | None = None
    meta: MetaPlan | None = None
    begun: list[MetaPlanPart] = field(default_factory=list)
    waiting: list[MetaPlanPart] = field(default_factory=list)
    part_plans: list[PartPlan] = field(default_factory=list)
    test_plans: list[TestPlan] = field(default_factory=list)
    results: list[StepResult] = field(default_factory=list)
    steps_taken: int = 0
    revisions: int = 0

    def solution_of(self, index: "RepositoryIndex | None", *, plans_only: bool = False) -> Solution:
        """Retrieve, plan and, unless `plans_only`, carry the plan out; how that ended."""
        try:
            if index is not None:
                self.retrieve(index)
            if plans_only:
                self.plan_all()
            else:
                self.run()
        except _Stop as stop:
            return self.solution(stop.reason, stop.detail)
        except PromptTooLong as error:
            return self.solution(StopReason.PROMPT_TOO_LONG, str(error))
        return self.solution(StopReason.FINISHED)

    def retrieve(self, index: "RepositoryIndex") -> None:
        from agent.retrieve.retrieval import retrieve

        self.context = retrieve(self.task, self.planner, index, self.recorder)

    def plan_all(self) -> None:
        self.meta = self.ask(self.request(Stage.META_PLAN), parse_meta_plan)
        for part in self.meta.in_order():
            self.part_plans.append(self.plan_part(part))

    def run(self) -> None:
        if not self.planner.plans:
            self.go_straight()
            return
        self.meta = self.ask(self.request(Stage.META_PLAN), parse_meta_plan)
        self.recorder.plan(Stage.META_PLAN, self.meta)
        self.waiting = self.meta.in_order()
        while self.waiting:
            if len(self.begun) == self.limits.max_parts:
                raise _Stop(StopReason.TOO_MANY_PARTS, f"more than {self.limits.max_parts} parts")
            part = self.waiting.pop(0)
            self.begun.append(part)
            if self.implement(part) and self.write_tests(part):
                self.adjust(part)

    def go_straight(self) -> None:
        """Without a plan: one step, the task itself, on the files that retrieval found relevant."""
        files = self.context.files if self.context else ()
        relevant = [file for file in files if file.relevance is Relevance.RELEVANT] or list(files)
        targets = tuple(Target(path=file.path) for file in relevant)
        if not targets:
            raise _Stop(StopReason.STOPPED, "retrieval found no file to work on")
        part = MetaPlanPart(id="task", title="the task", description=self.task.text, targets=targets)
        plan = PartPlan(part_id=part.id, steps=(PlanStep(id="task", description=self.task.text, targets=targets),))
        self.meta = MetaPlan(parts=(part,))
        self.begun.append(part)
        self.part_plans.append(plan)
        self.results.append(self.take_step(part, plan, plan.steps[0], for_tests=False))

    def implement(self, part: MetaPlanPart) -> bool:
        """Plan a part and carry out its steps; False if the plan was revised on the way."""
        plan = self.plan_part(part)
        self.part_plans.append(plan)
        return self.take_steps(part, plan, for_tests=False)

    def plan_part(self, part: MetaPlanPart) -> PartPlan:
        """Ask for the steps of a part."""
        request = self.request(Stage.PART_PLAN, meta=self.meta, part=part, changes=self.workspace.patch())
        plan = self.ask(request, lambda text: parse_part_plan(text, part))
        self.recorder.plan(Stage.PART_PLAN, plan)
        return plan

    def write_tests(self, part: MetaPlanPart) -> bool:
        """Plan a part's tests and write them; False if the plan was revised on the way."""
        request = self.request(Stage.TEST_PLAN, meta=self.meta, part=part, changes=self.workspace.patch())
        plan = self.ask(request, lambda text: parse_test_plan(text, part))
        self.recorder.plan(Stage.TEST_PLAN, plan)
        self.test_plans.append(plan)
        return self.take_steps(part, plan, for_tests=True)

    def take_steps(self, part: MetaPlanPart, plan: PartPlan, for_tests: bool) -> bool:
        steps = plan.in_order()
        try:
            while steps:
                if self.steps_taken == self.limits.max_steps:
                    raise _Stop(StopReason.TOO_MANY_STEPS, f"more than {self.limits.max_steps} steps")
                result = self.take_step(part, plan, steps.pop(0), for_tests)
                self.results.append(result)
                if result.status is not StepStatus.DONE and self.adjust(part) is Verdict.REVISE:
                    return False
        finally:
            self.results += [_not_run(part, step) for step in steps]
        return True

    def take_step(self, part: MetaPlanPart, plan: PartPlan, step: PlanStep, for_tests: bool) -> StepResult:
        """Code a step, apply it, run the tests it may break; retry once with what went wrong.

        If the edits of the retry could not be applied, a generalist codes it, if there is one.
        """
        self.steps_taken += 1
        request = self.request(
            Stage.CODE, meta=self.meta, part=part, plan=plan, step=step,
            for_tests=for_tests, edit_format=self.planner.edit_format,
        )  # fmt: skip
        status, failure = StepStatus.NOT_RUN, ""
        changed, tried = set[str](), 0
        for attempt in range(attempts_of(self.planner)):
            if attempt >= ATTEMPTS and status is not StepStatus.EDIT_REJECTED:
                break
            tried = attempt + 1
            try:
                edits = self.code(request.model_copy(update={"attempt": attempt, "failure": failure}))
                self.apply(part, step, attempt, edits)
            except EditError as error:
                status, failure = StepStatus.EDIT_REJECTED, str(error)
                continue
            changed |= _paths(edits)
            failure = self.baseline.regressions(sorted(changed), step_purpose(part.id, step.id, attempt))
            status = StepStatus.TESTS_FAILED if failure else StepStatus.DONE
            if not failure:
                break
        self.baseline.settle()
        return StepResult(part_id=part.id, step_id=step.id, status=status, attempts=tried, detail=failure)

    def code(self, request: Request) -> list[Edit]:
        """Ask for a step's edits, showing the current files it targets; raises EditError if they are unusable."""
        assert request.step is not None
        targets = request.step.targets
        paths = dict.fromkeys(path for target in targets for path in (target.path, target.new_path) if path)
        files = tuple(SourceFile(path=path, text=self.workspace.read(path)) for path in paths)
        request = request.model_copy(update={"files": files})
        answer = self.planner.answer(request)
        record_answer(self.recorder, request, answer)
        try:
            return parse_edits(answer.text)
        except EditError as error:
            self.recorder.decision(Stage.CODE, place_of(request), MALFORMED, str(error))
            raise

    def apply(self, part: MetaPlanPart, step: PlanStep, attempt: int, edits: list[Edit]) -> None:
        """Apply a step's edits, all or nothing; raises EditError for the coder if one is rejected."""
        self.baseline.run_before(sorted(_paths(edits)))
        results = self.workspace.apply(edits)
        self.recorder.edits(part.id, step.id, attempt, results)
        errors = [result.error for result in results if result.error is not None]
        if errors:
            raise EditError("\n".join(dict.fromkeys(errors)))

    def adjust(self, part: MetaPlanPart) -> Verdict:
        """Ask what to do with the rest of the plan, and apply it; raises _Stop to end the loop."""
        request = self.request(
            Stage.ADJUSTMENT, meta=self.meta, part=part, results=tuple(self.results), changes=self.workspace.patch()
        )
        adjustment = self.ask(request, lambda text: parse_adjustment(text, self.begun))
        self.recorder.decision(Stage.ADJUSTMENT, part.id, adjustment.verdict.value, adjustment.reason)
        if adjustment.verdict is Verdict.STOP:
            raise _Stop(StopReason.STOPPED, adjustment.reason)
        if adjustment.verdict is Verdict.REVISE:
            if self.revisions == self.limits.max_revisions:
                raise _Stop(StopReason.TOO_MANY_REVISIONS, f"more than {self.limits.max_revisions} revisions")
            self.revisions += 1
            self.meta = MetaPlan(rationale=adjustment.reason, parts=(*self.begun, *adjustment.parts))
            self.recorder.plan(Stage.ADJUSTMENT, self.meta)
            self.waiting = [each for each in self.meta.in_order() if each not in self.begun]
        return adjustment.verdict

    def request(self, stage: Stage, **fields: Any) -> Request:
        """A question about this task, with its context."""
        return Request(stage=stage, task=self.task, context=self.context, **fields)

    def ask(self, request: Request, parse: Callable[[str], T]) -> T:
        """Ask a planning stage; an answer that is malformed twice ends the loop."""
        try:
            return Asker(self.planner, self.recorder).ask(request, parse)
        except Unanswered as unanswered:
            raise _Stop(StopReason.PLAN_MALFORMED, str(unanswered)) from unanswered

    def solution(self, reason: StopReason, detail: str = "") -> Solution:
        return Solution(
            meta=self.meta,
            part_plans=tuple(self.part_plans),
            test_plans=tuple(self.test_plans),
            step_results=tuple(self.results),
            context=self.context,
            stopped_reason=reason,
            detail=detail,
        )


def _paths(edits: list[Edit]) -> set[str]:
    """Every path named in the edits."""
    return {edit.path for edit in edits} | {edit.new_path for edit in edits if isinstance(edit, RenameFile)}


def _not_run(part: MetaPlanPart, step: PlanStep) -> StepResult:
    return StepResult(part_id=part.id, step_id=step.id, status=StepStatus.NOT_RUN, attempts=0)
