"""A planner that is a model: what it asks, with what seed and room, and what it makes of a second teacher."""

import json

from agent.cross_check import agreement
from agent.loop import plan
from agent.planner import ModelPlanner
from llm import ChatRequest, Completion
from models.chat import read_prompt
from models.edits import Edit, EditFormat, EditResult
from models.plans import MetaPlan, PartPlan
from models.protocols import Answer, Request, Stage, Task
from models.suite import SuiteReport

META = {"rationale": "", "parts": [{"id": "p1", "title": "t", "description": "d", "targets": [{"path": "a.py"}]}]}
STEPS = {"part_id": "p1", "rationale": "", "steps": [{"id": "s1", "description": "d", "targets": [{"path": "a.py"}]}]}


class Scripted:
    """Models that answer from a script and remember what they were asked."""

    identity = "scripted"
    classified: frozenset[Stage] = frozenset()
    falls_back = False

    def __init__(self, script: dict[Stage, object], second: dict[Stage, object] | None = None) -> None:
        self.script, self.second = script, second or {}
        self.asked: list[tuple[Stage, ChatRequest]] = []

    def max_prompt_tokens(self, stage: Stage, answer_tokens: int) -> int:
        return 4000 - answer_tokens

    def max_output_tokens(self, stage: Stage, wanted: int) -> int:
        return min(wanted, 1000)

    def count(self, stage: Stage, text: str) -> int:
        return len(text.split())

    def edit_format(self, stage: Stage) -> EditFormat:
        return EditFormat.WHOLE_SYMBOL

    def complete(self, stage: Stage, request: ChatRequest) -> list[Completion]:
        self.asked.append((stage, request))
        return [_said(self.script[stage], "first", 1.0)]

    def cross_check(self, stage: Stage, request: ChatRequest) -> Completion | None:
        return _said(self.second[stage], "other", 0.5) if stage in self.second else None


def _said(answer: object, model: str, cost: float) -> Completion:
    return Completion(text=json.dumps(answer), model=model, endpoint="e", finish_reason="stop", cost=cost)


class Nothing:
    """An empty workspace, and a recorder that keeps calls and decisions."""

    def __init__(self) -> None:
        self.calls: list[Answer] = []
        self.decisions: list[tuple[str, str, str, str]] = []

    def read(self, path: str) -> str | None:
        return None

    def paths(self) -> list[str]:
        return []

    def apply(self, edits: list[Edit]) -> list[EditResult]:
        raise AssertionError("planning edits nothing")

    def patch(self) -> str:
        return ""

    def run_affected_tests(self, changed: list[str]) -> SuiteReport | None:
        return None

    def call(self, request: Request, answer: Answer) -> None:
        self.calls.append(answer)

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None:
        pass

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        pass

    def tests(self, purpose: str, report: SuiteReport) -> None:
        pass

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        self.decisions.append((stage.value, subject, decision, reason))


def run(models: Scripted, name: str = "teacher", temperature: float = 0.7) -> Nothing:
    context = Nothing()
    plan(
        Task(text="do it", repository="r", base="0"), ModelPlanner(name, models, temperature, seed=40), context, context
    )
    return context


def test_a_plan_is_sampled_with_a_seed_and_keeps_its_exact_prompt() -> None:
    models = Scripted({Stage.META_PLAN: META, Stage.PART_PLAN: STEPS})
    context = run(models)
    (stage, asked), *_ = models.asked
    assert (stage, asked.temperature, asked.seed) == (Stage.META_PLAN, 0.7, 40)
    assert asked.max_tokens <= 1000
    assert asked.schema_ is not None
    assert context.calls[0].prompt is not None
    assert read_prompt(context.calls[0].prompt) == asked.messages
    assert context.calls[0].second is None


def test_a_malformed_answer_is_asked_for_again_with_another_seed_and_what_was_wrong() -> None:
    models = Scripted({Stage.META_PLAN: {"rationale": "no parts"}})
    run(models)
    seeds = [asked.seed for _, asked in models.asked]
    assert seeds == [40, 41]
    assert "parts: Field required" in models.asked[1][1].messages[1].content


def test_a_second_teachers_opinion_is_kept_with_how_far_it_agrees() -> None:
    other = {"rationale": "", "parts": [{**META["parts"][0], "targets": [{"path": "a.py"}, {"path": "b.py"}]}]}  # type: ignore[index]
    context = run(Scripted({Stage.META_PLAN: META, Stage.PART_PLAN: STEPS}, {Stage.META_PLAN: other}))
    opinions = [reason for _, _, decision, reason in context.decisions if decision == "second-opinion"]
    assert [json.loads(reason)["agreement"] for reason in opinions] == [0.5]
    assert json.loads(opinions[0])["model"] == "other"
    assert context.calls[0].cost == 1.5


def test_agreement_needs_two_plans() -> None:
    assert agreement(Stage.META_PLAN, json.dumps(META), "no") is None
    assert agreement(Stage.META_PLAN, '{"parts": []}', '{"parts": []}') == 1.0
    stop = '{"verdict": "stop", "reason": ""}'
    assert agreement(Stage.ADJUSTMENT, stop, '{"verdict": "continue", "reason": ""}') == 0.0


def test_planners_that_judge_alike_share_their_judgements() -> None:
    models = Scripted({})
    student, straight = ModelPlanner("student", models), ModelPlanner("no-plan", models)
    assert student.identity != straight.identity
    assert student.judging_identity == straight.judging_identity
    assert not straight.plans
