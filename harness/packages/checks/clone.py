"""Checks of a package's clone: no foreign files, no missing commits, and every object matching its id."""

import hashlib
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from harness.packages.checks.findings import ManifestFinding, shown
from host.process import CommandFailed
from models.manifest import Manifest
from repos.git import Git, foreign_part

_LARGEST = 1 << 30
_PIECE = 1 << 20


def clone_findings(directory: Path, manifest: Manifest) -> Iterator[ManifestFinding]:
    """Faults of a package's `repo`. Nothing of the repository is run; git reads objects only."""
    repo = directory / "repo"
    if not (repo / "HEAD").is_file():
        yield ManifestFinding("repo", "", "is no clone: HEAD is missing")
        return
    if foreign := foreign_part(repo):
        yield ManifestFinding("repo", "", f"{foreign}; git is not run in it")
        return
    git = Git(repo)
    missing = missing_commits(git, manifest)
    for commit in missing:
        yield ManifestFinding("repo", "", f"lacks commit {commit}")
    if missing:
        return
    if damaged := damaged_object(git):
        yield ManifestFinding("repo", "", damaged)
        return
    yield from _relations(git, manifest)


def missing_commits(git: Git, manifest: Manifest) -> list[str]:
    """The commits that a manifest names and a clone does not have."""
    commits = {c for i in manifest.instances for c in (i.commit, i.base_commit)} | {manifest.head}
    asked = "".join(f"{commit}\n" for commit in sorted(commits))
    checked = git.output("cat-file", "--batch-check", stdin=asked.encode()).decode()
    return [line.split()[0] for line in checked.splitlines() if " commit " not in f"{line} "]


def _relations(git: Git, manifest: Manifest) -> Iterator[ManifestFinding]:
    """Whether each instance's base is its commit's parent, and its files are among those that the commit changes."""
    asked = "".join(f"{instance.commit}\n" for instance in manifest.instances).encode()
    if not asked:
        return
    listed = git.output("log", "--no-walk=unsorted", "--stdin", "--format=%H %P", stdin=asked).decode().splitlines()
    parents = {sha: rest.split() for sha, _, rest in (line.partition(" ") for line in listed)}
    for index, instance in enumerate(manifest.instances):
        if instance.base_commit not in parents.get(instance.commit, ()):
            yield ManifestFinding(
                f"instances.{index}.base_commit", shown(instance.base_commit), "is no parent of the commit"
            )
    changed = _changed(git, asked)
    for index, instance in enumerate(manifest.instances):
        for name in ("production_files", "test_files"):
            for path in sorted(set(getattr(instance, name)) - changed.get(instance.commit, set())):
                yield ManifestFinding(f"instances.{index}.{name}", shown(path), "is no file that the commit changes")


def _changed(git: Git, commits: bytes) -> dict[str, set[str]]:
    """Paths that each commit changes, old and new names."""
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    raw = git.output("diff-tree", "--stdin", "-r", "-z", "-m", "--name-only", "--no-renames", "--root", stdin=commits)
    names = set(commits.decode().split())
    for token in raw.decode(errors="surrogateescape").split("\0"):
        sha = token.strip().partition(" ")[0]
        if sha in names:
            current = found.setdefault(sha, set())
        elif token:
            current.add(token)
    return found


def damaged_object(git: Git) -> str | None:
    """A fault of the objects of a clone: git reads an object under whatever id a pack's index gives it.

    Cached until the files change.
    """
    objects = git.directory / "objects"
    files = sorted(path for path in objects.rglob("*") if path.is_file())
    states = [path.lstat() for path in files]
    stamp = tuple(
        (str(p), s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for p, s in zip(files, states, strict=True)
    )
    return _damaged(git, stamp)


@lru_cache(maxsize=64)
def _damaged(git: Git, stamp: tuple[tuple[str, int, int, int, int], ...]) -> str | None:
    for path in (Path(name) for name, *_ in stamp):
        if path.suffix == ".pack" and not path.with_suffix(".idx").exists():
            return f"has a pack without an index: {path.name}"
        if path.suffix == ".idx":
            try:
                git.output("verify-pack", str(path), timeout=1800)
            except CommandFailed:
                return f"has a damaged pack, whose objects are not what their ids say: {path.name}"
        elif len(path.parent.name) == 2 and not _is_what_it_is_called(path):
            return f"has a damaged object: {path.parent.name}{path.name}"
    return None


def _is_what_it_is_called(path: Path) -> bool:
    """Whether a loose object has the hash in its path."""
    name = path.parent.name + path.name
    digest, inflate, size = hashlib.new("sha1" if len(name) == 40 else "sha256"), zlib.decompressobj(), 0
    try:
        with path.open("rb") as stream:
            while not inflate.eof and (data := inflate.unconsumed_tail or stream.read(_PIECE)):
                piece = inflate.decompress(data, _PIECE)
                size += len(piece)
                if size > _LARGEST:
                    return False
                digest.update(piece)
        digest.update(inflate.flush())
    except zlib.error:
        return False
    return inflate.eof and digest.hexdigest() == name
