"""Decontamination of tasks that are too short for shingles: under eight words, or with lines of so few.

Such a line is significant if at least two of its words are neither function words nor common in every log ("fix",
"typo", "tests", "update"): "fix typo" occurs in every repository and gives nothing away. Two lines are equal if their
significant words are, in any order and number (singular or plural), or if these differ by a typo in one of three or
more. A short task is compared with every line of an evaluation task, and a short evaluation task with every line of a
task.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

SHORTEST = 8
"""Number of words from which a task is compared whole, or by shingles."""
_LEAST_TELLING, _LEAST_FOR_SLIPS = 2, 3
_SLIP = 0.75
"""Least similarity (0 to 1, by `difflib`) of two words that count as one word with a typo."""
_WORD = re.compile(r"[^\W_]+")
_REFERENCE = re.compile(r"\(?#\d+\)?|\bgh-\d+\b|https?://\S+", re.IGNORECASE)
_KIND = re.compile(r"^\s*(?:feat|fix|chore|docs|refactor|test|perf|ci|build|style)(?:\([^)]*\))?!?:\s*", re.IGNORECASE)
_COMMON = frozenset(
    {
        "a", "an", "the", "and", "or", "of", "in", "on", "at", "to", "for", "from", "by", "with", "without",
        "as", "is", "are", "be", "been", "was", "were", "it", "its", "this", "that", "these", "those", "into",
        "not", "no", "do", "does", "did", "can", "could", "should", "would", "will", "when", "where", "which",
        "who", "what", "how", "if", "then", "than", "so", "but", "also", "only", "just", "more", "most", "some",
        "any", "all", "each", "add", "adds", "added", "allow", "bump", "bumped", "change", "changes", "changed",
        "clean", "cleanup", "code", "comment", "comments", "commit", "correct", "doc", "docs", "documentation",
        "drop", "file", "files", "fix", "fixed", "fixes", "fixing", "formatting", "handle", "implement",
        "improve", "improved", "initial", "lint", "make", "merge", "minor", "misc", "move", "new", "old",
        "readme", "refactor", "refactoring", "release", "remove", "removed", "rename", "revert", "rework",
        "review", "set", "simplify", "small", "style", "support", "test", "tests", "testing", "tweak", "typo",
        "typos", "unused", "update", "updated", "updates", "use", "version", "wip", "bug", "bugs", "bugfix",
        "feature", "issue", "issues", "error", "errors", "changelog", "dependencies", "dependency", "deps",
    }
)  # fmt: skip
Telling = tuple[str, ...]


class ShortTasks:
    """The lines of evaluation tasks, for comparison."""

    def __init__(self, tasks: Iterable[str]) -> None:
        self._short: set[Telling] = set()
        self._lines: set[Telling] = set()
        for task in tasks:
            self._lines.update(_lines(task))
            if _is_short(task):
                self._short.update(_lines(task))

    def know(self, task: str) -> bool:
        """Whether a task matches an evaluation task by its short lines."""
        own = set(_lines(task))
        known = self._lines if _is_short(task) else self._short
        return not own.isdisjoint(known) or any(_slipped(one, other) for one in own for other in known)


def telling(line: str) -> Telling:
    """The significant words of a line, normalised and sorted."""
    plain = unicodedata.normalize("NFKC", _REFERENCE.sub(" ", _KIND.sub("", line))).casefold()
    words = {word for word in _WORD.findall(plain) if word not in _COMMON}
    return tuple(sorted({_singular(word) for word in words}))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _is_short(task: str) -> bool:
    return len(_WORD.findall(task)) < SHORTEST


def _lines(task: str) -> Iterator[Telling]:
    """The significant words of each significant short line of a task."""
    for line in task.splitlines():
        words = telling(line)
        if len(_WORD.findall(line)) < SHORTEST and len(words) >= _LEAST_TELLING:
            yield words


def _slipped(one: Telling, other: Telling) -> bool:
    if len(one) != len(other) or len(one) < _LEAST_FOR_SLIPS:
        return False
    mine, theirs = set(one) - set(other), set(other) - set(one)
    if len(mine) != 1 or len(theirs) != 1:
        return False
    return SequenceMatcher(None, mine.pop(), theirs.pop(), autojunk=False).ratio() >= _SLIP
