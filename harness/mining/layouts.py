"""The layout of a repository's tests at each commit of its history."""

from collections.abc import Callable, Sequence

from harness.mining.log import LogRecord
from repos.git import Git
from repos.index.suite_layout import PLAIN, SuiteLayout
from repos.layouts import layout_at
from repos.pytest_options import OPTION_FILES

_FILES = frozenset(OPTION_FILES)


def layouts_of(git: Git, records: Sequence[LogRecord]) -> Callable[[LogRecord], SuiteLayout]:
    """A function from a commit to the layout at it and at its parents.

    Only the commits that change a file which can configure the runner are read, unless one of them does.
    """
    changing = (record for record in records if not _FILES.isdisjoint(change.path for change in record.changes))
    if all(layout_at(git, record.sha) == PLAIN for record in changing):
        return lambda record: PLAIN
    return lambda record: layout_at(git, record.sha, *record.parents)
