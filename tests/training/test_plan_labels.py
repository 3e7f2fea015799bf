"""Labels of plans from real histories: one history for each label, and one for each thing that goes wrong."""

import json
from pathlib import Path

import pytest

from repos.git import Git
from tests.support.commands import invoke as cra
from tests.support.mining_history import Entry, entry, write_history
from tests.support.plan_histories import (
    CUSTOMERS,
    DISCOUNTS,
    PLAN,
    PLAN_PATH,
    begun,
    labelled,
    quiet,
    work,
)
from training.data.sources.plan_artifacts.history import History
from training.data.sources.plan_artifacts.labels import Label, Labelled, label_all
from training.data.sources.plan_artifacts.outline import outline
from training.data.sources.plan_artifacts.plans import (
    BINARY,
    MOVED,
    RETURNED,
    REWRITTEN,
    TOO_LARGE,
    UNREACHABLE,
    Found,
)
from training.data.sources.plan_artifacts.recognise import may_be_plan, score

TARGETS = {"shop/prices.py", "shop/orders.py", "shop/customers.py", "tests/test_prices.py"}


def one(place: Path, *parts: list[Entry]) -> Labelled:
    found, _ = labelled(place, *parts)
    assert len(found) == 1
    return found[0]


def test_a_plan_that_was_done_and_lasted_is_good(tmp_path: Path) -> None:
    found = one(tmp_path, begun(), work(), quiet())
    assert found.label is Label.GOOD
    assert found.trajectory.targets == TARGETS
    assert [commit.subject for commit in found.trajectory.work] == [each.message for each in work()]
    assert found.trajectory.rework == 0.0


def test_a_plan_whose_lines_were_fixed_is_fine(tmp_path: Path) -> None:
    fix = entry("fix: a discount from the fifth order on", {"shop/prices.py": DISCOUNTS.replace(">= least", "> least")})
    found = one(tmp_path, begun(), work(), [fix], quiet())
    assert found.label is Label.FINE
    assert [commit.subject for commit in found.trajectory.fixes] == [fix.message]


def test_a_fix_of_other_lines_in_the_same_file_says_nothing(tmp_path: Path) -> None:
    fix = entry("fix: the base price", {"shop/prices.py": DISCOUNTS.replace("BASE = 10", "BASE = 11")})
    assert one(tmp_path, begun(), work(), [fix], quiet()).label is Label.GOOD


def test_a_plan_whose_lines_were_rewritten_is_bad(tmp_path: Path) -> None:
    again = "COUNTS = {}\n\n\nclass Customer:\n    def __init__(self, name):\n        self.name = name\n"
    prices = "BASE = 10\n\n\ndef price_of(amount, customer):\n    return BASE * amount * customer.factor\n"
    rewrite = entry("Customers know their factor", {"shop/customers.py": again, "shop/prices.py": prices})
    found = one(tmp_path, begun(), work(), [rewrite], quiet())
    assert found.label is Label.BAD
    assert found.trajectory.rework is not None
    assert found.trajectory.rework > 0.5


def test_lines_that_move_to_another_file_are_not_rewritten(tmp_path: Path) -> None:
    moved = entry("Customers in a package", {"shop/customers.py": None, "shop/people/customers.py": CUSTOMERS})
    assert one(tmp_path, begun(), work(), [moved], quiet()).label is Label.GOOD


def test_a_plan_that_another_replaces_is_bad(tmp_path: Path) -> None:
    other = PLAN.replace("Regular Customers", "Regular Customers, Simpler").replace("a table of", "a function for")
    path = "docs/plans/2026-01-06-discounts-simpler.md"
    found, _ = labelled(tmp_path, begun(), work()[:1], [entry("docs: plan again", {path: other})], work()[1:], quiet())
    assert [each.label for each in found] == [Label.BAD, Label.UNCLEAR]
    assert found[0].trajectory.replaced_by is found[1].plan


def test_a_plan_made_from_a_design_does_not_replace_it(tmp_path: Path) -> None:
    design = begun(PLAN, "docs/specs/2026-01-05-discounts-design.md")
    plan = entry("docs: plan", {PLAN_PATH: PLAN.replace("[ ] let", "[ ] first let")})
    found, _ = labelled(tmp_path, design, [plan], work(), quiet())
    assert [each.trajectory.replaced_by for each in found] == [None, None]


def test_a_plan_that_was_left_halfway_is_abandoned(tmp_path: Path) -> None:
    found = one(tmp_path, begun(), work()[:1], quiet(40))
    assert found.label is Label.ABANDONED
    assert found.trajectory.touched == {"shop/prices.py"}


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([work(), quiet(2)], "only 2 commits"),
        ([quiet(40)], "not begun"),
        ([work()[:1], quiet(3)], "in progress"),
    ],
    ids=["too little history", "never begun", "in progress"],
)
def test_what_no_rule_covers_is_unclear(tmp_path: Path, parts: list[list[Entry]], why: str) -> None:
    found = one(tmp_path, begun(), *parts)
    assert found.label is Label.UNCLEAR
    assert why in found.reason


def test_a_plan_that_was_ticked_when_it_came_is_unclear(tmp_path: Path) -> None:
    ticked = begun(PLAN.replace("[ ]", "[x]"))
    found = one(tmp_path, ticked[:1], work(), ticked[1:], quiet(30))
    assert found.label is Label.UNCLEAR


def test_a_plan_that_came_with_its_work_is_followed_from_there(tmp_path: Path) -> None:
    first, plan = begun()
    together = Entry("Discounts", {**plan.files, **work()[0].files, **work()[1].files})
    found = one(tmp_path, [first, together], quiet())
    assert found.label is Label.GOOD
    assert found.trajectory.with_plan


def test_a_plan_in_several_files_is_not_rewritten_by_its_own_next_step(tmp_path: Path) -> None:
    step = "# Step {}: Prices\n\n## Tasks\n\n- [ ] change `shop/prices.py`{}\n- [ ] look\n- [ ] commit\n"
    files = {"docs/plans/step_1.md": step.format(1, ""), "docs/plans/step_2.md": step.format(2, ", `shop/orders.py`")}
    steps = [
        entry("First prices", {"shop/prices.py": "def price_of(amount):\n    return amount * 12\n"}),
        entry("Then discounts", {"shop/prices.py": DISCOUNTS, "shop/orders.py": "ORDERS = []\n"}),
    ]
    found, _ = labelled(tmp_path, begun()[:1], [entry("docs: plan", files)], steps, quiet())
    assert [each.trajectory.rework for each in found] == [0.0, 0.0]


def test_a_plan_is_recognised_by_what_it_holds_and_prose_is_none() -> None:
    assert score(PLAN_PATH, outline(PLAN)).is_plan
    assert score("notes/discounts.md", outline(PLAN)).is_plan
    assert not score("docs/plans/ideas.md", outline("# Ideas\n\nWe could sell more.\n")).is_plan
    assert not score("docs/plan.md", outline("# Plan\n\n- [ ] sell\n- [ ] more\n- [ ] things\n")).is_plan
    for path in ("README.md", "docs/CHANGELOG.md", "skills/planning/SKILL.md", "vendor/x/docs/plans/a.md", "plan.py"):
        assert not may_be_plan(path)


def test_line_ends_of_windows_change_nothing(tmp_path: Path) -> None:
    found = one(tmp_path, begun(PLAN.replace("\n", "\r\n")), work(), quiet())
    assert (found.label, found.trajectory.targets) == (Label.GOOD, TARGETS)


def test_nested_check_lists_keep_their_shape() -> None:
    text = (
        "## Task 1: Do\n- [x] outer\n  goes on\n  - [ ] inner\n    - [X] innermost\n- [ ] next\n```\n- [ ] code\n```\n"
    )
    (outer, following) = outline(text)[1].items
    assert (outer.text, outer.checked, following.checked) == ("outer goes on", True, False)
    assert [(item.text, item.checked) for item in outer.children[0].all()] == [("inner", False), ("innermost", True)]
    assert outline(text)[1].code == 2


def met(place: Path, *parts: list[Entry]) -> tuple[list[Labelled], Found]:
    return labelled(place, *parts)


def test_a_file_of_a_megabyte_and_a_binary_one_are_counted(tmp_path: Path) -> None:
    large = entry("docs: everything", {"docs/plans/all.md": PLAN + "- [ ] `shop/prices.py`\n" * 50_000})
    binary = Entry("docs: a picture", {"docs/plans/picture.md": PLAN.encode() + b"\0\1\2"})
    found, counts = met(tmp_path, begun(), [large, binary], work(), quiet())
    assert [each.plan.path for each in found] == [PLAN_PATH]
    assert (counts.met[TOO_LARGE], counts.met[BINARY]) == (1, 1)


def test_a_plan_that_names_five_hundred_files_is_unclear(tmp_path: Path) -> None:
    files = {f"shop/part_{n}.py": f"N = {n}\n" for n in range(500)}
    plan = "# Rename all\n\n## Tasks\n\n" + "".join(f"- [ ] change `{path}`\n" for path in files)
    found = one(tmp_path, [entry("Parts", files)], [entry("docs: plan", {PLAN_PATH: plan})], work(), quiet())
    assert found.label is Label.UNCLEAR
    assert "500 files" in found.reason


def test_a_plan_that_was_moved_and_ticked_stays_one_plan(tmp_path: Path) -> None:
    done = PLAN_PATH.replace("plans/", "plans/completed/")
    move = Entry("docs: done", {PLAN_PATH: None, done: PLAN.replace("[ ]", "[x]")})
    found, counts = met(tmp_path, begun(), work(), [move], quiet())
    assert [(each.plan.path, each.label) for each in found] == [(PLAN_PATH, Label.GOOD)]
    assert found[0].trajectory.ticked
    assert counts.met[MOVED] == 1


def test_a_plan_that_was_deleted_and_came_back_stays_one_plan(tmp_path: Path) -> None:
    gone = [Entry("docs: no plans", {PLAN_PATH: None}), entry("docs: plans again", {PLAN_PATH: PLAN})]
    found, counts = met(tmp_path, begun(), gone, work(), quiet())
    assert len(found) == 1
    assert counts.met[RETURNED] == 1


def test_a_file_that_is_used_for_another_plan_holds_two(tmp_path: Path) -> None:
    other = "# Shelves\n\n### Task 1: Shelves\n\n- [ ] write `shop/stock.py` anew\n- [ ] fill\n- [ ] sell\n"
    again = [entry("docs: next plan", {PLAN_PATH: other})]
    found, counts = met(tmp_path, begun(), work(), quiet(), again, quiet(9))
    assert [each.plan.title for each in found] == ["Discounts for Regular Customers Implementation Plan", "Shelves"]
    assert found[0].plan.next is found[1].plan
    assert found[0].label is Label.GOOD
    assert counts.met[REWRITTEN] == 1


def test_a_plan_that_only_another_ref_reaches_is_followed_there(tmp_path: Path) -> None:
    git = write_history(tmp_path, [*begun(), *work(), *quiet()])
    root = git.text("rev-list", "--max-parents=0", "main")
    git.output("update-ref", "refs/heads/before-the-force-push", git.resolve("main"))
    git.output("update-ref", "refs/heads/main", root)
    found, counts = label_all(History(Git(tmp_path)))
    assert [(each.label, each.plan.reached) for each in found] == [(Label.GOOD, False)]
    assert counts.met[UNREACHABLE] == 1


def test_the_command_shows_label_and_reason(tmp_path: Path) -> None:
    place = tmp_path / "shop"
    write_history(place, [*begun(), *work(), *quiet()])
    (found,) = json.loads(cra("plans", "find", place, "--json", cwd=tmp_path).stdout)
    (plan,) = found["plans"]
    assert (plan["plan"], plan["label"], plan["rework"]) == (PLAN_PATH, "good", 0.0)
    assert set(plan["named"]) == TARGETS
    assert plan["score"]["total"] == sum(plan["score"]["parts"].values())
    assert "good 1" in cra("plans", "find", place, cwd=tmp_path).stdout
