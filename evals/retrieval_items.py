"""Retrieval queries from a repository's history: a commit's message, run on its parent's tree."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.mining.layouts import layouts_of
from harness.mining.log import LogRecord, read_log
from harness.mining.messages import task_text
from repos.git import Git
from repos.index.suite_layout import SuiteLayout
from repos.index.symbols import symbols

MOST_FILES = 5
FEWEST_WORDS = 3
_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+", re.MULTILINE)


@dataclass(frozen=True)
class RetrievalItem:
    """A task, the revision to search, and the production files of that revision which the commit changed."""

    commit: str
    parent: str
    task: str
    gold: tuple[str, ...]


def items(git: Git, most: int) -> list[RetrievalItem]:
    """The latest `most` commits with one parent, 1 to 5 changed files, a subject of at least three words, and a changed
    production file that the parent has; the latest first."""
    found: list[RetrievalItem] = []
    records = read_log(git)
    layouts = layouts_of(git, records)
    for record in records:
        if len(found) == most:
            break
        gold = _gold(record, layouts(record))
        if gold and (task := task_text(record.message)):
            found.append(RetrievalItem(record.sha, record.parents[0], task, gold))
    return found


def _gold(record: LogRecord, layout: SuiteLayout) -> tuple[str, ...]:
    if len(record.parents) != 1 or not 1 <= len(record.changes) <= MOST_FILES:
        return ()
    if len(record.subject.split()) < FEWEST_WORDS:
        return ()
    changed = {change.old_path for change in record.changes if change.old_path and change.regular}
    return tuple(sorted(path for path in changed if layout.kind_of(path) == "production"))


def gold_symbols(git: Git, item: RetrievalItem) -> dict[str, frozenset[str]]:
    """For each gold file, the innermost symbols of the parent's text on whose lines the commit deletes or inserts."""
    found = {}
    for path in item.gold:
        text = (git.read(item.parent, path) or b"").decode("utf-8", "replace")
        spans = symbols(text, path)
        touched = set()
        for first, last in _ranges(git, item, path):
            for line in range(first, last + 1):
                around = [span for span in spans if span.start_line <= line <= span.end_line]
                if around:
                    touched.add(min(around, key=lambda span: span.end_line - span.start_line).name)
        found[path] = frozenset(touched)
    return found


def _ranges(git: Git, item: RetrievalItem, path: str) -> Iterator[tuple[int, int]]:
    """Old lines that a commit changes in a file; an insertion counts for the line before it."""
    diff = git.output(
        "diff", "-U0", "--no-color", "--no-ext-diff", "-M", item.parent, item.commit, "--", f":(literal){path}"
    )
    for first, length in _HUNK.findall(diff):
        start, rows = int(first), int(length or b"1")
        yield start, start + max(rows, 1) - 1
