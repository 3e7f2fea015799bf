"""Rules for keeping commits: small code changes by people. A pure function of the log's records."""

from harness.mining.housekeeping import BOT, by_tool, of_ci, of_documentation, of_release
from harness.mining.log import LogFileChange, LogRecord
from harness.mining.subjects import Subject, read_subject
from models.manifest import Change, DropReason
from models.mining import MiningRules
from repos.index.paths import PathKind, is_ci, is_documentation
from repos.index.suite_layout import PLAIN, SuiteLayout
from repos.trees import inside


def drop_reason(record: LogRecord, rules: MiningRules, layout: SuiteLayout = PLAIN) -> DropReason | None:
    """The first rule that a commit breaks, or None if its diff is good; the message is judged separately.

    `layout` is that of the repository's tests at the commit.
    """
    if not record.readable:
        return DropReason.UNREADABLE
    if not record.parents:
        return DropReason.ROOT
    if len(record.parents) > 1:
        return DropReason.MERGE
    subject = read_subject(record.subject)
    code = [change for change in record.changes if kind(change, layout) != "other"]
    if BOT.search(record.author) or "[bot]" in record.email or by_tool(subject):
        return DropReason.AUTOMATED
    if of_release(subject, sum(change.added + change.deleted for change in code)):
        return DropReason.VERSION_BUMP
    return _reason_to_ignore(record, subject, code, layout) or _reason_in_diff(record.changes, code, rules)


def _reason_to_ignore(
    record: LogRecord, subject: Subject, code: list[LogFileChange], layout: SuiteLayout
) -> DropReason | None:
    """Why a commit is not about code: by its files, or by its message (docstrings, comments)."""
    changes = record.changes
    if (changes and all(is_documentation(change.path) for change in changes)) or (
        of_documentation(subject) and all(kind(change, layout) == "production" for change in code)
    ):
        return DropReason.DOCS_ONLY
    if (changes and all(is_ci(change.path) for change in changes)) or of_ci(subject):
        return DropReason.CI_ONLY
    return None if code else DropReason.NO_CODE


def _reason_in_diff(
    changes: tuple[LogFileChange, ...], code: list[LogFileChange], rules: MiningRules
) -> DropReason | None:
    if any(change.binary for change in changes):
        return DropReason.BINARY
    if not all(_readable(change) for change in changes):
        return DropReason.UNREADABLE_PATH
    if len(code) > rules.max_files:
        return DropReason.TOO_MANY_FILES
    if sum(change.added + change.deleted for change in code) > rules.max_lines:
        return DropReason.TOO_MANY_LINES
    return None


def kind(change: LogFileChange, layout: SuiteLayout = PLAIN) -> PathKind:
    """The kind of a changed path. Symlinks and submodules are never code; a deleted test was a test."""
    return layout.kind_of(change.path) if change.regular else "other"


def _readable(change: LogFileChange) -> bool:
    """Whether both paths are text, and stay inside a tree."""
    paths = {change.path, change.old_path or change.path}
    try:
        "".join(paths).encode()
    except UnicodeEncodeError:
        return False
    return all(map(inside, paths))


def as_changes(record: LogRecord, layout: SuiteLayout = PLAIN) -> tuple[Change, ...]:
    """The changes of a commit as the manifest records them."""
    return tuple(
        Change(
            path=change.path,
            old_path=change.old_path,
            added=change.added,
            deleted=change.deleted,
            kind=kind(change, layout),
        )
        for change in record.changes
    )
