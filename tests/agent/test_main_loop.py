"""The main loop with scripted planners over a workspace in memory."""

from collections.abc import Callable

import pytest

from agent.edits.apply import apply_edits
from agent.edits.format import format_edits
from agent.loop import solve
from models.edits import CreateFile, Edit, EditFormat, EditResult, SearchReplace
from models.errors import EditError, InfrastructureError
from models.files import FileContent
from models.limits import LoopLimits
from models.plans import (
    MetaPlan,
    MetaPlanPart,
    PartPlan,
    PlanAdjustment,
    PlanStep,
    StepStatus,
    Target,
    TestPlan,
    Verdict,
)  # fmt: skip
from models.protocols import Answer, Request, Stage, Task
from models.solution import Solution, StopReason
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from models.tokens import ANSWER_TOKENS, WINDOWS, estimate_tokens

TASK = Task(text="do it", repository="r", base="0")
Script = dict[Stage, Callable[[Request], str]]


class Memory:
    """A workspace whose tests are functions of its files; a test that raises fails."""

    def __init__(self, files: dict[str, str], tests: dict[str, Callable[[dict[str, str]], bool]] | None = None) -> None:
        self.files = {path: FileContent(text) for path, text in files.items()}
        self.tests = tests or {}
        self.tested: list[list[str]] = []

    def get(self, path: str) -> FileContent | None:
        return self.files.get(path)

    def entries_under(self, folder: str) -> list[str]:
        return [path for path in self.files if path.startswith(folder + "/")]

    def read(self, path: str) -> str | None:
        if path == "link":
            raise EditError("link is a symlink; edit the file it points to")
        content = self.get(path)
        return content.text if content else None

    def paths(self) -> list[str]:
        return sorted(self.files)

    def texts(self) -> dict[str, str]:
        return {path: content.text for path, content in self.files.items()}

    def apply(self, edits: list[Edit]) -> list[EditResult]:
        applied = apply_edits(edits, self)
        for path, content in applied.files.items():
            if content is None:
                del self.files[path]
            else:
                self.files[path] = content
        return applied.results

    def patch(self) -> str:
        return ""

    def run_affected_tests(self, changed: list[str]) -> SuiteReport | None:
        self.tested.append(changed)
        if not self.tests:
            return None
        texts = self.texts()
        cases = {
            name: CaseResult(id=name, status=CaseStatus.PASSED if test(texts) else CaseStatus.FAILED, message="boom")
            for name, test in self.tests.items()
        }
        return SuiteReport(end=SuiteEnd.COMPLETED, exit_code=0, seconds=0.0, cases=cases)


class Scripted:
    """Answers each stage by a function of the request."""

    name, identity, edit_format = "scripted", "1", EditFormat.SEARCH_REPLACE
    judges, guides_ranking, plans, falls_back = False, False, True, False
    classified: frozenset[Stage] = frozenset()

    def max_prompt_tokens(self, stage: Stage) -> int:
        return WINDOWS[stage]

    def max_output_tokens(self, stage: Stage) -> int:
        return ANSWER_TOKENS[stage]

    def count(self, text: str) -> int:
        return estimate_tokens(text)

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(text=self.script[request.stage](request), model="scripted")

    def asked(self, stage: Stage) -> list[Request]:
        return [request for request in self.requests if request.stage is stage]


class Log:
    """A recorder that keeps the names of what it is told."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def call(self, request: Request, answer: Answer) -> None:
        self.entries.append(f"call {request.stage.value}")

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None:
        self.entries.append(f"plan {stage.value}")

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        self.entries.append(f"edits {part_id} {step_id} {attempt} {len(results)}")

    def tests(self, purpose: str, report: SuiteReport) -> None:
        self.entries.append(f"tests {purpose}")

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        self.entries.append(f"decision {subject} {decision}")


def meta(*names: str, **depends_on: tuple[str, ...]) -> str:
    parts = [MetaPlanPart(id=name, title="", description="", depends_on=depends_on.get(name, ())) for name in names]
    return MetaPlan(parts=tuple(parts)).model_dump_json()


def steps(request: Request, *names: str) -> str:
    assert request.part is not None
    each = [PlanStep(id=name, description="", targets=(Target(path=f"{name}.py"),)) for name in names]
    return PartPlan(part_id=request.part.id, steps=tuple(each)).model_dump_json()


def no_tests(request: Request) -> str:
    assert request.part is not None
    return TestPlan(part_id=request.part.id).model_dump_json()


def create(request: Request) -> str:
    assert request.step is not None
    return format_edits([CreateFile(path=f"{request.step.id}.py", content="made\n")])


def going_on(request: Request) -> str:
    return PlanAdjustment(verdict=Verdict.CONTINUE, reason="fine").model_dump_json()


def script(**changes: Callable[[Request], str]) -> Script:
    stages: dict[str, Callable[[Request], str]] = {
        "meta_plan": lambda request: meta("p"),
        "part_plan": lambda request: steps(request, "a", "b"),
        "code": create,
        "test_plan": no_tests,
        "adjustment": going_on,
    }
    return {Stage(name): answer for name, answer in (stages | changes).items()}


def run(
    answers: Script, workspace: Memory | None = None, limits: LoopLimits | None = None
) -> tuple[Solution, Scripted, Log]:
    planner, log = Scripted(answers), Log()
    return solve(TASK, planner, workspace or Memory({}), log, limits), planner, log


def statuses(solution: Solution) -> list[tuple[str, str]]:
    return [(result.step_id, result.status.value) for result in solution.step_results]


def test_the_stages_are_asked_in_the_order_data_takes() -> None:
    workspace = Memory({})
    solution, _, log = run(script(), workspace)
    assert solution.complete
    assert workspace.texts() == {"a.py": "made\n", "b.py": "made\n"}
    assert log.entries == [
        "call meta_plan", "plan meta_plan", "call part_plan", "plan part_plan",
        "call code", "edits p a 0 1", "call code", "edits p b 0 1",
        "call test_plan", "plan test_plan", "call adjustment", "decision p continue",
    ]  # fmt: skip


def test_an_empty_plan_is_nothing_to_do() -> None:
    solution, planner, _ = run(script(meta_plan=lambda request: meta()))
    assert solution.stopped_reason is StopReason.FINISHED
    assert [request.stage for request in planner.requests] == [Stage.META_PLAN]


def test_parts_are_taken_in_dependency_order_and_test_steps_after_the_steps() -> None:
    def test_steps(request: Request) -> str:
        assert request.part is not None
        step = PlanStep(id=f"test_{request.part.id}", description="", targets=(Target(path="t.py"),))
        return TestPlan(part_id=request.part.id, steps=(step,)).model_dump_json()

    def part_steps(request: Request) -> str:
        assert request.part is not None
        return steps(request, request.part.id)

    answers = script(meta_plan=lambda r: meta("late", "early", late=("early",)), part_plan=part_steps)
    solution, planner, _ = run({**answers, Stage.TEST_PLAN: test_steps})
    assert [result.step_id for result in solution.step_results] == ["early", "test_early", "late", "test_late"]
    assert [request.for_tests for request in planner.asked(Stage.CODE)] == [False, True, False, True]
    assert [plan.part_id for plan in solution.test_plans] == ["early", "late"]


def test_a_malformed_plan_is_asked_for_again_with_its_error() -> None:
    solution, planner, _ = run(script(meta_plan=lambda r: "what?" if r.attempt == 0 else meta("p")))
    assert solution.complete
    first, second = planner.asked(Stage.META_PLAN)
    assert (first.attempt, first.failure, second.attempt) == (0, "", 1)
    assert "expected one JSON object" in second.failure


@pytest.mark.parametrize("stage", ["meta_plan", "part_plan", "test_plan", "adjustment"])
def test_a_plan_that_is_malformed_twice_ends_the_loop_by_name(stage: str) -> None:
    workspace = Memory({})
    solution, planner, _ = run(script(**{stage: lambda request: "{}" if stage != "meta_plan" else "[]"}), workspace)
    assert solution.stopped_reason is StopReason.PLAN_MALFORMED
    assert solution.detail.startswith(f"{stage}: ")
    assert len(planner.asked(Stage(stage))) == 2
    assert len(workspace.files) == (2 if stage in ("test_plan", "adjustment") else 0)


def test_a_malformed_edit_is_asked_for_again_with_its_error() -> None:
    solution, planner, _ = run(script(code=lambda r: "def f(): ..." if r.attempt == 0 else create(r)))
    assert solution.complete
    assert [result.attempts for result in solution.step_results] == [2, 2]
    assert "holds no edit" in planner.asked(Stage.CODE)[1].failure


def test_an_edit_that_does_not_apply_is_told_and_leaves_the_tree_alone() -> None:
    bad = format_edits([CreateFile(path="new.py", content=""), SearchReplace(path="a.py", search="x\n", replace="")])
    workspace = Memory({"a.py": "y\n"})
    answers = script(
        part_plan=lambda r: steps(r, "a", "b"), code=lambda r: bad if r.step and r.step.id == "a" else create(r)
    )
    solution, planner, log = run(answers, workspace)
    assert statuses(solution) == [("a", "edit-rejected"), ("b", "done")]
    assert solution.stopped_reason is StopReason.FINISHED
    assert not solution.complete
    assert "a.py: the search text stands nowhere" in planner.asked(Stage.CODE)[1].failure
    assert workspace.texts() == {"a.py": "y\n", "b.py": "made\n"}
    assert [entry for entry in log.entries if entry.startswith("decision")] == ["decision p continue"] * 2


def test_the_coder_is_shown_the_files_as_they_are_now() -> None:
    def code(request: Request) -> str:
        if request.attempt == 0:
            return create(request)
        return format_edits([SearchReplace(path="a.py", search="made\n", replace="right\n")])

    workspace = Memory({}, {"t": lambda files: files.get("a.py") in (None, "right\n")})
    solution, planner, _ = run(script(part_plan=lambda r: steps(r, "a"), code=code), workspace)
    assert statuses(solution) == [("a", "done")]
    assert [request.files[0].text for request in planner.asked(Stage.CODE)] == [None, "made\n"]
    assert planner.asked(Stage.CODE)[1].failure == "t: boom"


def test_a_retry_that_changes_nothing_is_tested_all_the_same() -> None:
    workspace = Memory({}, {"t": lambda files: "a.py" not in files})
    answers = script(part_plan=lambda r: steps(r, "a"), code=lambda r: create(r) if r.attempt == 0 else "### no change")
    solution, _, _ = run(answers, workspace)
    assert statuses(solution) == [("a", "tests-failed")]
    assert solution.step_results[0].detail == "t: boom"


def test_tests_that_failed_before_a_step_do_not_count_against_it() -> None:
    workspace = Memory({}, {"always": lambda files: False, "until a": lambda files: "a.py" not in files})
    answers = script(code=lambda r: create(r) if r.attempt == 0 else "### no change")
    solution, _, _ = run(answers, workspace)
    assert statuses(solution) == [("a", "tests-failed"), ("b", "done")]
    assert "always" not in solution.step_results[0].detail


def test_the_baseline_is_run_once_for_each_file() -> None:
    workspace = Memory({"a.py": "1\n"}, {"t": lambda files: True})
    count = iter(range(1, 9))

    def code(request: Request) -> str:
        now = next(count)
        return format_edits([SearchReplace(path="a.py", search=f"{now}\n", replace=f"{now + 1}\n")])

    run(script(code=code), workspace)
    assert workspace.tested == [["a.py"]] * 3


def test_what_a_first_attempt_broke_is_no_baseline_for_the_second() -> None:
    def code(request: Request) -> str:
        path = "a.py" if request.attempt == 0 else "other.py"
        return format_edits([CreateFile(path=path, content="made\n")])

    class Growing(Memory):
        def run_affected_tests(self, changed: list[str]) -> SuiteReport | None:
            new = {"new": lambda files: False} if "a.py" in self.files else {}
            self.tests = {"old": lambda files: True, **new}
            return super().run_affected_tests(changed)

    solution, _, _ = run(script(part_plan=lambda r: steps(r, "a"), code=code), Growing({}))
    assert statuses(solution) == [("a", "tests-failed")]
    assert solution.step_results[0].detail == "new: boom"


def test_a_target_that_cannot_be_read_ends_its_step_without_asking() -> None:
    step = PlanStep(id="s", description="", targets=(Target(path="link"),))
    plan = PartPlan(part_id="p", steps=(step,)).model_dump_json()
    solution, planner, _ = run(script(part_plan=lambda request: plan))
    assert statuses(solution) == [("s", "edit-rejected")]
    assert planner.asked(Stage.CODE) == []


def test_stop_leaves_what_is_done_and_names_what_was_not_run() -> None:
    stop = PlanAdjustment(verdict=Verdict.STOP, reason="hopeless").model_dump_json()
    workspace = Memory({})
    answers = script(
        meta_plan=lambda r: meta("p", "q"),
        part_plan=lambda r: steps(r, "a", "b", "c"),
        code=lambda r: "?" if r.step and r.step.id == "b" else create(r),
        adjustment=lambda r: stop,
    )
    solution, _, _ = run(answers, workspace)
    assert (solution.stopped_reason, solution.detail) == (StopReason.STOPPED, "hopeless")
    assert statuses(solution) == [("a", "done"), ("b", "edit-rejected"), ("c", "not-run")]
    assert list(workspace.files) == ["a.py"]


def test_a_revision_replaces_the_parts_not_yet_begun() -> None:
    new = MetaPlanPart(id="r", title="", description="", depends_on=("p",))
    revise = PlanAdjustment(verdict=Verdict.REVISE, reason="better", parts=(new,)).model_dump_json()

    def adjust(request: Request) -> str:
        return revise if request.part and request.part.id == "p" else going_on(request)

    def part_steps(request: Request) -> str:
        assert request.part is not None
        return steps(request, *(["bad", "rest"] if request.part.id == "p" else ["good"]))

    answers = script(
        meta_plan=lambda r: meta("p", "q"),
        part_plan=part_steps,
        adjustment=adjust,
        code=lambda r: "?" if r.step and r.step.id == "bad" else create(r),
    )
    solution, planner, log = run(answers)
    assert statuses(solution) == [("bad", "edit-rejected"), ("rest", "not-run"), ("good", "done")]
    assert solution.meta is not None
    assert [part.id for part in solution.meta.parts] == ["p", "r"]
    assert len(planner.asked(Stage.TEST_PLAN)) == 1  # none for the part that was broken off
    assert "plan adjustment" in log.entries


@pytest.mark.parametrize(
    ("limits", "reason", "done"),
    [
        (LoopLimits(max_parts=1), StopReason.TOO_MANY_PARTS, 2),
        (LoopLimits(max_steps=3), StopReason.TOO_MANY_STEPS, 3),
    ],
)
def test_a_limit_ends_the_loop_by_name(limits: LoopLimits, reason: StopReason, done: int) -> None:
    def part_steps(request: Request) -> str:
        assert request.part is not None
        return steps(request, f"{request.part.id}1", f"{request.part.id}2")

    solution, _, _ = run(script(meta_plan=lambda r: meta("p", "q"), part_plan=part_steps), limits=limits)
    assert solution.stopped_reason is reason
    assert [result.status for result in solution.step_results].count(StepStatus.DONE) == done


def test_revisions_without_end_are_ended() -> None:
    def adjust(request: Request) -> str:
        new = MetaPlanPart(id=f"n{len(request.results)}", title="", description="")
        return PlanAdjustment(verdict=Verdict.REVISE, reason="again", parts=(new,)).model_dump_json()

    def part_steps(request: Request) -> str:
        assert request.part is not None
        return steps(request, request.part.id)

    solution, _, _ = run(script(adjustment=adjust, part_plan=part_steps), limits=LoopLimits(max_revisions=2))
    assert solution.stopped_reason is StopReason.TOO_MANY_REVISIONS
    assert len(solution.step_results) == 3


def test_a_planner_that_cannot_be_asked_is_no_failure_of_the_plan() -> None:
    def broken(request: Request) -> str:
        raise InfrastructureError("the server is gone")

    with pytest.raises(InfrastructureError):
        run(script(code=broken))


def test_runs_that_end_badly_and_files_that_no_longer_import_count_as_broken_tests() -> None:
    class Crashing(Memory):
        def run_affected_tests(self, changed: list[str]) -> SuiteReport | None:
            made = "a.py" in self.files
            return SuiteReport(
                end=SuiteEnd.CRASHED if made else SuiteEnd.COMPLETED,
                exit_code=-11 if made else 0,
                seconds=0.0,
                collection_errors={"tests/test_a.py": "SyntaxError"} if made else {},
            )

    answers = script(part_plan=lambda r: steps(r, "a"), code=lambda r: create(r) if r.attempt == 0 else "### no change")
    solution, _, _ = run(answers, Crashing({}))
    assert statuses(solution) == [("a", "tests-failed")]
    assert "tests/test_a.py: SyntaxError" in solution.step_results[0].detail
    assert "<crashed>" in solution.step_results[0].detail
