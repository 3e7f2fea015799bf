"""The fail-fast score of repositories, folders and files: production code in Python, file by file and pooled.

Of a git repository the files at HEAD are read, of a folder those that lie in it. Tests, generated and vendored code,
and what is not Python are left out and counted; a file that cannot be read is skipped with its reason.
"""

import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from host.folders import walk
from models.errors import UsageError
from repos.clones import cached_clone
from repos.git import Git
from repos.git_folders import is_repository
from repos.index.error_handling import Fault, Handling, UnreadableCode, read_code, read_handling
from repos.index.fail_fast import score
from repos.index.parse import MAX_BYTES, declares_generated
from repos.index.paths import is_generated
from repos.index.suite_layout import SuiteLayout, suite_layout
from repos.layouts import layout_at
from repos.sources import GitSource

SUFFIX = ".py"
TESTS, GENERATED, NO_PRODUCTION = "tests", "generated or vendored", "documentation or configuration"
_PRIVATE = frozenset({"__pycache__", "site-packages", "node_modules"})


@dataclass(frozen=True)
class ScoredFile:
    """A file, and how its code handles errors."""

    path: str
    handling: Handling

    @property
    def score(self) -> float:
        """Its score, shrunk towards 50."""
        return score(self.handling)


@dataclass
class ScoredTree:
    """The files of a repository (then with its commit), of a folder, or a single file."""

    place: Path
    commit: str | None = None
    files: list[ScoredFile] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Paths that could not be read, each with its reason."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Python files that are no production code, by what they are."""

    @property
    def handling(self) -> Handling:
        """The counts of all files together, without the faults, which are the files' own."""
        total = Handling()
        for file in self.files:
            total += Handling(file.handling.good, file.handling.chances)
        return total

    @property
    def score(self) -> float:
        """The score of all files together."""
        return score(self.handling)

    def faults(self) -> list[tuple[str, Fault]]:
        """The lines that lower the score, by path and line."""
        return [(file.path, fault) for file in self.files for fault in file.handling.faults]


def score_place(place: Path, cache: Path) -> ScoredTree:
    """Score a git repository (a bare clone, too), a folder, or a file.

    git never runs in the repository itself, but in a clone under `cache`. Raises UsageError for a path that is not
    there, RepositoryError for a repository that cannot be read, InfrastructureError for a full disk.
    """
    if is_repository(place):
        with cached_clone(place, cache) as git:
            return score_commit(place, git, git.resolve("HEAD"))
    try:
        mode = place.stat().st_mode
    except (OSError, ValueError) as error:  # a NUL is a ValueError
        raise UsageError(f"{str(place)!a} cannot be read; give a git repository, a folder or a Python file") from error
    found = ScoredTree(place)
    if stat.S_ISREG(mode):
        _add(found, place.name, _bytes_of(place))
    elif stat.S_ISDIR(mode):
        layout = suite_layout(lambda name: _bytes_of(place / name))
        for path in _python_files(place):
            if _wanted(found, path, layout):
                _add(found, path, _bytes_of(place / path))
    else:
        raise UsageError(f"{str(place)!a} is a device or pipe; give a git repository, a folder or a Python file")
    return found


def score_commit(place: Path, git: Git, commit: str) -> ScoredTree:
    """Score the files of a commit (a full id) of one of our clones. Raises RepositoryError."""
    found = ScoredTree(place, commit)
    source, layout = GitSource(git, commit), layout_at(git, commit)
    wanted = [entry for entry in source.files() if entry.path.endswith(SUFFIX) and _wanted(found, entry.path, layout)]
    paths: dict[str, list[str]] = {}
    for entry in wanted:
        paths.setdefault(entry.blob, []).append(entry.path)
    for blob, content in source.read([entry.blob for entry in wanted], MAX_BYTES):
        for path in paths[blob]:
            _add(found, path, content)
    found.files.sort(key=lambda file: file.path)
    found.skipped.sort()
    return found


def _wanted(found: ScoredTree, path: str, layout: SuiteLayout) -> bool:
    """Whether a Python file is production code by its path; if not, what it is is counted."""
    if layout.kind_of(path) == "production":
        return True
    why = TESTS if layout.is_test(path) else GENERATED if is_generated(path) else NO_PRODUCTION
    found.left_out[why] += 1
    return False


def _add(found: ScoredTree, path: str, content: bytes | None) -> None:
    if content is None:
        found.skipped.append((path, f"cannot be read, or has more than {MAX_BYTES} bytes"))
    elif declares_generated(content[:8000].decode("utf-8", "replace")):
        found.left_out[GENERATED] += 1
    else:
        try:
            found.files.append(ScoredFile(path, read_handling(read_code(content))))
        except UnreadableCode as error:
            found.skipped.append((path, str(error)))


def _python_files(folder: Path) -> Iterator[str]:
    """Regular files with Python's suffix below a folder; links, hidden folders and environments are passed."""
    passed = "\0"  # the path of the folder that was passed last; those below it come next
    for each in walk(folder):
        if each.path is None or each.path.startswith(passed):
            continue
        names = {entry.name for entry in each.entries}
        if each.path and (each.name.startswith(".") or each.name in _PRIVATE or "pyvenv.cfg" in names):
            passed = each.path
            continue
        for entry in each.entries:
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                yield f"{each.path}{entry.name}"


def _bytes_of(path: Path) -> bytes | None:
    """The content of a regular file of at most MAX_BYTES; None for anything else."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    return content if len(content) <= MAX_BYTES else None
