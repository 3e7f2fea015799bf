"""Histories with commits that git would not write: one such commit costs itself only."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.mining import Mined, mine
from harness.packages.locking import find_environments
from harness.packages.prepare import validate_candidate
from models.errors import RepositoryError
from models.manifest import DropReason, InvalidReason
from repos.git import Git, clone
from repos.sources import GitSource
from runtime.trees import Runtime
from tests.support.odd_history import PERSON, OddHistory

BEYOND = 253_402_300_800
"""The first second of the year 10000."""
NAME = b" Ann Author <ann@example.com> "


def body(number: int) -> dict[str, str]:
    """A module and its test."""
    return {
        "a": f"def f():\n    return {number}\n",
        "test_a": f"from a import f\n\n\ndef test_f():\n    f() == {number}\n",
    }


def history(directory: Path, **odd: bytes) -> tuple[OddHistory, str]:
    """A history of five commits whose middle one has an odd header; and that commit's id."""
    made = OddHistory(directory)
    made.commit(b"Begin", made.files(a="def f():\n    pass\n"))
    made.commit(b"Return the number one", made.files(**body(1)))
    middle = made.commit(b"Return the number two", made.files(**body(2)), **odd)  # type: ignore[arg-type]
    made.commit(b"Return the number three", made.files(**body(3)))
    made.commit(b"Return the number four", made.files(**body(4)))
    return made, middle


def mined_clone(made: OddHistory, folder: Path) -> tuple[Git, Mined]:
    git = clone(str(made.git.directory), folder)
    return git, mine(git)


UNREADABLE = {
    "no date": {"committer": b"committer" + NAME},
    "a word": {"committer": b"committer" + NAME + b"yesterday +0000"},
    "negative": {"committer": b"committer" + NAME + b"-86400 +0000"},
    "beyond 64 bits": {"committer": b"committer" + NAME + b"99999999999999999999999 +0000"},
    "no committer": {"committer": b""},
    "an empty committer": {"committer": b"committer "},
    "no time zone": {"committer": b"committer" + NAME + b"1700000000"},
    "no author": {"author": b""},
    "an author without date": {"author": b"author" + NAME},
    "an author's word": {"author": b"author" + NAME + b"now +0000"},
    "an author of the far future": {"author": b"author" + NAME + str(BEYOND).encode() + b" +0000"},
    "no address": {"author": b"author Ann 1700000000 +0000"},
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_commit_without_author_or_date_is_dropped_and_the_others_are_mined(tmp_path: Path, what: str) -> None:
    made, middle = history(tmp_path / "r", **UNREADABLE[what])
    git, mined = mined_clone(made, tmp_path / "c")
    assert dict(mined.dropped)[middle] is DropReason.UNREADABLE
    assert [commit.subject for commit in mined.commits] == [
        "Return the number four", "Return the number three", "Return the number one",
    ]  # fmt: skip
    assert all(commit.symbols for commit in mined.commits)
    assert len(GitSource(git, "HEAD").commits(10, {})) == 5  # the index lists it all the same


READABLE = {
    "an odd time zone": {"author": b"author" + NAME + b"1700000000 +99999"},
    "no name": {"author": b"author <ann@example.com> 1700000000 +0000"},
    "an empty address": {"author": b"author Ann <> 1700000000 +0000"},
    "Latin letters": {"author": b"author Andr\xe9 <a@example.com> 1700000000 +0000", "more": b"encoding latin-1\n"},
    "an unknown encoding": {"more": b"encoding klingon\n"},
    "an encoding that is no word": {"more": b"encoding \xff\xfe\n"},
    "a signature": {"more": b"gpgsig -----BEGIN PGP SIGNATURE-----\n abc\n -----END PGP SIGNATURE-----\n"},
    "a merged tag": {"more": b"mergetag object 1\n type commit\n tag x\n"},
    "unknown headers": {"more": b"x-y z\nfoo\nHG:extra a:b\n"},
    "two authors": {"author": b"author " + PERSON + b"\nauthor " + PERSON},
    "1970 in the west": {"author": b"author" + NAME + b"0 -1400"},
    "1970": {"author": b"author" + NAME + b"0 +0000", "committer": b"committer" + NAME + b"0 +0000"},
}


@pytest.mark.parametrize("what", READABLE)
def test_what_a_person_could_still_read_is_mined(tmp_path: Path, what: str) -> None:
    made, middle = history(tmp_path / "r", **READABLE[what])
    _, mined = mined_clone(made, tmp_path / "c")
    assert [commit.sha for commit in mined.commits].index(middle) == 2
    assert len(mined.commits) == 4
    assert all(commit.author_date[:2] in ("20", "19") for commit in mined.commits)


DATES = st.one_of(st.just(b""), st.integers().map(lambda n: str(n).encode()), st.binary(max_size=12))
ZONES = st.sampled_from([b"", b" +0000", b" -1400", b" +99999999", b" CEST", b" +", b"  +0100"])
PEOPLE = st.sampled_from([b"", b" ", b"Ann <a@b.c> ", b"<> ", b"Ann ", b"A <<b>> ", b"\xff\xfe <x> ", b"> < "])
LINES = st.sampled_from([b"", b"encoding x\n", b"gpgsig a\n b\n", b"tree \n", b"parent\n", b" continued\n", b"\0\n"])


def of_line(role: bytes) -> st.SearchStrategy[bytes]:
    """A header line of a person, or none."""
    line = st.tuples(st.sampled_from([role, role + b" ", b""]), PEOPLE, DATES, ZONES).map(b"".join)
    return line.map(lambda raw: raw.replace(b"\n", b""))


@settings(max_examples=30, deadline=None)
@given(of_line(b"author "), of_line(b"committer "), LINES, st.binary(max_size=30))
@example(b"author " + PERSON, b"committer " + PERSON, b"", b"\0")
def test_whatever_a_commit_says_only_it_is_lost(author: bytes, committer: bytes, more: bytes, message: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = OddHistory(Path(folder) / "r")
        made.commit(b"Begin", made.files(a="def f():\n    pass\n"))
        made.commit(b"Return the number one", made.files(**body(1)))
        odd = made.commit(message, made.files(**body(2)), author=author, committer=committer, more=more)
        made.commit(b"Return the number three", made.files(**body(3)))
        try:
            git, mined = mined_clone(made, Path(folder) / "c")
        except RepositoryError:  # git itself would not hand it over
            return
        subjects = [commit.subject for commit in mined.commits if commit.sha != odd]
        assert subjects == ["Return the number three", "Return the number one"]
        assert mined.funnel.total == 4
        GitSource(git, "HEAD").commits(10, {})


def trees(made: OddHistory) -> dict[str, list[tuple[str, bytes, str]]]:
    """Entries that git refuses to check out, beside two ordinary files."""
    blob = made.write("blob", b"def f():\n    return 9\n")
    below = made.tree([("100644", b"x.py", blob)])
    plain = [("100644", b"a.py", blob), ("100644", b"test_a.py", blob)]
    return {
        "a repository's own folder": [*plain, ("100644", b".git", blob)],
        "the folder above": [("100644", b"..", blob), *plain],
        "itself": [("100644", b".", blob), *plain],
        "a very long name": [*plain, ("100644", b"z" * 5000 + b".py", blob)],
        "a name with a slash": [*plain, ("100644", b"../z.py", blob)],
        "a file and a folder": [*plain, ("40000", b"test_a.py", below)],
        "a file twice": [*plain, ("100644", b"test_a.py", blob)],
        "odd modes": [*plain, ("100777", b"y.py", blob), ("10000", b"z.py", blob)],
        "no order": plain[::-1],
    }


@pytest.mark.parametrize("number", range(9))
def test_a_tree_that_cannot_be_written_costs_its_own_commits(tmp_path: Path, number: int) -> None:
    made = OddHistory(tmp_path / "r")
    made.commit(b"Begin", made.files(a="def f():\n    pass\n"))
    made.commit(b"Return the number one", made.files(**body(1)))
    made.commit(b"Return the number two", made.tree(list(trees(made).values())[number]))
    made.commit(b"Return the number three", made.files(**body(3)))
    made.commit(b"Return the number four", made.files(**body(4)))
    _, mined = mined_clone(made, tmp_path / "c")
    subjects = [commit.subject for commit in mined.commits]
    assert subjects[0] == "Return the number four"
    assert subjects[-1] == "Return the number one"


def test_a_path_that_leaves_the_tree_is_unreadable(tmp_path: Path) -> None:
    made = OddHistory(tmp_path / "r")
    made.commit(b"Begin", made.files(a="def f():\n    pass\n"))
    odd = made.commit(b"Return the number two", made.tree(trees(made)["the folder above"]))
    _, mined = mined_clone(made, tmp_path / "c")
    assert dict(mined.dropped)[odd] is DropReason.UNREADABLE_PATH


def test_a_repository_of_another_hash_is_refused_in_one_line(tmp_path: Path) -> None:
    made = OddHistory(tmp_path / "r", "sha256")
    made.commit(b"Begin", made.files(a="def f():\n    pass\n"))
    with pytest.raises(RepositoryError, match="sha256") as caught:
        clone(str(made.git.directory), tmp_path / "c")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "entries", [[("100644", b"a.py", "1" * 40)], [("abc", b"a.py", "1" * 40)], [("40000", b"", "1" * 40)]]
)
def test_a_damaged_repository_is_refused_with_the_damage_and_the_remedy(
    tmp_path: Path, entries: list[tuple[str, bytes, str]]
) -> None:
    made = OddHistory(tmp_path / "r")
    made.commit(b"Begin", made.tree(entries))
    with pytest.raises(RepositoryError, match="git fsck") as caught:
        clone(str(made.git.directory), tmp_path / "c")
    assert "\n" not in str(caught.value)


def test_replaced_commits_are_read_as_they_were(tmp_path: Path) -> None:
    made, middle = history(tmp_path / "r")
    other = made.write("commit", made.git.output("cat-file", "commit", middle).replace(b"two", b"eleven"))
    place = made.git.directory / "refs" / "replace" / middle
    place.parent.mkdir(parents=True)
    place.write_text(f"{other}\n", encoding="ascii")
    _, mined = mined_clone(made, tmp_path / "c")
    assert "Return the number two" in [commit.subject for commit in mined.commits]


def test_commits_that_no_calendar_knows_have_no_environment_and_say_why(tmp_path: Path) -> None:
    made = OddHistory(tmp_path / "r")
    made.commit(b"Begin", made.files(a="def f():\n    pass\n"))
    late = [b"committer" + NAME + str(when).encode() + b" +0000" for when in (BEYOND, 1 << 62)]
    for number, committer in enumerate(late):
        made.commit(f"Return the number {number}".encode(), made.files(**body(number)), committer=committer)
    git, mined = mined_clone(made, tmp_path / "c")
    assert len(mined.commits) == 2
    found = find_environments(git, mined.commits, tmp_path / "packages", tmp_path / "cache")
    assert [each.environment for each in found] == [None, None]
    for candidate in found:
        assert candidate.commit.sha[:12] in candidate.detail
        assert str(candidate.commit.committed) in candidate.detail


def test_a_tree_that_cannot_be_written_out_makes_its_commit_invalid_by_name(tmp_path: Path, runtime: Runtime) -> None:
    made = OddHistory(tmp_path / "r")
    made.commit(b"Begin", made.files(a="def f():\n    pass\n"))
    odd = made.commit(b"Return the number two", made.tree(trees(made)["a file and a folder"]))
    git, mined = mined_clone(made, tmp_path / "c")
    (candidate,) = find_environments(git, mined.commits, tmp_path / "packages", tmp_path / "cache")
    instance, _ = validate_candidate(runtime, git, candidate, tmp_path / "packages", tmp_path / "cache")
    assert instance.reason is InvalidReason.UNSUPPORTED_CHANGE
    assert odd[:12] in instance.detail
    assert str(tmp_path) not in instance.detail
