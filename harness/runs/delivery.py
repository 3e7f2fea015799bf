"""Delivers a change to the user: applied to their files, or as a branch of their repository.

git never runs inside their repository. Files are never written through links; a branch is a commit made in our clone,
whose objects are copied into theirs as one pack with a new ref.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.runs.workspace import DiskTree
from models.errors import EditError, UsageError
from models.files import FileContent, Overlay
from repos import text as texts
from repos.diffs import FileDiff
from repos.git import Git, clone

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z")
_AUTHOR = "Clean Room <clean-room@localhost>"


def apply_to(root: Path, base: str, changes: Overlay) -> None:
    """Apply a change relative to `base` to the files of `root`, all or nothing.

    Raises UsageError naming the first file that differs from `base`.
    """
    with tempfile.TemporaryDirectory(prefix="cra-delivery-") as temporary:
        diffs = _diffs(clone(str(root), Path(temporary) / "repo"), base, changes)
    tree = DiskTree(root.resolve())
    for diff in diffs:
        try:
            now = tree.get(diff.path)
        except EditError as error:
            raise UsageError(f"nothing was applied: {error}") from error
        if (now and now.text) != (diff.before and diff.before.text):
            raise UsageError(
                f"nothing was applied: {diff.path} is not as the revision has it; commit or stash it, or use --branch"
            )
    for diff in diffs:
        if diff.after is None:
            tree.remove(diff.path)
        else:
            tree.put(diff.path, diff.after)


def check_branch(root: Path, name: str) -> Path:
    """The repository's git directory, if it can take a new branch of that name; UsageError if not."""
    if not _NAME.match(name) or name.endswith((".lock", ".")) or ".." in name or "/." in name:
        raise UsageError(f"--branch {name} is no name that git takes for a branch; use letters, digits, - and /")
    directory = root / ".git" if (root / ".git").is_dir() else root
    if not (directory / "objects").is_dir() or not (directory / "refs").is_dir() or (directory / "reftable").exists():
        raise UsageError(f"--branch: {root} keeps its refs elsewhere (a work tree or reftable); use --apply")
    packed = directory / "packed-refs"
    known = packed.read_text(errors="replace") if packed.is_file() else ""
    if (directory / "refs" / "heads" / name).exists() or f" refs/heads/{name}\n" in known:
        raise UsageError(f"--branch {name} exists already in {root}; give another name")
    return directory


def _diffs(git: Git, base: str, changes: Overlay) -> list[FileDiff]:
    modes = {entry.path: entry.mode for entry in git.tree(base)}
    diffs = []
    for path, change in sorted(changes.items()):
        data = git.read(base, path) if path in modes else None
        before = None if data is None else FileContent(texts.decode(data, path), modes[path] == "100755")
        after = None if change is None else FileContent(texts.decode(change[0], path), change[1])
        diffs.append(FileDiff(path, before, after))
    return diffs


def make_branch(root: Path, base: str, changes: Overlay, message: str, name: str) -> str:
    """Commit a change on `base` as a new branch of the repository at `root`; returns the commit's id.

    Raises UsageError for a name that is taken.
    """
    directory = check_branch(root, name)
    with tempfile.TemporaryDirectory(prefix="cra-delivery-") as temporary:
        git = clone(str(root), Path(temporary) / "repo")
        commit = _commit(git, base, _diffs(git, base, changes), message)
        _hand_over(git, commit, base, directory)
    _lay(directory / "refs" / "heads" / name, f"{commit}\n".encode(), 0o644)
    return commit


def _hand_over(git: Git, commit: str, base: str, directory: Path) -> None:
    """Copy the objects that `commit` adds to `base` into another repository, as one pack."""
    pack = git.output("pack-objects", "--revs", "--stdout", "-q", stdin=f"{commit}\n^{base}\n".encode())
    digest = pack[-20:].hex()
    ours = git.directory.with_name("outgoing") / f"pack-{digest}.pack"
    ours.parent.mkdir(exist_ok=True)
    ours.write_bytes(pack)
    git.output("index-pack", str(ours))
    for suffix in (".pack", ".idx"):  # a pack is used only once its index exists
        part = ours.with_suffix(suffix)
        _lay(directory / "objects" / "pack" / part.name, part.read_bytes(), 0o444)


def _lay(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError:
        if path.suffix in (".pack", ".idx"):
            return  # the same objects
        raise UsageError(f"{path} exists already; give another branch name") from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)


def _commit(git: Git, base: str, diffs: Sequence[FileDiff], message: str) -> str:
    """A commit of `diffs` on `base` in our own clone."""
    when = git.text("show", "-s", "--format=%ct", base)
    ref = "refs/clean-room/outgoing"
    text = message.encode()
    stream = [
        f"commit {ref}\ncommitter {_AUTHOR} {when} +0000\ndata {len(text)}\n".encode(),
        text,
        f"\nfrom {base}\n".encode(),
    ]
    for diff in diffs:
        path = _quoted(diff.path)
        if diff.after is None:
            stream.append(f"D {path}\n".encode("utf-8", "surrogateescape"))
            continue
        content = diff.after.text.encode("utf-8", "surrogateescape")
        mode = "100755" if diff.after.executable else "100644"
        stream += [f"M {mode} inline {path}\ndata {len(content)}\n".encode("utf-8", "surrogateescape"), content, b"\n"]
    git.output("fast-import", "--force", "--quiet", stdin=b"".join(stream))
    return git.resolve(ref)


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
