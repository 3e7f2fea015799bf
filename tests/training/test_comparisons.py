"""Comparisons from real histories and from campaigns; they reach no stage's dataset."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.comparisons import Comparison, Criterion, Part
from models.errors import TrainingError, UsageError
from models.mining import MiningRules
from models.mix import MixSettings
from models.outcomes import OutcomeKind
from models.training import PairSource, TrainingTarget
from tests.support.commands import invoke as cra
from tests.support.comparison_material import a_comparison
from tests.support.mining_history import Entry, entry, write_history
from tests.support.pairs_material import Repository, World, gold_runs
from tests.support.recipe_material import a_pair
from training.data.curation import curate
from training.data.sources.collections import (
    CollectionCard,
    Dropped,
    read_collection,
    read_comparisons,
    write_collection,
)
from training.data.sources.comparisons.attempts import PER_INSTANCE
from training.data.sources.comparisons.corpus import build_comparisons
from training.data.sources.comparisons.functions import changed_functions
from training.data.sources.comparisons.histories import mends_a_fault
from training.data.sources.comparisons.shown import CUT, NO_CHANGE, SIDE_CHARS, shown_patch, shown_sides

SETUP = '[project]\nname = "spans"\nversion = "1"\nlicense = "MIT"\n'
RUN = "def run(queue):\n    item = queue.pop()\n    return item\n"
RUN_SAFE = "def run(queue):\n    item = queue.pop() if queue else None\n    return item\n"
LOAD = "def load(path):\n    try:\n        return read(path)\n    except:\n        return None\n"
LOAD_STRICT = "def load(path):\n    try:\n        return read(path)\n    except OSError:\n        return None\n"
NAME = "def name(self):\n    return self.first\n"
LINE = st.sampled_from(
    ["def f():\n", "    a = 1\n", "    b = 2\n", "\n", "    return a\n", "\tif x:\n", "é\n", "``` x\n"]
)
TEXT = st.lists(LINE, max_size=60).map("".join)


def built(folder: Path, *places: Path, limit: int | None = None) -> tuple[list[Comparison], CollectionCard]:
    place, card = build_comparisons(places, folder / "data", folder / "cache", MiningRules(), limit, lambda *_: None)
    return list(read_comparisons(place)), card


def history(folder: Path, *changes: Entry, name: str = "spans") -> Path:
    first = entry("Begin", {"pyproject.toml": SETUP, "run.py": RUN, "load.py": LOAD, "name.py": NAME})
    return write_history(folder / f"{name}.git", [first, *changes]).directory


def test_each_criterion_has_its_evidence(tmp_path: Path) -> None:
    place = history(
        tmp_path,
        entry("Fix the crash of run for an empty queue", {"run.py": RUN_SAFE}),
        entry("Catch only what reading raises", {"load.py": LOAD_STRICT}),
        entry("Return the last name in full", {"name.py": NAME.replace("self.first", "self.last")}),
    )
    rows, card = built(tmp_path, place)
    by_criterion = {each.criterion: each for each in rows}
    assert by_criterion.keys() == set(Criterion) and len(rows) == 3
    fix = by_criterion[Criterion.CORRECTNESS]
    assert (fix.better, fix.worse, fix.place, fix.evidence) == (RUN_SAFE, RUN, "run.py::run", "fix")
    assert fix.task == "Fix the crash of run for an empty queue"
    assert by_criterion[Criterion.ERROR_HANDLING].evidence == "bare-except-narrowed"
    assert by_criterion[Criterion.TASK].better.endswith("self.last\n")
    assert {each.part for each in rows} == {Part.TRAINING}
    assert {each.provenance.license for each in rows} == {"MIT"}
    assert card.made_from["comparisons"] == {"training": {each.value: 1 for each in Criterion}}
    assert card.made_from["repositories"]["spans"]["part"] == "training"
    assert card.contents.keys() == {"spans"}
    assert (card.comparisons, card.pairs, card.preferences, card.offered) == (3, 0, 0, 3)


def test_what_gives_no_comparison_is_counted(tmp_path: Path) -> None:
    many = "".join(f"def f{n}():\n    return {n}\n" for n in range(5))
    long = "def long():\n" + "".join(f"    step({n}, 'a long argument of the step')\n" for n in range(60))
    changed = "".join(line.replace("argument", "reason") for line in long.splitlines(keepends=True))
    place = history(
        tmp_path,
        entry("Add several functions and a long one", {"many.py": many, "long.py": long}),
        entry("Change the result of many functions", {"many.py": many.replace("return ", "return -")}),
        entry("Give the reason of each long step", {"long.py": changed}),
        entry("Say what the function name gives", {"name.py": NAME.replace(":\n", ":\n    # the first\n", 1)}),
        entry("Fix the crash of run for an empty queue", {"run.py": RUN_SAFE}),
        entry("Revert the guard against an empty queue", {"run.py": RUN}),
        entry("Fix run again for an empty queue", {"run.py": RUN_SAFE}),
        Entry("Fix the text that name gives back", {"name.py": b"def name(self):\n    return '\xe9'\n"}),
        entry("Describe the names in a new file", {"other.py": NAME}),
    )
    rows, card = built(tmp_path, place)
    assert [each.task for each in rows] == ["Fix run again for an empty queue"]
    assert card.dropped == {
        "commit: a revert, or reverted": 1,
        "commit: no Python file is modified": 2,
        "commit: over 3 functions change": 1,
        "file not UTF-8 text": 1,
        "function: its change is over the prompt": 1,
        "function: only layout, comments or docstring differ": 1,
        "function: same as another, or its reverse": 1,
    }
    assert all(card.examples_of_dropped.values())
    newest, _ = built(tmp_path, place, limit=3)
    assert newest == rows


def test_the_same_histories_give_the_same_collection(tmp_path: Path) -> None:
    place = history(tmp_path, entry("Fix the crash of run for an empty queue", {"run.py": RUN_SAFE}))
    one, card = built(tmp_path / "a", place)
    other, again = built(tmp_path / "b", place)
    assert one == other and card == again


def test_a_repository_that_is_held_out_is_marked(tmp_path: Path) -> None:
    change = entry("Fix the crash of run for an empty queue", {"run.py": RUN_SAFE})
    rows, card = built(tmp_path, history(tmp_path, change, name="bidict"))
    assert {each.part for each in rows} == {Part.HELD_OUT}
    assert card.made_from["repositories"]["spans"]["part"] == "held-out"
    rows, _ = built(tmp_path / "v", history(tmp_path, change, name="loguru"))
    assert {each.part for each in rows} == {Part.VALIDATION}


def test_repositories_without_anything_are_named(tmp_path: Path) -> None:
    (tmp_path / "no-repository").mkdir()
    empty = write_history(tmp_path / "empty.git", [])
    good = history(tmp_path, entry("Fix the crash of run for an empty queue", {"run.py": RUN_SAFE}))
    rows, card = built(tmp_path, tmp_path / "no-repository", empty.directory, good)
    assert len(rows) == 1 and card.dropped["repository cannot be read"] == 2
    with pytest.raises(TrainingError, match="none of 1 rows gave an example"):
        built(tmp_path, empty.directory)


def test_messages_that_are_no_text_and_code_with_odd_characters(tmp_path: Path) -> None:
    odd = RUN_SAFE.replace("item", "élément").replace("\n", "\r\n")
    place = history(
        tmp_path,
        entry("Fix the crash of run for an empty queue", {"run.py": odd}),
        Entry(b"Fix the caf\xe9 of the name in latin one", {"name.py": NAME.replace("first", "last")}),
    )
    rows, _ = built(tmp_path, place)
    assert len(rows) == 2
    for each in rows:
        each.model_dump_json().encode()  # no half of a surrogate pair
    assert rows[-1].better == odd


@pytest.mark.parametrize(
    ("subject", "mends"),
    [
        ("Fix crash on empty input", True),
        ("Handle the regression of 1.2 in the parser", True),
        ("Return wrongly sorted keys no more", True),
        ("Fix typo in the docs", False),
        ("Fix flake8 complaints", False),
        ("Fix the tests on Windows", False),
        ("Add a prefix option", False),
        ("Speed up parsing", False),
    ],
)
def test_which_subjects_speak_of_a_fault(subject: str, mends: bool) -> None:
    assert mends_a_fault(subject) is mends


@given(TEXT, TEXT, st.integers(20, 600))
def test_sides_do_not_depend_on_their_order_and_fit(one: str, other: str, most: int) -> None:
    shown = shown_sides(one, other, most)
    assert shown_sides(other, one, most) == (None if shown is None else shown[::-1])
    if shown is not None:
        assert max(map(len, shown)) <= most
        assert (shown[0] == shown[1]) <= (one.split() == other.split() or max(len(one), len(other)) > most)


def test_a_huge_function_is_refused_without_being_compared() -> None:
    huge = "def f():\n" + "".join(f"    x{n} = {n}\n" for n in range(20_000))
    assert shown_sides(huge, huge.replace("x7 ", "y7 ")) is None
    middle = "def f():\n" + "".join(f"    x{n} = {n}\n" for n in range(900))
    assert shown_sides(middle, middle.replace("x450 ", "y450 ")) == (
        "x448 = 448\nx449 = 449\nx450 = 450\nx451 = 451\nx452 = 452\n",
        "x448 = 448\nx449 = 449\ny450 = 450\nx451 = 451\nx452 = 452\n",
    )


def test_the_smallest_function_that_differs_is_taken() -> None:
    old = "class C:\n    def outer(self):\n        def inner():\n            return 1\n        return inner\n"
    found = changed_functions(old, old.replace("return 1", "return 2"), "a.py")
    assert [each.name for each in found] == ["C.outer.inner"]
    twice = "if x:\n    def f(): return 1\nelse:\n    def f(): return 2\n"
    assert changed_functions(twice, twice.replace("2", "3"), "a.py") == []


@given(st.text(max_size=400), st.integers(20, 300))
def test_a_patch_is_shown_within_its_size(patch: str, most: int) -> None:
    assert len(shown_patch(patch, most)) <= most


def test_a_patch_is_shown_as_it_leaves_the_code() -> None:
    patch = (
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n def f():\n-    return 1\n+    return 2\n"
    )
    assert shown_patch(patch) == "# a.py\ndef f():\n    return 2\n"
    assert shown_patch(patch + "+    # " + "x" * SIDE_CHARS) == "# a.py\ndef f():\n    return 2\n" + CUT
    assert shown_patch("") == NO_CHANGE


# No stage's dataset.


def test_no_dataset_of_a_stage_holds_a_comparison(tmp_path: Path) -> None:
    world = World(tmp_path)
    gold_runs(world, Repository("ant", instances=3))
    data = world.folder / "data"
    secret = "only_a_critic_reads_this"
    rows = [a_comparison(n, better=f"def {secret}{n}(): pass\n", worse="def g(): pass\n") for n in range(30)]
    write_collection(data, PairSource.COMPARISONS, {}, [rows])
    write_collection(data, PairSource.LINTSEQ, {}, [[a_pair(PairSource.LINTSEQ, n)] for n in range(6)])

    def texts(target: TrainingTarget, **changes: object) -> str:
        made = curate(world.raw, world.curated, world.request(target, max_domain_share=1.0, **changes))
        assert made.dataset_dir is not None
        return "".join(file.read_text() for file in sorted(made.dataset_dir.iterdir()))

    for target in (each for each in TrainingTarget if each.serves and each is not TrainingTarget.PLANNING):
        assert secret not in texts(target)
    both = {PairSource.LINTSEQ: {}, PairSource.SYNTHETIC: {}}
    assert secret not in texts(TrainingTarget.CODE, mix=MixSettings.model_validate({"sources": both}))
    mixed = MixSettings.model_validate({"sources": {PairSource.COMPARISONS: {}, PairSource.LINTSEQ: {}}})
    for target in (each for each in TrainingTarget if each.serves):
        with pytest.raises(UsageError, match="comparisons has no example"):
            curate(world.raw, world.curated, world.request(target, mix=mixed))
    with pytest.raises(UsageError, match="critic answers no stage"):
        curate(world.raw, world.curated, world.request(TrainingTarget.CRITIC))


def test_a_collection_of_comparisons_has_no_pairs_and_one_of_pairs_no_comparisons(tmp_path: Path) -> None:
    rows = [a_comparison(n) for n in range(3)]
    place, card = write_collection(tmp_path, PairSource.COMPARISONS, {}, [[*rows, Dropped("why", "there")]])
    assert list(read_collection(place)) == []
    assert list(read_comparisons(place)) == rows
    assert (card.comparisons, card.licenses, card.repositories) == (3, {"MIT": 3}, 1)
    other, plain = write_collection(tmp_path, PairSource.LINTSEQ, {}, [[a_pair(PairSource.LINTSEQ, 1)]])
    assert "comparisons" not in json.loads((other / "card.json").read_text())
    assert {file.name for file in other.iterdir()} == {"pairs.jsonl", "preferences.jsonl", "card.json"}
    assert plain.files.keys() == {"pairs.jsonl", "preferences.jsonl"}
    with pytest.raises(TrainingError, match="holds no comparisons"):
        list(read_comparisons(other))
    path = place / "comparisons.jsonl"
    path.write_bytes(path.read_bytes().replace(b"MissingValue", b"MissingThing"))
    with pytest.raises(TrainingError, match="was changed since"):
        list(read_comparisons(place))


# From campaigns.


def patch(line: str) -> str:
    return f"--- a/src/lib.py\n+++ b/src/lib.py\n@@ -1,2 +1,2 @@\n def work():\n-    return 1\n+    {line}\n"


def test_attempts_that_passed_are_better_than_those_that_failed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(Repository("ant", instances=3))
    failed = OutcomeKind.TESTS_FAILED
    world.run("ant-0", "student", sample=0).close(patch=patch("return 2"))
    world.run("ant-0", "student", sample=1).close(failed, patch=patch("return 3"))
    world.run("ant-0", "student", sample=2).close(failed, patch=patch("return 2 "))  # shown alike
    world.run("ant-0", "student", sample=3).close(OutcomeKind.FLAKY, patch=patch("return 4"))
    world.run("ant-0", "student", sample=4).close(OutcomeKind.EMPTY_PATCH, patch="")
    world.run("ant-0", "gold").close(patch=patch("return 5"))
    world.run("ant-1", "student").close(failed, patch=patch("return 3"))
    for sample in range(8):
        kind = OutcomeKind.PASSED if sample == 0 else failed
        world.run("ant-2", "student", sample=sample).close(kind, patch=patch(f"return {sample + 10}"))
    place, card = build_comparisons(
        [], tmp_path / "data", tmp_path, MiningRules(), None, lambda *_: None, world.raw.engine, ["c"]
    )
    rows = list(read_comparisons(place))
    assert card.dropped == {
        "instance: no attempt with a change passed, or none failed": 1,
        "instance: enough of its attempts": 7 - PER_INSTANCE,
    }
    [first] = [each for each in rows if each.provenance.instance == "ant-0"]
    assert first.better == "# src/lib.py\ndef work():\n    return 2\n"
    assert first.worse == "# src/lib.py\ndef work():\n    return 3\n"
    assert (first.criterion, first.place, first.task) == (Criterion.TASK, "", world.task("ant-0").text)
    assert len(rows) == 1 + PER_INSTANCE
    assert card.made_from["campaigns"] == ["c"]
    with pytest.raises(UsageError, match="no campaign 'other' was run"):
        build_comparisons(
            [], tmp_path / "data", tmp_path, MiningRules(), None, lambda *_: None, world.raw.engine, ["other"]
        )


# The command.


def test_the_command_tells_parts_criteria_and_what_is_left_out(tmp_path: Path) -> None:
    place = history(tmp_path, entry("Fix the crash of run for an empty queue", {"run.py": RUN_SAFE}))
    done = cra("critic", "build", place, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "correctness" in done.stdout and "cra critic train" in done.stdout
    told = json.loads(cra("critic", "build", place, "--json", "--limit", "5", cwd=tmp_path).stdout)
    assert told["card"]["comparisons"] == 1
    assert cra("critic", "build", cwd=tmp_path).returncode == 2
    gone = cra("critic", "build", tmp_path / "gone", cwd=tmp_path)
    assert gone.returncode == 2 and "does not exist" in gone.stderr
