"""Identity of repositories by content: a fork has the same first commit, a copy without history the same code.

Code is compared by runs of words (shingles), so that layout, comments, quotes, and new names of files and folders do
not matter, and a renamed identifier affects only the runs around it. Files that are alike in unrelated repositories
(vendored ones, generated ones, packaging, tests' settings) are left out. The measure is the share of the smaller
repository that the larger one contains, because a copy may have grown, or be a part.
"""

import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from harness.packages.package import RepoPackage
from models.content import RepositoryContent
from repos.git import Git

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERMUTATIONS = 256
SHARE = 0.25
"""The least share of the smaller repository's code that makes one a copy of the other. Measured on 18 repositories:
0.03 at most where nothing was copied, 0.09 for one that was modelled on another (Quart on Flask), 0.46 for a project
and its state of two years before, over 0.5 for copies that were renamed and reformatted."""
_LEAST = 40
"""Fewest shingles of a repository for its code to be compared, and fewest that two must share."""
_RUN, _ONE_IN = 8, 4
"""Words of a run, and runs per sampled one; sampling is by the first word, so it is the same everywhere."""
_SEED = 12
_LARGEST_FILE, _MOST_BYTES = 1 << 20, 32 << 20
_BATCH = 2000
_CODE = {
    ".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".cc", ".cpp", ".hpp", ".rs", ".go", ".java", ".kt", ".js", ".jsx",
    ".ts", ".tsx", ".rb", ".php", ".cs", ".swift", ".scala", ".lua", ".jl", ".r", ".sh",
}  # fmt: skip
_COMMON_FILES = {"setup.py", "versioneer.py", "_version.py", "ez_setup.py", "six.py", "conf.py", "noxfile.py"}
_OTHERS_FOLDERS = {
    "_vendor", "_vendored", "vendor", "vendored", "third_party", "thirdparty", "extern", "external", "node_modules",
    "site-packages", "dist", "build",
}  # fmt: skip
_WORD, _COMMENT = re.compile(r"\w+"), re.compile(r"^[ \t]*(?:#|//|/?\*).*$", re.MULTILINE)


def package_content(package: RepoPackage) -> RepositoryContent:
    """The content of a package: at its newest commit, and at its instances' oldest and newest parents."""
    git = package.git
    order = {commit: n for n, commit in enumerate(git.text("rev-list", "--topo-order", package.manifest.head).split())}
    bases = {instance.base_commit for instance in package.manifest.instances if instance.base_commit in order}
    ends = sorted(bases, key=lambda commit: order[commit])
    return content_of(git, dict.fromkeys([package.manifest.head, *ends[:1], *ends[-1:]]))


def content_of(git: Git, commits: Iterable[str]) -> RepositoryContent:
    """The content of a clone at some commits, the newest first."""
    commits = list(commits)
    roots = sorted(git.text("rev-list", "--max-parents=0", commits[0]).split())
    blobs = dict.fromkeys(
        entry.blob
        for commit in commits
        for entry in git.tree(commit)
        if entry.mode[:3] == "100" and _counts(entry.path)
    )
    return sketch_of(_texts(git, list(blobs)), tuple(roots))


def contents_along(package: RepoPackage) -> Iterator[RepositoryContent]:
    """The content at each instance's commit and at its parent: a history may hold another repository in its middle.

    Each file is read once, and states with the same code come once. The first content has only the first commits.
    """
    git = package.git
    commits = list(dict.fromkeys(c for each in package.manifest.instances for c in (each.base_commit, each.commit)))
    if not commits:
        return
    named = "".join(f"{commit}\n" for commit in commits).encode()
    roots = tuple(sorted(git.output("rev-list", "--max-parents=0", "--stdin", stdin=named).decode().split()))
    yield RepositoryContent(roots=roots, shingles=0)
    sketches: dict[str, _Sketch] = {}
    seen: set[frozenset[str]] = set()
    for commit in commits:
        blobs = frozenset(e.blob for e in git.tree(commit) if e.mode[:3] == "100" and _counts(e.path))
        if blobs in seen:
            continue
        seen.add(blobs)
        new = sorted(blobs - sketches.keys())
        sketches |= dict.fromkeys(new)
        for blob, text in _read(git, new):
            sketches[blob] = _sketch(text)
        yield _joined(each for blob in blobs if (each := sketches[blob]) is not None)


_Sketch = tuple["NDArray[Any]", "NDArray[Any]"] | None
"""Of one file: the values of its MinHash, and the checksums of its runs; None for a file that is not compared."""


def _sketch(text: str) -> _Sketch:
    import numpy
    from datasketch import MinHash

    runs = sorted(set(shingles(text)))
    if not runs:
        return None
    sketch = MinHash(num_perm=PERMUTATIONS, seed=_SEED)
    sketch.update_batch([run.encode() for run in runs])
    return sketch.hashvalues, numpy.array([zlib.crc32(run.encode()) for run in runs], dtype=numpy.uint32)


def _joined(sketches: Iterable[_Sketch]) -> RepositoryContent:
    """The content of files together: a MinHash of a union has the least values of those of its parts."""
    import numpy

    parts = [each for each in sketches if each is not None]
    count = len(numpy.unique(numpy.concatenate([runs for _, runs in parts]))) if parts else 0
    if count < _LEAST:
        return RepositoryContent(roots=(), shingles=count)
    values = numpy.minimum.reduce([values for values, _ in parts])
    return RepositoryContent(roots=(), shingles=count, sketch=tuple(map(int, values)))


def sketch_of(texts: Iterable[str], roots: tuple[str, ...] = ()) -> RepositoryContent:
    """The content of a repository with some files of code."""
    from datasketch import MinHash

    found = {run for text in texts for run in shingles(text)}
    if len(found) < _LEAST:
        return RepositoryContent(roots=roots, shingles=len(found))
    sketch, ordered = MinHash(num_perm=PERMUTATIONS, seed=_SEED), sorted(found)
    for start in range(0, len(ordered), _BATCH):
        sketch.update_batch([run.encode() for run in ordered[start : start + _BATCH]])
    return RepositoryContent(roots=roots, shingles=len(found), sketch=tuple(map(int, sketch.hashvalues)))


def shingles(text: str) -> Iterator[str]:
    """Sampled runs of words of a source file, comments left out."""
    words = _WORD.findall(_COMMENT.sub("", text).lower())
    for start in range(len(words) - _RUN + 1):
        if zlib.crc32(words[start].encode(errors="replace")) % _ONE_IN == 0:
            yield " ".join(words[start : start + _RUN])


def shared_content(one: RepositoryContent, other: RepositoryContent) -> str:
    """Why two contents are of one repository, or of a repository and its copy; "" if they are not."""
    if both := sorted(set(one.roots) & set(other.roots)):
        return f"their histories begin with the same commit {both[0][:12]}"
    share = shared_code(one, other)
    return f"they share {share:.0%} of the code" if share >= SHARE else ""


def shared_code(one: RepositoryContent, other: RepositoryContent) -> float:
    """The share of the smaller one's code that the other contains as well, estimated from their sketches."""
    if not one.sketch or len(one.sketch) != len(other.sketch):
        return 0.0
    jaccard = sum(a == b for a, b in zip(one.sketch, other.sketch, strict=True)) / len(one.sketch)
    shared = jaccard / (1 + jaccard) * (one.shingles + other.shingles)
    return min(1.0, shared / min(one.shingles, other.shingles)) if shared >= _LEAST else 0.0


def _counts(path: str) -> bool:
    pure = PurePosixPath(path)
    return (
        pure.suffix.lower() in _CODE
        and pure.name not in _COMMON_FILES
        and not pure.name.endswith(".min.js")
        and _OTHERS_FOLDERS.isdisjoint(part.lower() for part in pure.parts[:-1])
    )


def _texts(git: Git, blobs: Collection[str]) -> Iterator[str]:
    """The texts of blobs, without large ones, up to a limit."""
    yield from (text for _, text in _read(git, blobs))


def _read(git: Git, blobs: Collection[str]) -> Iterator[tuple[str, str]]:
    """Blobs with their texts, without large ones, up to a limit."""
    listed = git.output("cat-file", "--batch-check", stdin="".join(f"{blob}\n" for blob in blobs).encode()).decode()
    taken, total = [], 0
    for line in listed.splitlines():
        blob, _, size = line.partition(" blob ")
        if size.isdigit() and int(size) <= _LARGEST_FILE and total + int(size) <= _MOST_BYTES:
            taken.append(blob)
            total += int(size)
    yield from ((blob, data.decode(errors="replace")) for blob, data in git.blobs(taken).items())
