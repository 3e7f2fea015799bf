"""The generalist answers what a specialist cannot: prompts that outgrow it, questions that it never answers usably."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.edits.format import format_edits
from agent.loop import plan, solve
from agent.planner import ANSWER_TOKENS, ModelPlanner
from llm import open_router
from models.edits import CreateFile
from models.errors import PromptTooLong
from models.llm_settings import ModelSettings, Roles
from models.plans import MetaPlan
from models.protocols import FALLBACK, Answer, Request, Stage, Task
from models.solution import StopReason
from tests.agent.test_main_loop import Log, Memory, Scripted, create, script, steps
from tests.agent.test_model_planner import Nothing
from tests.support.asking import endpoint
from tests.support.bad_server import ScriptedServer

EMPTY = MetaPlan().model_dump_json()
LONG = "a word " * 2000


@contextmanager
def planner(small: str, large: str = EMPTY, generalist: str | None = "large") -> Iterator[ModelPlanner]:
    """A student whose specialist has a window of 1,500 tokens, and maybe a generalist of 100,000."""
    with ScriptedServer(lambda _: small, window=1500) as one, ScriptedServer(lambda _: large, window=100_000) as other:
        models = ModelSettings(
            endpoints={"small": endpoint(one), "large": endpoint(other)},
            roles=Roles(reasoning="small", coding="small", generalist=generalist),
        )
        yield ModelPlanner("student", open_router(models, "student"))


def planned(asked: ModelPlanner, text: str) -> tuple[Nothing, StopReason]:
    seen = Nothing()
    solution = plan(Task(text=text, repository="r", base="0"), asked, seen, seen)
    return seen, solution.stopped_reason


def test_a_prompt_that_outgrows_the_specialist_goes_to_the_generalist_and_the_reason_is_recorded() -> None:
    with planner(EMPTY) as student:
        seen, reason = planned(student, LONG)
    assert reason is StopReason.FINISHED
    assert [call.endpoint for call in seen.calls] == ["large"]
    [(stage, subject, decision, why)] = seen.decisions
    assert (stage, subject, decision) == ("meta_plan", "task attempt 0", FALLBACK)
    assert why.startswith("too-long: ")
    assert "1500" in why


def test_the_generalists_answer_may_be_as_long_as_its_own_window_allows() -> None:
    with ScriptedServer(lambda _: EMPTY, window=1500) as one, ScriptedServer(lambda _: EMPTY, window=100_000) as other:
        models = ModelSettings(
            endpoints={"small": endpoint(one), "large": endpoint(other)},
            roles=Roles(reasoning="small", coding="small", generalist="large"),
        )
        student = ModelPlanner("student", open_router(models, "student"))
        planned(student, LONG)
        assert other.requests[-1]["max_tokens"] == ANSWER_TOKENS[Stage.META_PLAN]
        assert student.max_output_tokens(Stage.META_PLAN) < 1500 / 2


def test_an_answer_that_stays_unusable_goes_to_the_generalist_after_the_specialists_attempts() -> None:
    with planner("I cannot say.") as student:
        seen, reason = planned(student, "do it")
    assert reason is StopReason.FINISHED
    assert [call.endpoint for call in seen.calls] == ["small", "small", "large"]
    assert [decision for _, _, decision, _ in seen.decisions] == ["malformed", "malformed", FALLBACK]
    assert seen.decisions[-1][3].startswith("unusable: ")


def test_a_generalist_that_is_no_better_ends_it() -> None:
    with planner("I cannot say.", "Nor can I.") as student:
        seen, reason = planned(student, "do it")
    assert reason is StopReason.PLAN_MALFORMED
    assert [call.endpoint for call in seen.calls] == ["small", "small", "large"]


def test_without_a_generalist_all_is_as_it_was() -> None:
    with planner("I cannot say.", generalist=None) as student:
        seen, reason = planned(student, "do it")
        assert [call.endpoint for call in seen.calls] == ["small", "small"]
        assert reason is StopReason.PLAN_MALFORMED
        assert planned(student, LONG)[1] is StopReason.PROMPT_TOO_LONG
        with pytest.raises(PromptTooLong, match="1500"):
            student.answer(Request(stage=Stage.META_PLAN, task=Task(text=LONG, repository="r", base="0")))


class FallingBack(Scripted):
    """Answers of which the third attempt is a generalist's."""

    falls_back = True

    def answer(self, request: Request) -> Answer:
        said = super().answer(request)
        return said.model_copy(update={"fallback": "unusable"}) if request.attempt == 2 else said


@pytest.mark.parametrize(("worse", "attempts"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_a_step_whose_edits_are_never_applied_is_coded_by_the_generalist(worse: int, attempts: int) -> None:
    def code(request: Request) -> str:
        return create(request) if request.attempt >= worse else "no edits"

    student, log = FallingBack(script(part_plan=lambda request: steps(request, "a"), code=code)), Log()
    solution = solve(Task(text="t", repository="r", base="0"), student, Memory({}), log)
    [result] = solution.step_results
    assert (result.status.value, result.attempts) == ("done" if worse < 3 else "edit-rejected", attempts)
    assert log.entries.count("decision p/a attempt 2 fallback") == (attempts == 3)


def test_a_step_that_breaks_tests_is_not_put_to_the_generalist() -> None:
    def code(request: Request) -> str:
        return format_edits([CreateFile(path=f"broken{request.attempt}.py", content="x\n")])

    student = FallingBack(script(part_plan=lambda request: steps(request, "a"), code=code))
    workspace = Memory({}, {"good": lambda texts: not any(path.startswith("broken") for path in texts)})
    solution = solve(Task(text="t", repository="r", base="0"), student, workspace, Log())
    assert (solution.step_results[0].status.value, solution.step_results[0].attempts) == ("tests-failed", 2)
