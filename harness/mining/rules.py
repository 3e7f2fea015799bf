"""Rules for keeping commits: small code changes by people. A pure function of the log's records."""

import re

from harness.mining.log import LogFileChange, LogRecord
from models.manifest import Change, DropReason
from models.mining import MiningRules
from repos.index.paths import PathKind, is_ci, is_documentation
from repos.index.suite_layout import PLAIN, SuiteLayout

_BOT = re.compile(
    r"\[bot\]|(?:^|[\s_-])bot\b|^(?:dependabot|renovate|pyup|greenkeeper|pre-commit-ci|github-actions|snyk|weblate"
    r"|imgbot|allcontributors|mergify|depfu|lgtm-com|codecov)\b",
    re.IGNORECASE,
)
_AUTOMATED = re.compile(
    r"""
      (?:build|chore|fix|ci)\(deps(?:-dev)?\)!?:
    | \[pre-commit\.ci\] | (?:\S+\s+)?pre-commit\ (?:auto-?update|updates?\b)
    | update\ pre-commit(?:\ hooks?)?$
    | (?:\S+:\ )?bump\ \S+(?:\ (?:requirement|version))?\ from\ \S+\ to\ \S+
    | (?:\S+:\ )?(?:update|pin)\ (?:dependency|dependencies|all\ non-major\ dependencies|github/\S+\ action)\b
    | (?:\S+:\ )?lock\ file\ maintenance | scheduled\ (?:weekly|monthly)\ dependency\ update
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DOCS_TYPE = re.compile(r"(?:docs?|documentation)(?:\([^)]*\))?!?:", re.IGNORECASE)
_CI_TYPE = re.compile(r"ci(?:\([^)]*\))?!?:", re.IGNORECASE)
_NUMBER = r"v?\d+(?:\.\d+)+\S*"
_VERSION_BUMP = re.compile(
    rf"""
      (?:release|version|tag)?\s*:?\s*{_NUMBER}(?:\s+(?:release|final))?\.?$
    | (?:\S+:\ )?(?:bump|increment|update|set|fix|raise)
      \ (?:(?:the|package|project|next|dev|in-dev|release|minor|major|patch|to)\ )*
      version(?:s|\ number)?(?:\ (?:to|for|from|again|so)\b.*|\ {_NUMBER}.*)?$
    | (?:\S+:\ )?(?:bump|increment)\ (?:version\ )?(?:to|for)?\ ?{_NUMBER}.*
    | (?:\S+:\ )?(?:prepare|release|cut|tag|start|begin|open|finalize|finish)
      \ (?:for\ |the\ |next\ |version\ |release\ (?:of\ )?)*
      {_NUMBER}(?:\s+(?:cycle|release|development|dev|final|series|\(.*\))){{0,2}}\.?$
    | (?:start|begin|open|back\ to)\ (?:(?:a|the|new|next|release|dev|development|another)\ )*
      (?:cycle|development|dev)$
    | (?:prepare|cut|make|do)\ (?:(?:a|the|for|new|next|first|final)\ )*release$
    | internal\ release\b.* | post-release\b.*
    """,
    re.IGNORECASE | re.VERBOSE,
)


def drop_reason(record: LogRecord, rules: MiningRules, layout: SuiteLayout = PLAIN) -> DropReason | None:
    """The first rule that a commit breaks, or None if its diff is good; the message is judged separately.

    `layout` is that of the repository's tests at the commit.
    """
    if not record.parents:
        return DropReason.ROOT
    if len(record.parents) > 1:
        return DropReason.MERGE
    subject = record.subject
    if _BOT.search(record.author) or "[bot]" in record.email or _AUTOMATED.match(subject):
        return DropReason.AUTOMATED
    if _VERSION_BUMP.match(subject):
        return DropReason.VERSION_BUMP
    code = [change for change in record.changes if kind(change, layout) != "other"]
    return _reason_to_ignore(record, code, layout) or _reason_in_diff(record.changes, code, rules)


def _reason_to_ignore(record: LogRecord, code: list[LogFileChange], layout: SuiteLayout) -> DropReason | None:
    """Why a commit is not about code: by its files, or by its message (docstrings, comments)."""
    changes = record.changes
    if (changes and all(is_documentation(change.path) for change in changes)) or (
        _DOCS_TYPE.match(record.subject) and all(kind(change, layout) == "production" for change in code)
    ):
        return DropReason.DOCS_ONLY
    if (changes and all(is_ci(change.path) for change in changes)) or _CI_TYPE.match(record.subject):
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
    try:
        f"{change.path}{change.old_path}".encode()
    except UnicodeEncodeError:
        return False
    return True


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
