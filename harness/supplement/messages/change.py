"""A commit's change as a prompt shows it: the diff of its code, cut to a number of tokens, and all else by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.manifest import Commit
from models.tokens import estimate_tokens
from repos.git import Git

_LEAST = 40
"""Tokens below which nothing of a file's diff is shown but its name."""

_INDEX = re.compile(r"^index [0-9a-f]+\.\..*\n", re.MULTILINE)
"""The line with shortened ids, whose length grows with the repository."""


@dataclass(frozen=True)
class ChangedFile:
    """The diff of one file, from its `diff --git` line on."""

    path: str
    diff: str
    tokens: int


@dataclass(frozen=True)
class CodeChange:
    """The code files of a commit with their diffs, and the others as lines: path and numbers of lines."""

    files: tuple[ChangedFile, ...]
    others: tuple[str, ...]

    @property
    def changed_lines(self) -> tuple[str, ...]:
        """The lines that were added and removed, without their marks."""
        return tuple(
            line[1:]
            for file in self.files
            for line in file.diff.split("\n")[1:]
            if line[:1] in ("+", "-") and not line.startswith(("+++ ", "--- "))
        )

    @property
    def describable(self) -> bool:
        """Whether it has changed lines of text, or renames a file."""
        return any("\n@@ " in file.diff or "\nrename from " in file.diff for file in self.files)

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the code files."""
        return tuple(file.path for file in self.files)

    def cut(self, budget: int) -> str:
        """The diff in about `budget` tokens by the estimate: small files whole, of the others as many first lines as
        their equal shares of the rest allow. The same change and budget give the same text."""
        shares = _shares([file.tokens for file in self.files], budget)
        return "".join(_first_lines(file, share) for file, share in zip(self.files, shares, strict=True))


def read_change(git: Git, commit: Commit) -> CodeChange:
    """The change between a mined commit and its parent, production code first, then tests."""
    code = sorted((change for change in commit.changes if change.kind != "other"), key=lambda c: (c.kind, c.path))
    wanted = sorted({path for change in code for path in (change.path, change.old_path) if path})
    raw = git.output(
        "diff", "--no-ext-diff", "--no-textconv", "--no-color", "-M", "--src-prefix=a/", "--dst-prefix=b/",
        commit.parent, commit.sha, "--", *(f":(literal){path}" for path in wanted),
    )  # fmt: skip
    pieces = [f"diff --git {piece}" for piece in f"\n{raw.decode('utf-8', 'replace')}".split("\ndiff --git ")[1:]]
    by_path = {change.path: piece for change in code for piece in pieces if _is_of(piece, change.path)}
    files = [
        ChangedFile(change.path, text, estimate_tokens(text))
        for change in code
        if (text := _INDEX.sub("", by_path.get(change.path, "").rstrip("\n"), count=1) + "\n").strip()
    ]
    others = [f"{ascii_path(c.path)} (+{c.added} -{c.deleted})" for c in commit.changes if c.kind == "other"]
    return CodeChange(tuple(files), tuple(sorted(others)))


def ascii_path(path: str) -> str:
    """A path on one line, with what cannot be printed escaped."""
    return path if path.isprintable() else ascii(path)[1:-1]


def _is_of(piece: str, path: str) -> bool:
    """Whether a file's diff is that of a path: by its first line, which ends in the path after the change."""
    return piece.partition("\n")[0].endswith((f" b/{path}", f' "b/{path}"'))


def _shares(sizes: Sequence[int], budget: int) -> list[int]:
    """What each gets of a budget: all it needs, or an equal share of what the smaller ones leave."""
    shares = [0] * len(sizes)
    left = budget
    for done, index in enumerate(sorted(range(len(sizes)), key=lambda each: (sizes[each], each))):
        shares[index] = min(sizes[index], left // (len(sizes) - done))
        left -= shares[index]
    return shares


def _first_lines(file: ChangedFile, share: int) -> str:
    if file.tokens <= share:
        return file.diff
    lines, kept, used = file.diff.rstrip("\n").split("\n"), 0, _LEAST
    while kept < len(lines) and used + estimate_tokens(lines[kept]) <= share:
        used += estimate_tokens(lines[kept])
        kept += 1
    if not kept:
        return f"diff of {ascii_path(file.path)}: {len(lines)} lines, left out\n"
    return "\n".join(lines[:kept]) + f"\n[{len(lines) - kept} more lines of this file are left out]\n"
