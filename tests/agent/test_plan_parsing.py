"""Plans read from answers: JSON in any wrapping, refused with one line when it is not a plan."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.plan.parse import parse_adjustment, parse_meta_plan, parse_part_plan, parse_test_plan
from models.errors import PlanError
from models.plans import Action, MetaPlan, MetaPlanPart, PartPlan, PlanAdjustment, PlanStep, Target, TestPlan, Verdict

PART = MetaPlanPart(id="p1", title="t", description="d")
TEXTS = st.text(max_size=20)


@st.composite
def meta_plans(draw: st.DrawFn) -> MetaPlan:
    names = draw(st.lists(TEXTS.filter(bool), unique=True, max_size=4))
    parts = []
    for index, name in enumerate(names):
        depends_on = tuple(draw(st.lists(st.sampled_from(names[:index]), unique=True))) if index else ()
        target = Target(path="src/a.py", symbol=draw(st.none() | TEXTS), action=Action.MODIFY)
        parts.append(
            MetaPlanPart(id=name, title=draw(TEXTS), description=draw(TEXTS), targets=(target,), depends_on=depends_on)
        )
    return MetaPlan(rationale=draw(TEXTS), parts=tuple(parts))


@given(
    meta_plans(),
    st.sampled_from(["{}", "Sure.\n\n```json\n{}\n```\nDone {{ok}}.", "```\n{}\n```", "So: {} That is it."]),
)
def test_a_plan_is_read_from_any_wrapping(plan: MetaPlan, wrapping: str) -> None:
    text = wrapping.replace("{}", plan.model_dump_json(indent=2)).replace("{{", "{").replace("}}", "}")
    assert parse_meta_plan(text) == plan


def test_part_and_test_plans_and_adjustments_are_read() -> None:
    step = PlanStep(id="s", description="d", targets=(Target(path="a.py"),))
    plan = PartPlan(part_id="p1", steps=(step,))
    assert parse_part_plan(plan.model_dump_json(), PART) == plan
    tests = TestPlan(part_id="p1", steps=(step,), covers=("a.py::f",))
    assert parse_test_plan(tests.model_dump_json(), PART) == tests
    new = MetaPlanPart(id="p2", title="t", description="d", depends_on=("p1",))
    adjustment = PlanAdjustment(verdict=Verdict.REVISE, reason="r", parts=(new,))
    assert parse_adjustment(adjustment.model_dump_json(), [PART]) == adjustment


def part(name: str, *depends_on: str, path: str = "a.py") -> dict[str, object]:
    targets = [{"path": path}]
    return {"id": name, "title": "", "description": "", "depends_on": depends_on, "targets": targets}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I cannot do that.", "expected one JSON object (MetaPlan) in the answer, found 0"),
        ('{"parts": []} or {"parts": []}.', "found 2"),
        ("```json\n{}\n```\n```json\n{}\n```", "found 2"),
        ("{}", "parts: Field required, though it may be empty"),
        ('{"parts": [}', "not valid JSON"),
        ('{"parts": [], "parts": []}', "appears twice"),
        ('{"parts": [], "rationale": NaN}', "NaN is not JSON"),
        ('{"rationale": "\\ud800"}', "half a surrogate pair"),
        ('{"a": ' * 100000 + "}" * 100000, "not valid JSON"),
        ('{"parts": [], "steps": []}', "steps: Extra inputs are not permitted"),
        ('{"parts": [{"id": "a"}]}', "parts.0.title: Field required (and 1 more)"),
        (json.dumps({"parts": [part("a"), part("a")]}), "appears twice"),
        (json.dumps({"parts": [part("a", "b")]}), "depends on 'b', which does not exist"),
        (json.dumps({"parts": [part("a", "b"), part("b", "a")]}), "in a circle"),
        (json.dumps({"parts": [part("a", path="../x")]}), "leaves the repository"),
        (json.dumps({"parts": [{**part("a"), "targets": [{"path": "a", "action": "rename"}]}]}), "new_path goes with"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(answer: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_meta_plan(answer)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_for_another_part_and_a_revision_that_takes_a_begun_id_are_refused() -> None:
    with pytest.raises(PlanError, match="for part 'p9', but part 'p1' was asked for"):
        parse_part_plan('{"part_id": "p9", "steps": []}', PART)
    taken = PlanAdjustment(verdict=Verdict.REVISE, reason="r", parts=(PART,))
    with pytest.raises(PlanError, match="appears twice"):
        parse_adjustment(taken.model_dump_json(), [PART])
    with pytest.raises(PlanError, match="cannot bring new parts"):
        parse_adjustment(json.dumps({"verdict": "stop", "reason": "", "parts": [part("x")]}), [])
