"""Pairs from plans: the plan in the form of the stages, asked for with what was there before it and nothing else."""

import json
import re
from pathlib import Path

import pytest

from agent.plan.parse import parse_meta_plan
from models.content import RepositoryContent
from models.plans import Action, MetaPlan, PartPlan, Target
from models.protocols import Stage
from models.training import Pair, Preference
from repos.git import Git
from repos.index import IndexCache
from tests.support.commands import invoke as cra
from tests.support.mining_history import Entry, entry, write_history
from tests.support.plan_histories import (
    BEFORE,
    COUNTED,
    CUSTOMERS,
    DISCOUNTS,
    PLAN,
    PLAN_PATH,
    begun,
    history_of,
    labelled,
    quiet,
    work,
)
from training.data.sources.collections import Dropped, Offered, read_collection
from training.data.sources.plan_artifacts.history import Commit, Version
from training.data.sources.plan_artifacts.labels import label_all
from training.data.sources.plan_artifacts.mapping import (
    NO_PARTS,
    NO_PLACE,
    UNKNOWN_FILE,
    UNPLACED,
    Mapped,
    Repository,
    map_plan,
)
from training.data.sources.plan_artifacts.pairs import (
    ALONE,
    FIRST,
    NO_TASK,
    THERE_BEFORE,
    UNCLEAR,
    UNSEEN,
    Collector,
)
from training.data.sources.plan_artifacts.places import KnownPaths, paths_in, symbols_in
from training.data.sources.plan_artifacts.plans import Plan
from training.data.sources.plan_artifacts.recognise import PlanScore
from training.data.sources.plan_artifacts.task import task_of
from training.data.sources.repository_origin import RepositoryOrigin

SYMBOLS = {"shop/prices.py": ["price_of"], "shop/orders.py": ["Order", "Order.total"]}
REPOSITORY = Repository(KnownPaths(BEFORE), KnownPaths(["shop/customers.py"]), lambda path: SYMBOLS.get(path, []))
SIMPLER = PLAN.replace("Regular Customers", "Regular Customers, Simpler").replace("a table of", "a function for")


def mapped(place: Path, text: str) -> Mapped:
    found, _ = labelled(place, begun(text), work(), quiet())
    return map_plan(found[0].plan, REPOSITORY)


def offered(place: Path, *parts: list[Entry]) -> list[Offered]:
    _, history = history_of(place / "repository", *parts)
    collector = Collector(
        history,
        RepositoryOrigin("shop", "c" * 40, "ann", "sales", "MIT", (), RepositoryContent(roots=(), shingles=0)),
        IndexCache(place / "index"),
    )
    return [item for row in collector.offers(label_all(history)[0]) for item in row]


def reasons(offers: list[Offered]) -> list[str]:
    return [each.reason for each in offers if isinstance(each, Dropped)]


def test_headings_become_parts_and_items_become_steps(tmp_path: Path) -> None:
    found = mapped(tmp_path, PLAN)
    assert found.meta is not None
    assert [(part.title, part.depends_on) for part in found.meta.parts] == [
        ("Price with a discount", ()),
        ("Count the orders of a customer", ("p1",)),
    ]
    assert [part.targets for part in found.meta.parts] == [
        (Target(path="shop/prices.py"),),
        (Target(path="shop/customers.py", action=Action.CREATE), Target(path="shop/orders.py")),
    ]
    first, second = found.part_plans["p1"], found.part_plans["p2"]
    assert [(step.description, step.targets) for step in first.steps] == [
        (
            "let `price_of` take the number of earlier orders",
            (Target(path="shop/prices.py", symbol="price_of"),),
        ),
        ("add a table of discounts beside `price_of`", (Target(path="shop/prices.py", symbol="price_of"),)),
    ]
    assert [step.targets for step in second.steps] == [
        (Target(path="shop/customers.py", action=Action.CREATE),),
        (Target(path="shop/orders.py", symbol="Order.total"),),
    ]
    assert first.steps[1].depends_on == ("s1",)
    assert found.meta.rationale.startswith("Prices stay in one module")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "# Thoughts\n\nSee `shop/prices.py`, `shop/orders.py` and `shop/stock.py`.\n\n- [ ] a\n- [ ] b\n- [ ] c\n",
            NO_PARTS,
        ),
        (PLAN.replace("shop/customers.py", "shop/buyers.py"), UNKNOWN_FILE),
        ("# Tasks\n\n### Task 1: Think\n\n- [ ] think of `other/x.py`\n- [ ] of `y.py`\n- [ ] of `z.py`\n", NO_PLACE),
    ],
    ids=["no parts", "a file that never was", "no place"],
)
def test_a_plan_that_cannot_be_placed_gives_nothing(text: str, why: str) -> None:
    found = map_plan(_plan(text), REPOSITORY)
    assert (found.meta, found.reason) == (None, why)


def test_a_part_with_a_step_that_nothing_places_has_no_steps(tmp_path: Path) -> None:
    found = mapped(tmp_path, PLAN.replace("pass the count to the price in `Order.total`", "make it nice"))
    assert found.meta is not None
    assert set(found.part_plans) == {"p1"}
    assert found.refused == {"p2": UNPLACED}


def test_order_is_what_the_plan_says(tmp_path: Path) -> None:
    third = "### Task 3: Stock\n\nAfter task 1.\n\n- [ ] change `shop/stock.py`\n\n### Task 4: Verify"
    found = mapped(tmp_path, PLAN.replace("### Task 3: Verify", third))
    assert found.meta is not None
    assert [part.depends_on for part in found.meta.parts] == [(), ("p1",), ("p1",)]


def test_a_deleted_file_is_a_target_that_goes(tmp_path: Path) -> None:
    text = PLAN.replace("- Modify: `shop/orders.py`", "- Delete: `shop/stock.py`\n- Modify: `shop/orders.py`")
    found = mapped(tmp_path, text)
    assert found.meta is not None
    assert Target(path="shop/stock.py", action=Action.DELETE) in found.meta.parts[1].targets


def test_paths_and_symbols_are_told_apart() -> None:
    text = "See `a/b.py:12-30`, `b.py`, `os.path`, `Order.total()`, x/y.ts, https://e.org/z.py, `~/z.toml`, `/etc/z`."
    assert paths_in(text) == ["a/b.py", "b.py", "x/y.ts"]
    assert symbols_in(text) == ["os.path", "Order.total"]
    known = KnownPaths(["one/same.py", "two/same.py", "one/own.py"])
    assert [known.resolve(word) for word in ("own.py", "same.py", "two/same.py")] == ["one/own.py", None, "two/same.py"]


def test_a_good_plan_gives_a_pair_for_the_parts_and_one_for_the_steps_of_each(tmp_path: Path) -> None:
    offers = offered(tmp_path, begun(), work(), quiet())
    pairs = [each for each in offers if isinstance(each, Pair)]
    assert [pair.stage for pair in pairs] == [Stage.META_PLAN, Stage.PART_PLAN, Stage.PART_PLAN]
    assert len(offers) == 3
    meta, first, _ = pairs
    assert [part.id for part in parse_meta_plan(meta.answer).parts] == ["p1", "p2"]
    assert PartPlan.model_validate_json(first.answer).part_id == "p1"
    assert "Regular customers pay less" in meta.messages[1].content
    assert "def price_of(amount):" in meta.messages[1].content
    assert (meta.weight, meta.provenance.license, meta.provenance.repository) == (1.0, "MIT", "shop")


def test_no_prompt_knows_anything_that_came_after(tmp_path: Path) -> None:
    offers = offered(tmp_path, begun(), work(), quiet())
    git = Git(tmp_path / "repository")
    before = "\n".join(BEFORE.values())
    later: set[str] = set()
    for text in (DISCOUNTS, CUSTOMERS, COUNTED, *(each.message for each in work()), *_blobs_after(git)):
        assert isinstance(text, str)
        later |= {line.strip() for line in text.splitlines() if len(line.strip()) > 12 and line.strip() not in before}
    header = {line.strip() for line in PLAN.partition("## Tasks")[0].splitlines()}
    for pair in offers:
        assert isinstance(pair, Pair)
        prompt = "\n".join(message.content for message in pair.messages)
        shown = [line for line in later - header if line in prompt]
        if pair.stage is Stage.META_PLAN:
            assert shown == []
            assert "customers.py" not in prompt
        else:  # the plan of the parts, which the stage before it answered, is in the question for the steps
            meta = parse_meta_plan(next(each.answer for each in offers if isinstance(each, Pair)))
            told = " ".join(part.title + part.description for part in meta.parts)
            assert [line for line in shown if re.sub(r"^(- \[ \]|###? Task \d+:) ", "", line) not in told] == []


def _blobs_after(git: Git) -> list[str]:
    root = git.text("rev-list", "--max-parents=0", "HEAD")
    first = set(git.text("ls-tree", "-r", root).split())
    listed = git.text("rev-list", "--objects", "HEAD").splitlines()
    blobs = [line.split(" ")[0] for line in listed if " " in line and line.split(" ")[0] not in first]
    texts = [git.text("cat-file", "-p", blob) for blob in blobs if git.text("cat-file", "-t", blob) == "blob"]
    assert any("DISCOUNTS" in text for text in texts)
    return texts


def test_lines_of_the_header_that_tell_the_plan_are_no_task(tmp_path: Path) -> None:
    told = "Regular customers are counted in `shop/customers.py`, which is new."
    plan = PLAN.replace("## Tasks", f"## Overview\n\nPrices fall with loyalty.\n\n## Summary\n\n{told}\n\n## Tasks")
    found, _ = labelled(tmp_path, begun(plan), work(), quiet())
    answers: list[MetaPlan | PartPlan] = []
    task = task_of(found[0].plan, KnownPaths(BEFORE), answers)
    assert task is not None
    assert "Prices fall with loyalty." in task
    assert "customers.py" not in task


def test_the_message_of_a_commit_that_brings_the_work_is_no_task_beyond_its_subject(tmp_path: Path) -> None:
    first, plan = begun("### Task 1" + PLAN.partition("### Task 1")[2])
    message = "Give discounts to those who come back\n\nA table of discounts, counted in customers.py."
    together = Entry(message, {**plan.files, **work()[0].files, **work()[1].files})
    offers = offered(tmp_path, [first, together], quiet())
    prompts = [pair.messages[1].content for pair in offers if isinstance(pair, Pair)]
    assert prompts
    assert all("Give discounts to those who come back" in prompt for prompt in prompts)
    assert not any("counted in customers.py" in prompt for prompt in prompts)


def test_a_replaced_plan_gives_a_preference_for_the_one_that_was_done(tmp_path: Path) -> None:
    again = [entry("docs: plan again", {"docs/plans/2026-01-06-simpler.md": SIMPLER})]
    offers = offered(tmp_path, begun(), [work()[0]], again, work(), quiet())
    (preference,) = [each for each in offers if isinstance(each, Preference)]
    assert "a function for discounts" in preference.chosen
    assert "a table of discounts" in preference.rejected
    assert preference.stage is Stage.META_PLAN
    assert "Simpler" not in preference.messages[1].content


def test_what_gives_nothing_is_counted_with_its_reason(tmp_path: Path) -> None:
    first, plan = begun()
    both = Entry("All at once", {**first.files, **plan.files})
    assert reasons(offered(tmp_path / "a", [both], work(), quiet())) == [FIRST]
    assert reasons(offered(tmp_path / "b", begun(), work(), quiet(1))) == [UNCLEAR]
    assert reasons(offered(tmp_path / "c", begun(), work()[:1], quiet(40))) == [ALONE]
    bare = "### Task 1" + PLAN.partition("### Task 1")[2]
    assert reasons(offered(tmp_path / "d", begun(bare), work(), quiet())) == [NO_TASK]
    stub = "\n".join(line for line in PLAN.splitlines() if not line.startswith(("#", "- [ ]")))
    again = offered(tmp_path / "e", [first, entry("Notes", {PLAN_PATH: stub}), plan], work(), quiet())
    assert reasons(again) == [THERE_BEFORE]


def test_a_plan_for_files_that_the_prompt_does_not_show_is_not_learned(tmp_path: Path) -> None:
    def in_go(entries: list[Entry]) -> list[Entry]:
        return [
            Entry(
                each.message,
                {str(path).replace(".py", ".go"): str(text).replace(".py", ".go") for path, text in each.files.items()},
            )
            for each in entries
        ]

    offers = offered(tmp_path, in_go(begun()), in_go(work()), in_go(quiet()))
    assert set(reasons(offers)) == {UNSEEN, f"part not mapped: {UNPLACED}"}
    assert not any(isinstance(each, Pair) for each in offers)


def test_the_command_writes_a_collection_that_is_read_back(tmp_path: Path) -> None:
    place = tmp_path / "shop"
    write_history(place, [*begun(), *work(), *quiet()])
    made = json.loads(cra("plans", "collect", place, "--json", cwd=tmp_path).stdout)
    assert (made["pairs"], made["preferences"], made["offered"]) == (3, 0, 1)
    assert made["source"] == "plan-artifacts"
    rows = list(read_collection(Path(made["collection"])))
    assert [row.stage for row in rows] == [Stage.META_PLAN, Stage.PART_PLAN, Stage.PART_PLAN]
    again = json.loads(cra("plans", "collect", place, "--json", cwd=tmp_path).stdout)
    assert again["collection"] == made["collection"]


def _plan(text: str) -> Plan:
    commit = Commit("0" * 40, ("1" * 40,), 0, "docs: plan", "", ())
    return Plan(Version(commit.sha, PLAN_PATH, ""), commit, text, PlanScore(), text)
