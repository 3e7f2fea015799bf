"""The layout of a repository's tests at each commit of its history."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from harness.mining.log import LogRecord
from models.errors import RepositoryError
from repos.git import Git
from repos.index.suite_layout import PLAIN, SuiteLayout, suite_layout
from repos.layouts import layout_at
from repos.pytest_options import OPTION_FILES

_FILES = frozenset(OPTION_FILES)
_OPTIONS = re.compile(rb"\b(?:python_files|testpaths)\b[^\n]*(?:\n[ \t\]\"'][^\n]*)*")
"""The options that say where tests are, with their values."""


def layouts_of(git: Git, records: Sequence[LogRecord]) -> Callable[[LogRecord], SuiteLayout]:
    """A function from a commit to the layout at it and at its parents.

    Only the commits that change a file which can configure the runner are read, unless one of them does. A commit that
    cannot be read has the plain layout.
    """

    def of(record: LogRecord, *others: str) -> SuiteLayout:
        try:
            return layout_at(git, record.sha, *others)
        except RepositoryError:  # a damaged commit: it is for the rules and the validation to say so
            return PLAIN

    changed = [(r.sha, path) for r in records for change in r.changes if (path := change.path) in _FILES]
    if not _configures(_contents(git, changed)):
        return lambda record: PLAIN
    return lambda record: of(record, *record.parents)


def _contents(git: Git, changed: Sequence[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """The contents of files at commits (id, path), each content once for each path; those of deleted files left out."""
    asked = "".join(f"{sha}:{path}\n" for sha, path in changed).encode()
    answers = git.output("cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=asked) if asked else b""
    found: dict[tuple[str, str], None] = {}
    for (_, path), answer in zip(changed, answers.decode(errors="replace").splitlines(), strict=True):
        kind, _, blob = answer.partition(" ")
        if kind == "blob":
            found[path, blob] = None
    contents = git.blobs(sorted({blob for _, blob in found}))
    return ((path, contents[blob]) for path, blob in found)


def _configures(files: Iterable[tuple[str, bytes]]) -> bool:
    """Whether one of some files says where tests are, if it is the one that configures the runner.

    Of those that say it in the same words one is parsed.
    """
    seen: set[tuple[str, tuple[bytes, ...]]] = set()
    for path, content in files:
        said = path, tuple(_OPTIONS.findall(content))
        if said[1] and said not in seen:
            seen.add(said)
            if suite_layout({path: content}.get) != PLAIN:
                return True
    return False
