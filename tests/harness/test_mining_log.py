"""The log parser against what git itself was told to store."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.mining.log import LogFormatError, parse_log, read_log
from models.errors import RepositoryError
from tests.support.mining_history import Entry, write_history

TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=60)
NASTY = st.sampled_from(["a => b.py", "{a => b}/c.py", "\x1e", "1\t2\tx.py", '"q".py', "a\nb.py", ":100644", "ü/é.py"])
PATHS = (
    st.one_of(NASTY, TEXT)
    .map(lambda text: text.replace("/", "-").strip(".") or "x")
    .filter(lambda path: path.lower() not in (".git", "git~1") and len(path.encode()) < 200)
)
MESSAGES = st.one_of(TEXT, st.sampled_from(["", "\n:100644 100644 a b M\n", "\x1e\n\n1\t2\tx", "a\r\nb\r\n"]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(MESSAGES, st.dictionaries(PATHS, st.integers(1, 5), max_size=4)), min_size=1, max_size=5))
def test_every_message_path_and_line_count_comes_back(commits: list[tuple[str, dict[str, int]]]) -> None:
    entries = [
        Entry(message, {f"{number}-{path}": "line\n" * lines for path, lines in files.items()})
        for number, (message, files) in enumerate(commits)
    ]
    with tempfile.TemporaryDirectory() as directory:
        records = read_log(write_history(Path(directory) / "r.git", entries))
    assert [record.message for record in reversed(records)] == [message.strip() for message, _ in commits]
    for number, record in enumerate(reversed(records)):
        told = {f"{number}-{path}": lines for path, lines in commits[number][1].items()}
        assert {change.path: change.added for change in record.changes} == told
        assert all(change.old_path is None and change.deleted == 0 for change in record.changes)


def test_a_rename_is_one_change_with_both_paths(tmp_path: Path) -> None:
    body = "".join(f"line {n}\n" for n in range(30))
    git = write_history(
        tmp_path / "r.git",
        [
            Entry("one", {"src/old name.py": body, "kept.py": "x\n"}),
            Entry(
                "two",
                {"src/neu/ä.py": body + "more\n", "kept.py": None},
                renames={"src/old name.py": "src/neu/ä.py"},
            ),
        ],
    )
    newest = read_log(git)[0]
    changes = {change.path: change for change in newest.changes}
    renamed = changes["src/neu/ä.py"]
    assert (renamed.old_path, renamed.added, renamed.deleted) == ("src/old name.py", 1, 0)
    assert (changes["kept.py"].old_path, changes["kept.py"].deleted) == ("kept.py", 1)


def test_binary_files_links_and_submodules_are_told_apart(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r.git",
        [
            Entry(
                "one",
                {
                    "b.py": b"\0\1\2",
                    "link.py": ("120000", "b.py"),
                    "sub": ("160000", "1" * 40),
                    "run.py": ("100755", "x\n"),
                    b"\xff.py": "x\n",
                },
            )
        ],
    )
    changes = {change.path: change for change in read_log(git)[0].changes}
    assert changes["b.py"].binary
    assert (changes["b.py"].added, changes["b.py"].deleted) == (0, 0)
    assert {path for path, change in changes.items() if not change.regular} == {"link.py", "sub"}
    assert "\udcff.py" in changes


def test_merges_have_two_parents_and_no_changes(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r.git",
        [
            Entry("one", {"a.py": "1\n"}),
            Entry("two", {"b.py": "1\n"}),
            Entry("three", {"c.py": "1\n"}, merges=0),
        ],
    )
    assert [(len(record.parents), len(record.changes)) for record in read_log(git)] == [
        (2, 0),
        (1, 1),
        (0, 1),
    ]


def test_a_repository_without_commits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no commit"):
        read_log(write_history(tmp_path / "r.git", []))


@pytest.mark.parametrize("output", [b"garbage\0", b"a" * 40 + b"\0p\0n\0e\0d\0001\0m\0\n:broken\0x\0"])
def test_output_of_another_form_is_an_error_not_a_guess(output: bytes) -> None:
    with pytest.raises(LogFormatError):
        list(parse_log(output))
