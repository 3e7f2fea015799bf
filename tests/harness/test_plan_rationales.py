"""Rationales of gold plans: read from the patch, true of it, the same each time."""

import re

from hypothesis import given, settings

from harness.packages.gold_patch import GoldPatch
from harness.planners import GoldPlanner
from harness.planners.pieces import symbol_names
from harness.planners.rationale import of_change, of_results
from models.edits import EditFormat
from models.plans import MetaPlanPart, StepResult, StepStatus
from tests.support.gold_material import AFTER, BEFORE, change, patch, patches


def test_a_change_is_told_by_its_symbols_and_signatures() -> None:
    said = of_change(change("a.py", BEFORE, AFTER.replace("def last():", "def last(n: int) -> int:")))
    assert said.startswith("a.py ")
    assert "gains `Thing.color` and `helper`" in said
    assert "`last` becomes `def last(n: int) -> int`" in said
    assert "changes `Thing.size` and `first`" in said
    assert "loses `Thing.name`" in said
    assert "imports" in said


def test_a_plan_tells_of_new_and_moved_files_and_of_its_tests() -> None:
    gold = patch(
        change("a.py", None, "def fresh():\n    pass\n"),
        change("b.py", "x = 1\n", "x = 1\n", old_path="was.py"),
        change("c.py", "def old():\n    pass\n", None),
        change("tests/test_a.py", "a = 1\n", "a = fresh\n"),
    )
    plan = GoldPlanner(gold, EditFormat.SEARCH_REPLACE).plan
    said = plan.meta.rationale
    assert "a.py is new, with `fresh`." in said
    assert "was.py moves to b.py." in said
    assert "c.py is removed, with `old`." in said
    assert "tests/test_a.py changes with it." in said
    assert any("The tests name `fresh`." in tests.rationale for tests in plan.test_plans.values()) == any(
        "fresh" in tests.covers for tests in plan.test_plans.values()
    )


def test_an_adjustment_counts_what_was_done_and_what_is_left() -> None:
    parts = [MetaPlanPart(id=name, title="", description="") for name in ("p1", "p2")]
    done = StepResult(part_id="p1", step_id="s1", status=StepStatus.DONE, attempts=1)
    assert of_results("p1", [done], parts) == "1 of 1 steps of p1 were carried out; p2 is left."
    assert of_results("p2", [done], parts) == "p2 has no steps; no part is left."


@settings(max_examples=100, deadline=None)
@given(patches())
def test_every_name_in_a_rationale_is_in_the_change(gold: GoldPatch) -> None:
    one, two = (GoldPlanner(gold, EditFormat.SEARCH_REPLACE).plan for _ in range(2))
    assert one.meta == two.meta
    for each in (*gold.production, *gold.tests):
        texts = [side.text for side in (each.before, each.after) if side]
        known = {name for text in texts for name in symbol_names(text, each.path)}
        said = of_change(each)
        assert each.path in said
        for clause in re.findall(r"(?:gains|changes|loses|with) ((?:`[^`]+`(?:, | and )?)+)", said):
            assert set(re.findall(r"`([^`]+)`", clause)) <= known
