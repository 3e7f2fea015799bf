"""Lines that some commits wrote, followed through later commits: how many of them were changed again, and by whom.

As `git blame` would tell, but from patches alone. On a history with merges line numbers of parallel branches are
approximate. Lines that a commit takes out in one place and puts back in another count as moved, not as changed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from repos.git import Git
from training.data.sources.plan_artifacts.history import Commit

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SKIPPED = (
    ".",
    *(f":(exclude,glob)**/{name}/**" for name in ("vendor", "node_modules", "third_party", "dist")),
    *(f":(exclude,glob)**/*.{ending}" for ending in ("lock", "sum", "min.js", "map", "svg", "md")),
    *(f":(exclude,glob)**/{name}" for name in ("package-lock.json", "go.mod")),
)
MOST_FILES = 300
"""A commit that changes more files moves or reformats them: whose lines it changes says nothing of a plan."""


@dataclass(frozen=True)
class Hunk:
    """A change of lines: `old` and `new` are where they begin, from 0; the lines taken out and put in, stripped."""

    old: int
    removed: tuple[bytes, ...]
    new: int
    added: tuple[bytes, ...]


@dataclass
class FilePatch:
    """The hunks of a file in a commit; `path` is None after its deletion."""

    old_path: str | None
    path: str | None
    hunks: list[Hunk] = field(default_factory=list)


class Patches:
    """The patches of commits, each read once. Documentation, lock files and vendored code are left out."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._known: dict[str, list[FilePatch]] = {}

    def of(self, commits: Iterable[Commit]) -> dict[str, list[FilePatch]]:
        """Patches by commit; none of a commit with more than MOST_FILES files."""
        wanted = {commit.sha: commit for commit in commits}
        asked = [sha for sha, each in wanted.items() if sha not in self._known and each.size <= MOST_FILES]
        for start in range(0, len(asked), 50):
            chunk = asked[start : start + 50]
            lines = "".join(f"{sha}\n" for sha in chunk)
            output = self._git.output(
                "log", "--no-walk=unsorted", "--stdin", "-p", "-U0", "-M", "--no-color", "--no-ext-diff",
                "--no-textconv", "--format=%x00%H", "--", *_SKIPPED, stdin=lines.encode(), timeout=1800,
            )  # fmt: skip
            self._known |= {sha: [] for sha in chunk} | dict(_patches(output))
        return {sha: self._known.get(sha, []) for sha in wanted}


def _patches(output: bytes) -> Iterator[tuple[str, list[FilePatch]]]:
    for record in output.split(b"\0"):
        sha, _, patch = record.partition(b"\n")
        if len(sha) == 40:
            yield sha.decode(), list(_files(patch.split(b"\n")))


def _files(lines: list[bytes]) -> Iterator[FilePatch]:
    current: FilePatch | None = None
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if line.startswith(b"diff --git "):
            if current is not None:
                yield current
            current = FilePatch(None, None)
        elif current is None:
            continue
        elif line.startswith((b"rename from ", b"--- a/")):
            current.old_path = _name(line, (b"rename from ", b"--- a/"))
        elif line.startswith((b"rename to ", b"+++ b/")):
            current.path = _name(line, (b"rename to ", b"+++ b/"))
        elif match := _HUNK.match(line):
            removed, added = (int(match[n]) if match[n] else 1 for n in (2, 4))
            body = lines[position : position + removed + added + 2]
            taken = tuple(each[1:].strip() for each in body if each.startswith(b"-"))[:removed]
            put = tuple(each[1:].strip() for each in body if each.startswith(b"+"))[:added]
            current.hunks.append(Hunk(int(match[1]) - bool(removed), taken, int(match[3]) - bool(added), put))
            position += removed + added
    if current is not None:
        yield current


def _name(line: bytes, heads: tuple[bytes, ...]) -> str:
    for head in heads:
        line = line.removeprefix(head)
    return line.rstrip(b"\t").decode(errors="surrogateescape")


@dataclass
class Written:
    """The lines that a plan's commits wrote, by file, as half-open ranges."""

    lines: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(end - start for ranges in self.lines.values() for start, end in ranges)

    def write(self, patches: Iterable[FilePatch]) -> None:
        """A commit that does the plan: what it adds belongs to the plan."""
        for patch in patches:
            self._apply(patch, own=True, moved=Counter())

    def change(self, patches: list[FilePatch]) -> tuple[int, bool]:
        """A later commit: how many of the lines it changes, and whether it touches any of their ranges at all."""
        moved = Counter(line for patch in patches for hunk in patch.hunks for line in hunk.added if len(line) > 3)
        lost, inside = 0, False
        for patch in patches:
            gone, within = self._apply(patch, own=False, moved=moved)
            lost, inside = lost + gone, inside or within
        return lost, inside

    def _apply(self, patch: FilePatch, own: bool, moved: Counter[bytes]) -> tuple[int, bool]:
        ranges = self.lines.pop(patch.old_path, []) if patch.old_path else []
        lost, inside, shift = 0, False, 0
        kept: list[tuple[int, int]] = []
        for hunk in patch.hunks:
            end = hunk.old + len(hunk.removed)
            before, ranges = _split(ranges, hunk.old)
            cut, ranges = _split(ranges, end)
            kept += [(a + shift, b + shift) for a, b in before]
            at_seam = bool(before and ranges) and before[-1][1] == hunk.old and ranges[0][0] == end
            inside = inside or bool(cut) or at_seam
            for a, b in cut:
                for line in hunk.removed[a - hunk.old : b - hunk.old]:
                    lost += moved[line] == 0
                    moved[line] -= moved[line] > 0
            if own and hunk.added:
                kept.append((hunk.new, hunk.new + len(hunk.added)))
            shift += len(hunk.added) - len(hunk.removed)
        kept += [(a + shift, b + shift) for a, b in ranges]
        if patch.path is not None and kept:
            self.lines[patch.path] = kept
        return lost, inside


def _split(ranges: list[tuple[int, int]], at: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Ranges before and from a line on; one that spans it is divided."""
    before, after = [], []
    for start, end in ranges:
        if start < at:
            before.append((start, min(end, at)))
        if end > at:
            after.append((max(start, at), end))
    return before, after
