"""Infilling by search and replace: a marked place, a region of ten lines, and the file of the commit byte for byte."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.mining import mine
from harness.packages.sample import build_sample
from models.errors import DiskFull, InfrastructureError
from models.mining import MiningRules
from models.training import Pair, PairSource
from repos.text import lines_of
from tests.support.commands import invoke as cra
from tests.support.mining_history import Entry, write_history
from training.data.sources.coding import replayed
from training.data.sources.collections import Dropped, read_collection
from training.data.sources.infilling import (
    MARKED,
    MARKER,
    NO_HOLE,
    REGION,
    TOO_LONG,
    SourceCommit,
    commits_of_repository,
    holes,
    infilling,
    infillings_of,
)
from training.data.sources.lintseq.programs import Origin
from training.data.sources.recipes import Made, RecipeSettings, run_recipe

BEFORE = "".join(f"line_{number} = {number}\n" for number in range(30))
AFTER = BEFORE.replace("line_12 = 12\n", "line_12 = 12\nif line_12:\n    extra = 1\n").replace("line_20 = 20\n", "")
ASKED = RecipeSettings(recipe=PairSource.SEARCH_REPLACE, samples=2)
LINES = st.sampled_from(["x = 1", "    y = 2", "", "@@ -1 +1 @@", "=======", "\tz\r", "u\u2028v", "\f"])


def commit(*files: tuple[str, str, str]) -> SourceCommit:
    return SourceCommit("repo@abc", Origin("repo", "abc", license="MIT"), "abc", "def", "Add an extra.", files)


def test_what_was_added_is_marked_and_filled_in_a_region_of_ten_lines() -> None:
    (hole,) = holes(BEFORE, AFTER)
    marked, edit = infilling("a.py", AFTER, hole)
    assert marked.count(f"\n{MARKER}\n") == 1
    assert "extra" not in marked
    assert len(lines_of(edit.search)) == REGION
    assert edit.search in marked
    assert "if line_12:\n    extra = 1\n" in edit.replace


def test_an_example_asks_for_the_commit_and_its_answer_arrives() -> None:
    (example,) = infillings_of(commit(("a.py", BEFORE, AFTER)), ASKED).examples
    assert isinstance(example, Pair)
    assert example.source is PairSource.SEARCH_REPLACE
    assert "Add an extra." in example.messages[1].content
    assert (example.provenance.commit, example.provenance.base_commit) == ("abc", "def")
    marked, _ = infilling("a.py", AFTER, holes(BEFORE, AFTER)[0])
    assert replayed(example.answer, "a.py", marked) == AFTER


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("a\nb\n", "a\n", NO_HOLE),
        ("a\n", "a\n\n\n", NO_HOLE),
        ("a\n", "a\n" + "b\n" * 100, NO_HOLE),
        ("a\n", f"a\n{MARKER}\n", MARKED),
        ("a\n", "a\n" + "b\n" * 40_000, TOO_LONG),
    ],
)
def test_what_gives_no_example_is_named(before: str, after: str, reason: str) -> None:
    (dropped,) = infillings_of(commit(("a.py", before, after)), ASKED).examples
    assert isinstance(dropped, Dropped)
    assert dropped.reason == reason


@given(st.lists(LINES, max_size=12), st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_every_example_gives_the_file_byte_for_byte(before: list[str], after: list[str], end: str, last: bool) -> None:
    old, new = (end.join(lines) + (end if last else "") for lines in (before, after))
    for hole in holes(old, new):
        marked, edit = infilling("a.py", new, hole)
        assert edit.search in marked
        assert marked.replace(edit.search, edit.replace) == new
    for example in infillings_of(commit(("a.py", old, new)), ASKED).examples:
        assert isinstance(example, Pair) or example.reason in (NO_HOLE, "edits do not give the file")


def test_the_command_makes_a_collection_of_commits(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    told = json.loads(cra("synthesize", sample, "--recipe", "search-replace-infilling", "--json", cwd=tmp_path).stdout)
    rows = list(read_collection(Path(told["collection"])))
    assert len(rows) == told["examples"] > 0
    refused = cra(
        "synthesize", sample, "--recipe", "search-replace-infilling", "--edit-format", "whole-symbol", cwd=tmp_path
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--edit-format" in refused.stderr


def test_tasks_have_no_trailers_and_no_file_is_generated_or_vendored(tmp_path: Path) -> None:
    names = ("src/lib/a.py", "src/lib/_vendor/b.py", "vendor/c.py", "third_party/d.py")
    marked = "# @generated\n"
    before: dict[str | bytes, str | bytes | tuple[str, str] | None] = dict.fromkeys(names, BEFORE)
    after: dict[str | bytes, str | bytes | tuple[str, str] | None] = dict.fromkeys(names, AFTER)
    message = "Add an extra check of the twelfth line\n\nSigned-off-by: Ann Author <ann@example.com>\nCloses #12\n"
    tests = {"tests/test_a.py": "def test_a():\n    assert 1\n"}
    entries = [
        Entry("Add the library", {**before, "src/lib/e.py": marked + BEFORE}),
        Entry(message, {**after, "src/lib/e.py": marked + AFTER, **tests}),
        Entry("Add another check to the vendored library", {"vendor/c.py": AFTER + "y = 1\n"}),
    ]
    git = write_history(tmp_path / "lib.git", entries)
    mined = mine(git, MiningRules(), with_symbols=False).commits
    (found,) = commits_of_repository(git, Origin("lib", git.resolve("HEAD")), mined)
    assert isinstance(found, SourceCommit)
    assert found.task == "Add an extra check of the twelfth line"
    examples = infillings_of(found, ASKED).examples
    assert [each.reason for each in examples if isinstance(each, Dropped)] == ["generated or vendored"] * 4
    (pair,) = (each for each in examples if isinstance(each, Pair))
    assert "src/lib/a.py" in pair.answer
    assert not any("ann@example.com" in message.content for message in pair.messages)


@pytest.mark.parametrize("error", [MemoryError(), InfrastructureError("full"), DiskFull("full")])
def test_a_fault_of_the_machine_is_no_bug_of_a_row(error: Exception) -> None:
    def failing(offered: SourceCommit, settings: RecipeSettings) -> Made:
        raise error

    with pytest.raises(type(error)):
        list(run_recipe(failing, iter([commit()]), ASKED, lambda made: None))
