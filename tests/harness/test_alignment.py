"""Structural alignment of plans with a gold patch: 1 for its own plan, 0 for none, and what lies between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.packages.gold_patch import GoldPatch
from harness.planners.gold_plan import derive_plan
from harness.runs.alignment import align
from models.alignment import Alignment
from models.plans import Action, MetaPlan, MetaPlanPart, PartPlan, PlanStep, Target
from tests.support.gold_material import AFTER, BEFORE, change, patch, patches

GOLD = patch(
    change("src/a.py", BEFORE, AFTER), change("src/b.py", "x = 1\n", "x = 2\n"), change("CHANGES.md", "a\n", "b\n")
)


def plan(*steps: str) -> tuple[MetaPlan, list[PartPlan]]:
    """A plan of one part from `path` or `path::symbol` for each step."""
    meta = MetaPlan(parts=(MetaPlanPart(id="p", title="", description=""),))
    each = []
    for number, step in enumerate(steps):
        path, _, symbol = step.partition("::")
        target = Target(path=path, symbol=symbol or None)
        each.append(PlanStep(id=str(number), description="", targets=(target,)))
    return meta, [PartPlan(part_id="p", steps=tuple(each))]


ALL = (
    "src/a.py::helper",
    "src/a.py::first",
    "src/a.py::Thing.size",
    "src/a.py::Thing.name",
    "src/a.py::Thing.color",
    "src/b.py::x",
)


def test_gold_is_at_one_and_nothing_at_zero() -> None:
    derived = derive_plan(GOLD)
    assert align(derived.meta, list(derived.part_plans.values()), GOLD) == Alignment(files=1, symbols=1, order=1)
    assert align(MetaPlan(), [], GOLD) == Alignment(files=0, symbols=0, order=0)


@given(patches())
def test_every_gold_plan_agrees_with_itself_and_an_empty_one_with_an_empty_patch_alone(gold: GoldPatch) -> None:
    derived = derive_plan(gold)
    plans = [*derived.part_plans.values(), *derived.test_plans.values()]
    assert align(derived.meta, plans, gold) == Alignment(files=1, symbols=1, order=1)
    nothing = float(not gold.production and not gold.tests)
    assert align(MetaPlan(), [], gold) == Alignment(files=nothing, symbols=nothing, order=nothing)


@given(patches(), st.lists(st.sampled_from([*ALL, "b.js", "src/p/a.py::f", "tests/test_a.py"]), unique=True))
def test_scores_are_between_zero_and_one(gold: GoldPatch, steps: list[str]) -> None:
    scores = align(*plan(*steps), gold)
    assert all(0 <= score <= 1 for score in (scores.files, scores.symbols, scores.order))


@pytest.mark.parametrize(
    ("steps", "files", "symbols"),
    [
        (ALL, 1.0, 1.0),
        (("src/a.py", "src/b.py"), 1.0, 0.0),
        (("src/a.py::first", "src/a.py::helper"), 2 / 3, 2 * 2 / (2 + 6)),
        ((*ALL, "src/c.py::y"), 4 / 5, 12 / 13),
        ((*ALL, "tests/test_a.py", "docs/x.md", "CHANGES.md"), 1.0, 1.0),  # only production code is compared
        (("src/a.py::Thing.size#1",), 2 / 3, 2 / 7),
    ],
)
def test_files_and_symbols_are_scored_by_f1(steps: tuple[str, ...], files: float, symbols: float) -> None:
    scores = align(*plan(*steps), GOLD)
    assert (scores.files, scores.symbols) == (pytest.approx(files), pytest.approx(symbols))


def test_order_is_judged_on_the_pairs_that_the_plan_has() -> None:
    assert align(*plan("src/a.py::helper", "src/a.py::first"), GOLD).order == 1.0
    assert align(*plan("src/a.py::first", "src/a.py::helper"), GOLD).order == 0.0
    assert align(*plan("src/a.py"), GOLD).order == 1.0  # both at once
    assert align(*plan("src/b.py"), GOLD).order == 1.0  # it has no such pair
    assert align(*plan("src/z.py"), GOLD).order == 0.0


def test_the_order_of_parts_counts_as_well() -> None:
    gold = patch(change("p/a.py", "", "from p.b import x\n"), change("p/b.py", "", "x = 1\n"))
    assert align(*plan("p/b.py", "p/a.py"), gold).order == 1.0
    assert align(*plan("p/a.py", "p/b.py"), gold).order == 0.0


def test_a_part_without_steps_counts_with_its_own_targets() -> None:
    part = MetaPlanPart(id="p", title="", description="", targets=(Target(path="src/b.py", symbol="x"),))
    scores = align(MetaPlan(parts=(part,)), [], GOLD)
    assert (scores.files, scores.symbols) == (pytest.approx(2 / 3), pytest.approx(2 / 7))


def test_files_that_are_made_or_removed_have_no_symbols_to_name() -> None:
    gold = patch(change("src/new.py", None, AFTER), change("src/b.py", "x = 1\n", "x = 2\n"))
    made = Target(path="src/new.py", symbol="helper", action=Action.CREATE)
    part = MetaPlanPart(id="p", title="", description="", targets=(made, Target(path="src/b.py", symbol="x")))
    assert align(MetaPlan(parts=(part,)), [], gold) == Alignment(files=1, symbols=1, order=1)
