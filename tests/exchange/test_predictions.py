"""Anybody's patches: how a file of them is read, what `git apply` makes of one, and where packages are looked for."""

import base64
import hashlib
import json
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.predictions import DoesNotApply, apply_patch, find_packages, read_predictions
from models.errors import UsageError
from repos.git import Git, clone
from store.runs import open_raw_store


def _git(folder: Path, *arguments: str) -> str:
    named = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode()  # as it is: text mode would change the ends of lines


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository with a few files, committed."""
    folder = tmp_path / "work"
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "a.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "b.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    (folder / "tool.sh").write_text("echo\n")
    _git(folder, "add", "-A")
    _git(folder, "commit", "--quiet", "-m", "base")
    return folder


def _bare(work: Path) -> tuple[Git, str]:
    git = clone(str(work), work.parent / "bare")
    return git, git.resolve("HEAD")


def test_a_patch_leaves_the_files_that_git_would_leave_and_the_clone_as_it_was(work: Path) -> None:
    git, base = _bare(work)
    (work / "a.py").write_text("one = 1\ntwo = 22\nthree = 3\n")
    (work / "pkg" / "b.py").write_bytes(b"x = 1\r\ny = 3\r\n")
    (work / "new.bin").write_bytes(bytes(range(256)))
    (work / "tool.sh").chmod(0o755)
    _git(work, "add", "-A")
    patch = _git(work, "diff", "--cached", "--binary")
    before = sorted(str(path) for path in git.directory.rglob("*"))
    assert apply_patch(git, base, patch) == {
        "a.py": (b"one = 1\ntwo = 22\nthree = 3\n", False),
        "new.bin": (bytes(range(256)), False),
        "pkg/b.py": (b"x = 1\r\ny = 3\r\n", False),
        "tool.sh": (b"echo\n", True),
    }
    assert sorted(str(path) for path in git.directory.rglob("*")) == before


def test_deletions_and_renames_are_files_that_are_gone_and_files_that_came(work: Path) -> None:
    git, base = _bare(work)
    _git(work, "rm", "--quiet", "tool.sh")
    _git(work, "mv", "a.py", "c.py")
    patch = _git(work, "diff", "--cached", "-M")
    content = b"one = 1\ntwo = 2\nthree = 3\n"
    assert apply_patch(git, base, patch) == {"a.py": None, "c.py": (content, False), "tool.sh": None}


def test_a_patch_without_its_last_line_end_applies(work: Path) -> None:
    git, base = _bare(work)
    (work / "a.py").write_text("one = 1\ntwo = 2\nthree = 4\n")
    patch = _git(work, "diff").rstrip("\n")
    assert apply_patch(git, base, patch) == {"a.py": (b"one = 1\ntwo = 2\nthree = 4\n", False)}


_LINK = "diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+/etc/passwd\n"
_SUBMODULE = (
    "diff --git a/sub b/sub\nnew file mode 160000\nindex 0000000..1111111\n--- /dev/null\n+++ b/sub\n@@ -0,0 +1 @@\n"
    "+Subproject commit 1111111111111111111111111111111111111111\n"
)


@pytest.mark.parametrize(
    "patch",
    [
        "no patch at all\n",
        "diff --git a/absent.py b/absent.py\n--- a/absent.py\n+++ b/absent.py\n@@ -1 +1 @@\n-a\n+b\n",
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-another = 1\n+one = 2\n",
        "--- a/../outside\n+++ b/../outside\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/.git/x b/.git/x\nnew file mode 100644\n--- /dev/null\n+++ b/.git/x\n@@ -0,0 +1 @@\n+x\n",
        f"{_LINK}\\ No newline at end of file\n",
        _SUBMODULE,
    ],
    ids=["prose", "absent", "other-text", "outside", "git-folder", "link", "submodule"],
)
def test_what_git_does_not_take_or_what_is_no_file_does_not_apply(work: Path, patch: str) -> None:
    git, base = _bare(work)
    with pytest.raises(DoesNotApply):
        apply_patch(git, base, patch)


def _binary(name: str, size: int, declared: int | None = None) -> str:
    """A new file of zeros as a `GIT binary patch`, which says that it unpacks to `declared` bytes."""
    packed = zlib.compress(bytes(size), 9)
    lines = []
    for start in range(0, len(packed), 52):
        part = packed[start : start + 52]
        length = chr(ord("A") + len(part) - 1) if len(part) <= 26 else chr(ord("a") + len(part) - 27)
        lines.append(length + base64.b85encode(part, pad=True).decode())
    blob = hashlib.sha1(f"blob {size}\0".encode() + bytes(size)).hexdigest()
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\nindex {'0' * 40}..{blob}\nGIT binary patch\n"
    return head + f"literal {size if declared is None else declared}\n" + "\n".join(lines) + "\n\n"


def test_a_binary_patch_that_unpacks_to_little_applies(work: Path) -> None:
    git, base = _bare(work)
    assert apply_patch(git, base, _binary("zeros", 100_000)) == {"zeros": (bytes(100_000), False)}


def _copies(number: int) -> str:
    head = "diff --git a/{0} b/{1}\nsimilarity index 100%\ncopy from {0}\ncopy to {1}\n"
    return "".join(head.format("a.py", f"copies/{n}.py") for n in range(number))


def _delta(size: int) -> str:
    """A change of `a.py` by a delta of few bytes that says that it makes `size`."""
    change = [*_length(26), *_length(size), *([0x90, 1] * 20)]
    packed = zlib.compress(bytes(change), 9)
    text = chr(ord("A") + len(packed) - 1) if len(packed) <= 26 else chr(ord("a") + len(packed) - 27)
    old = hashlib.sha1(b"blob 26\0one = 1\ntwo = 2\nthree = 3\n").hexdigest()
    head = f"diff --git a/a.py b/a.py\nindex {old}..{'1' * 40} 100644\nGIT binary patch\n"
    return f"{head}delta {len(change)}\n{text}{base64.b85encode(packed, pad=True).decode()}\n\n"


def _length(number: int) -> list[int]:
    found = []
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return [*found, number]


@pytest.mark.parametrize(
    ("patch", "named"),
    [
        (_binary("zeros", 65 * 2**20), str(65 * 2**20)),
        (_binary("a", 40 * 2**20) + _binary("b", 40 * 2**20), str(80 * 2**20)),
        (_binary("a", 1000, declared=2**63), "binary hunks"),
        (_binary("a", 1000).replace("literal 1000", f"literal {'9' * 5000}"), "binary hunks"),
        (_copies(5001), "5001"),
        (_delta(2**40), "MiB"),
        (_delta(2**30), "MiB"),
        (_delta(100 * 2**20), ""),
        ('--- /dev/null\n+++ "b/\\377.py"\n@@ -0,0 +1 @@\n+x\n', ".py"),
        ('--- /dev/null\n+++ "b/\\033[2J.py"\n@@ -0,0 +1 @@\n+x\n', ".py"),
        ("diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-one = 1\n+\ud800\n", "ud800"),
        (f"--- /dev/null\n+++ b/{'x' * 300}.py\n@@ -0,0 +1 @@\n+x\n", "xxx"),
    ],
    ids=[
        "one",
        "two",
        "huge",
        "longest-number",
        "copies",
        "delta",
        "lesser-delta",
        "least-delta",
        "bytes",
        "control",
        "surrogate",
        "long-name",
    ],
)
def test_a_patch_that_becomes_too_much_does_not_apply_and_says_so(work: Path, patch: str, named: str) -> None:
    git, base = _bare(work)
    with pytest.raises(DoesNotApply) as caught:
        apply_patch(git, base, patch)
    assert named in str(caught.value)


def test_copies_of_a_large_file_count_each(work: Path) -> None:
    (work / "a.py").write_bytes(b"x" * 2**20)
    _git(work, "commit", "--quiet", "-am", "large")
    git, base = _bare(work)
    assert len(apply_patch(git, base, _copies(60))) == 60
    with pytest.raises(DoesNotApply) as caught:
        apply_patch(git, base, _copies(70))
    assert str(70 * 2**20) in str(caught.value)


@pytest.mark.parametrize("field", ["instance_id", "model_name_or_path"])
@pytest.mark.parametrize("text", ["\ud800", "\udc80", "a\x1b[2J", "a\nb", "a\0", "\x7f", "a\u2028b"])
def test_a_name_that_cannot_be_printed_is_refused_with_line_and_field(field: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_predictions([json.dumps({"instance_id": "a", field: text})])
    assert "line 1" in str(caught.value)
    assert field in str(caught.value)
    assert text not in str(caught.value)


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=40)


@given(
    st.lists(
        st.builds(
            dict,
            instance_id=_NAMES,
            model_patch=st.none() | st.text(max_size=60),
            model_name_or_path=_NAMES,
            anything=st.integers(),
        ),
        max_size=5,
    )
)
def test_predictions_are_read_as_they_were_written(rows: list[dict[str, object]]) -> None:
    read = read_predictions(json.dumps(row) for row in rows)
    assert [(p.instance_id, p.model_patch, p.model_name_or_path) for p in read] == [
        (row["instance_id"], row["model_patch"], row["model_name_or_path"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"model_patch": ""}', "instance_id"),
        ('{"instance_id": ""}', "instance_id"),
        ('{"instance_id": 3}', "instance_id"),
        ('{"instance_id": "a", "model_patch": 3}', "model_patch"),
        ("[]", "line 2"),
        ("{", "line 2"),
        ("[" * 100_000, "line 2"),
        ('{"instance_id": "a", "more": ' + "5" * 5000 + "}", "line 2"),
    ],
)
def test_a_line_that_is_no_prediction_is_named_with_its_field(line: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_predictions(['{"instance_id": "a", "model_patch": null}', line])
    assert named in str(caught.value)
    assert "line 2" in str(caught.value)


def test_a_folder_without_packages_is_refused(tmp_path: Path) -> None:
    store = open_raw_store(f"sqlite:///{tmp_path / 'raw.sqlite'}")
    with pytest.raises(UsageError) as caught:
        find_packages([tmp_path / "empty"], store, ["a"])
    assert "empty" in str(caught.value)
    assert find_packages([], store, ["a"]) == []
