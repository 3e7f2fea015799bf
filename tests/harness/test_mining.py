"""Mining real histories: each reason for dropping, what is kept, its symbols and planning types."""

from pathlib import Path

import pytest

from harness.mining import MessageFault, Mined, add_symbols, mine
from models.errors import RepositoryError
from models.manifest import Commit, DropReason, PlanningType
from models.mining import MiningRules
from repos.git import clone
from repos.index.definition_spans import DefinitionSpans, definition_spans
from tests.support.mining_history import Entry, write_history

BASE = """import os


def first(x):
    return x


class Reader:
    limit = 1

    def read(self):
        return first(1)

    @property
    def size(self):
        return 2
"""
DROPPED = [
    (DropReason.AUTOMATED, Entry("Tidy the imports", {"a.py": "1\n"}, author="dependabot[bot]")),
    (DropReason.AUTOMATED, Entry("Bump black from 1 to 2", {"b.py": "1\n"})),
    (DropReason.AUTOMATED, Entry("[pre-commit.ci] auto fixes", {"c.py": "1\n"})),
    (DropReason.AUTOMATED, Entry("chore(deps): update the lock", {"d.py": "1\n"})),
    (DropReason.VERSION_BUMP, Entry("Prepare 22.1.0", {"e.py": "1\n"})),
    (DropReason.VERSION_BUMP, Entry("v1.2.3", {"f.py": "1\n"})),
    (DropReason.VERSION_BUMP, Entry("Bump version to 2.0.dev1", {"g.py": "1\n"})),
    (DropReason.VERSION_BUMP, Entry("Start new development cycle", {"h.py": "1\n"})),
    (DropReason.DOCS_ONLY, Entry("Explain the reader", {"README.md": "1\n", "docs/conf.py": "1\n"})),
    (DropReason.DOCS_ONLY, Entry("docs: reword the docstring", {"i.py": "1\n"})),
    (
        DropReason.CI_ONLY,
        Entry("Run tests on 3.13", {".github/workflows/ci.yml": "1\n", "noxfile.py": "1\n"}),
    ),
    (DropReason.NO_CODE, Entry("Loosen the bounds", {"pyproject.toml": "[project]\n"})),
    (DropReason.NO_CODE, Entry("Start everything anew", {})),
    (
        DropReason.NO_CODE,
        Entry("Link the other reader", {"link.py": ("120000", "a.py"), "sub.py": ("160000", "1" * 40)}),
    ),
    (DropReason.BINARY, Entry("Add a picture too", {"j.py": "1\n", "logo.png": b"\0\1"})),
    (DropReason.UNREADABLE_PATH, Entry("Add a strange name", {b"\xff.py": "1\n"})),
    (DropReason.TOO_MANY_FILES, Entry("Add six new modules", {f"m{n}.py": "1\n" for n in range(6)})),
    (DropReason.TOO_MANY_LINES, Entry("Add a long module", {"long.py": "1\n" * 200})),
    (DropReason.MERGE, Entry("Merge branch 'x' into main", {}, merges=0)),
]


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Mined:
    entries = [Entry("Begin with a reader", {"base.py": BASE}), *(entry for _, entry in DROPPED)]
    return mine(write_history(tmp_path_factory.mktemp("dropped") / "r.git", entries))


@pytest.mark.parametrize("number", range(len(DROPPED)), ids=[str(entry.message) for _, entry in DROPPED])
def test_a_commit_that_breaks_a_rule_is_dropped_with_the_rule_as_reason(dropped: Mined, number: int) -> None:
    oldest_first = dropped.dropped[::-1]
    assert oldest_first[number + 1][1] is DROPPED[number][0]


def test_the_first_commit_has_no_parent_to_start_from(dropped: Mined) -> None:
    assert dropped.dropped[-1][1] is DropReason.ROOT


def test_every_reason_there_is_can_be_given(dropped: Mined) -> None:
    told_elsewhere = {DropReason.UNREADABLE}  # git itself would not write such a commit
    assert set(dropped.funnel.dropped) == {reason.value for reason in DropReason} - told_elsewhere
    assert dropped.commits == ()


def history(tmp_path: Path, *entries: Entry) -> Mined:
    return mine(write_history(tmp_path / "r.git", [Entry("Begin with a reader", {"src/base.py": BASE}), *entries]))


def only(mined: Mined) -> Commit:
    assert len(mined.commits) == 1, mined.funnel
    return mined.commits[0]


def test_poor_messages_with_a_good_diff_are_set_aside_not_lost(tmp_path: Path) -> None:
    mined = history(
        tmp_path,
        Entry("wip", {"src/a.py": "1\n"}),
        Entry("Fix it", {"src/a.py": "2\n"}),
        Entry("Bug in the parser", {"src/a.py": "3\n"}),
        Entry("Fix bug in the parser", {"src/a.py": "4\n"}),
    )
    assert [fault for _, fault in mined.faults] == [
        MessageFault.NO_ACTION,
        MessageFault.SHORT,
        MessageFault.GENERIC,
    ]
    assert [commit.subject for commit in mined.aside] == ["Bug in the parser", "Fix it", "wip"]
    assert all(commit.needs_message for commit in mined.aside)
    assert only(mined).subject == "Fix bug in the parser"


def test_the_funnel_adds_up(tmp_path: Path) -> None:
    tests = {"tests/test_a.py": "def test_a():\n    pass\n"}
    mined = history(
        tmp_path,
        Entry("wip", {"src/a.py": "1\n"}),
        Entry("Add the other reader", {"src/a.py": "2\n", **tests}),
        Entry("Explain the reader", {"README.md": "1\n"}),
    )
    funnel = mined.funnel
    assert (funnel.total, funnel.kept, funnel.needs_message, funnel.mixed) == (4, 1, 1, 1)
    assert funnel.total == sum(funnel.dropped.values()) + funnel.needs_message + funnel.kept
    assert funnel.dropped == {"docs-only": 1, "root": 1}


def test_documents_beside_the_code_do_not_count_against_the_bounds(tmp_path: Path) -> None:
    notes = {f"changelog.d/{n}.md": "x\n" * 100 for n in range(9)}
    commit = only(history(tmp_path, Entry("Add the other reader", {"src/a.py": "1\n" * 199, **notes})))
    assert {change.kind for change in commit.changes} == {"production", "other"}


def test_bounds_are_settings(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r.git", [Entry("One", {"a.py": "1\n"}), Entry("Add the new reader", {"b.py": "1\n2\n"})]
    )
    assert mine(git, MiningRules(max_lines=1)).funnel.dropped == {"too-many-lines": 1, "root": 1}
    assert mine(git, MiningRules(max_lines=2)).funnel.kept == 1
    assert mine(git, MiningRules(min_words=5)).funnel.needs_message == 1


def test_changed_symbols_have_qualified_names(tmp_path: Path) -> None:
    changed = BASE.replace("return 2", "return 3").replace("limit = 1", "limit = 2") + "\n\ndef new():\n    pass\n"
    commit = only(history(tmp_path, Entry("Change the size of it", {"src/base.py": changed})))
    assert commit.symbols == ("src/base.py::Reader", "src/base.py::Reader.size", "src/base.py::new")
    assert commit.planning_types == (PlanningType.STEP,)


def test_a_change_of_a_decorator_belongs_to_its_function(tmp_path: Path) -> None:
    changed = BASE.replace("@property", "@cached_property")
    assert only(history(tmp_path, Entry("Cache the size of it", {"src/base.py": changed}))).symbols == (
        "src/base.py::Reader.size",
    )


def test_removed_symbols_are_changed_symbols(tmp_path: Path) -> None:
    commit = only(history(tmp_path, Entry("Remove the old reader", {"src/base.py": None})))
    assert set(commit.symbols) == {f"src/base.py::{s}" for s in ("first", "Reader", "Reader.read", "Reader.size")}
    assert commit.changes[0].old_path == commit.changes[0].path == "src/base.py"


def test_renamed_files_and_unusual_paths_keep_their_symbols(tmp_path: Path) -> None:
    new = 'src/größe und "maß".py'
    entry = Entry("Rename the base module", {new: BASE.replace("return x", "return -x")}, renames={"src/base.py": new})
    commit = only(history(tmp_path, entry))
    assert commit.changes[0].old_path == "src/base.py"
    assert commit.symbols == (f"{new}::first",)
    assert commit.planning_types == (PlanningType.STEP,)


def test_links_and_submodules_beside_the_code_have_no_symbols(tmp_path: Path) -> None:
    odd = {"link.py": ("120000", "src/base.py"), "sub.py": ("160000", "1" * 40)}
    commit = only(history(tmp_path, Entry("Add the last reader", {"src/a.py": "def f():\n    pass\n", **odd})))
    assert commit.symbols == ("src/a.py::f",)
    assert [change.kind for change in commit.changes] == ["other", "production", "other"]


def test_javascript_and_old_python_have_symbols_too(tmp_path: Path) -> None:
    script = "function area(x) {\n  return x;\n}\nexport function other(y) {\n  return y;\n}\n"
    old = "def shout(x):\n    print x\n\n\ndef other(x):\n    return x\n"
    entries = [
        Entry("Add code of other kinds", {"src/a.ts": script, "src/b.py": old}),
        Entry(
            "Change code of other kinds",
            {
                "src/a.ts": script.replace("return x", "return -x"),
                "src/b.py": old.replace("print x", "print x, x"),
            },
        ),
    ]
    newest = history(tmp_path, *entries).commits[0]
    assert newest.symbols == ("src/a.ts::area", "src/b.py::shout")


def test_members_and_assigned_functions_of_scripts_are_qualified(tmp_path: Path) -> None:
    script = "export class Box {\n  @log()\n  size(): number {\n    return 1;\n  }\n}\n"
    script += "export const twice = (x: number) => {\n  return x;\n};\n"
    entries = [
        Entry("Add a box for things", {"src/box.ts": script}),
        Entry(
            "Change the box for things", {"src/box.ts": script.replace("return 1", "return 2").replace("x;", "x+x;")}
        ),
    ]
    newest = history(tmp_path, *entries).commits[0]
    assert newest.symbols == ("src/box.ts::Box.size", "src/box.ts::twice")


FUNCTION = "def f():\n    return 1\n"
TEST = "def test_f():\n    assert True\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({f"src/m{n}.py": FUNCTION for n in range(4)}, {PlanningType.META}),
        (
            {**{f"src/m{n}.py": FUNCTION for n in range(3)}, "tests/test_m.py": TEST},
            {PlanningType.META, PlanningType.ALL},
        ),
        ({"src/base.py": BASE.replace("return x", "return -x")}, {PlanningType.STEP}),
        ({"src/base.py": BASE.replace("import os", "import re")}, {PlanningType.STEP}),
        ({"src/new.py": FUNCTION}, set()),
        ({"tests/helper.py": FUNCTION}, {PlanningType.TEST}),
        ({"src/base.py": BASE + "\n\n" + FUNCTION, "tests/test_m.py": TEST}, {PlanningType.ALL}),
        ({"web/app.test.ts": "it('works', () => {});\n"}, {PlanningType.TEST}),
    ],
)
def test_planning_types_follow_from_files_and_symbols(
    tmp_path: Path,
    files: dict[str | bytes, str | bytes | tuple[str, str] | None],
    expected: set[PlanningType],
) -> None:
    assert set(only(history(tmp_path, Entry("Add what is missing", files))).planning_types) == expected


def test_without_symbols_the_same_commits_are_kept(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r.git",
        [
            Entry("One", {"src/base.py": BASE}),
            Entry("Add the new reader", {"src/base.py": BASE + FUNCTION, "tests/test_m.py": TEST}),
            Entry("Fix the new reader", {"src/base.py": BASE}),
        ],
    )
    seen: list[tuple[int, int]] = []
    full = mine(git, on_progress=lambda done, of: seen.append((done, of)))
    bare = mine(git, with_symbols=False)
    assert seen == [(1, 2), (2, 2)]
    assert [c.sha for c in bare.commits] == [c.sha for c in full.commits]
    assert bare.funnel == full.funnel
    assert all(not commit.symbols for commit in bare.commits)
    assert bare.commits[1].planning_types == (PlanningType.ALL,)


def test_a_clone_mines_like_its_source(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r.git", [Entry("One", {"a.py": "1\n"}), Entry("Add the new reader", {"b.py": "1\n"})]
    )
    assert mine(clone(str(git.directory), tmp_path / "clone.git")) == mine(git)


def test_an_empty_repository_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no commit"):
        mine(write_history(tmp_path / "r.git", []))


def test_symbols_can_be_read_for_the_newest_commits_only_and_later(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r.git",
        [
            Entry("One", {"src/base.py": BASE}),
            Entry("Add the new reader", {"src/base.py": BASE + FUNCTION}),
            Entry("Fix the new reader", {"src/base.py": BASE}),
        ],
    )
    bare = mine(git, with_symbols=False)
    some = add_symbols(git, bare, 1)
    assert [bool(commit.symbols) for commit in some.commits] == [True, False]
    assert add_symbols(git, some) == mine(git) == add_symbols(git, bare)


def test_versions_of_a_long_file_have_the_symbols_that_each_has_alone(tmp_path: Path) -> None:
    parts = [f"def f{n}(x):\n    '''{'text ' * 20}'''\n    return [\n{n}]\n\n\n" for n in range(40)]
    text = "'''\ndef no_function\n'''\n" + "".join(parts) + BASE
    broken = text.replace("return [\n7]", "return [\n7")
    reader = DefinitionSpans()
    for version in (text, broken, text.replace("f3(", "g3("), "# one line more\n" + text, text[:5000]):
        alone = definition_spans(version.encode(), "a.py")
        assert reader.read(version.encode(), "a.py") == alone
        assert {span.name for span in alone} >= {"f0"}
    assert {"Reader.size", "f39"} <= {span.name for span in reader.read(text.encode(), "a.py")}
    lines = text.split("\n")
    for span in reader.read(text.encode(), "a.py"):
        name = span.name.rpartition(".")[2]
        assert any(f" {name}" in line for line in lines[span.start - 1 : span.start + 1])
