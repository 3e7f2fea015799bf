"""A repository's whole history in one `git log` pass: authors, dates, messages, and the size of changes per file.

Everything is NUL-delimited, so no quoting and no `{old => new}` notation has to be undone, and a message or a path may
contain any character. A record is eight header fields, then one `--raw` entry for each file, then one `--numstat` entry
for each file; `-M` makes renames one entry with two paths.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from models.errors import InfrastructureError
from repos.git import Git

_FORMAT = "%H%x00%P%x00%an%x00%ae%x00%ad%x00%at%x00%ct%x00%B"
_ARGUMENTS = ("log", "-z", "-M", "--raw", "--no-abbrev", "--numstat", "--date=raw", f"--format={_FORMAT}")
_HEADER_FIELDS = 8
_Entry = tuple[bytes, bytes | None, bool]  # path, old path, is a regular file
_REGULAR_MODES = {b"100644", b"100755", b"000000"}
_ZONED = re.compile(r"([0-9]{1,12}) ([+-])([01][0-9]|2[0-3])([0-5][0-9])")
_LATEST = (1 << 63) - 1
"""The last second that a clock of 64 bits can tell."""
_LAST_WITH_DATE = 253_402_300_799
"""The last second of the year 9999."""


class LogFormatError(InfrastructureError):
    """git printed a format that this parser does not know; most likely another version of git."""


@dataclass(frozen=True, slots=True)
class LogFileChange:
    """One file of a commit. `old_path` is None for a new file and differs from `path` for a renamed one.

    `path` of a deleted file is the path it had. `added` and `deleted` are lines, both 0 for a binary file.
    `regular` is False for symlinks and submodules. Bytes of a path that are not UTF-8 become surrogate escapes.
    """

    path: str
    old_path: str | None
    added: int
    deleted: int
    binary: bool = False
    regular: bool = True


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A commit in the log. `author_date` is ISO 8601, `committed` seconds since the epoch.

    Not `readable` is a commit without author or date, or with one that is no date, or before 1970; what could not be
    read is empty, or 0. Its committer's date may lie after the year 9999, its author's may not.
    """

    sha: str
    parents: tuple[str, ...]
    author: str
    email: str
    author_date: str
    committed: int
    message: str
    changes: tuple[LogFileChange, ...]
    readable: bool = True

    @property
    def subject(self) -> str:
        """The message's first line that is not blank, stripped."""
        return next((line.strip() for line in self.message.splitlines() if line.strip()), "")


def read_log(git: Git) -> list[LogRecord]:
    """Every commit in HEAD's history, newest first. Merges are included, without changes.

    Raises RepositoryError if there is no commit at all.
    """
    return list(parse_log(git.output(*_ARGUMENTS, git.resolve("HEAD"), "--", timeout=1800)))


def parse_log(output: bytes) -> Iterator[LogRecord]:
    """Records of `git log`'s output. Raises LogFormatError where it is not in the expected form."""
    tokens = output.split(b"\0")
    position = 0
    while position < len(tokens) and tokens[position]:
        header = tokens[position : position + _HEADER_FIELDS]
        if len(header) < _HEADER_FIELDS or len(header[0]) not in (40, 64):
            raise LogFormatError(f"git log printed {header[0][:60]!r} where a commit id belongs; upgrade git")
        position += _HEADER_FIELDS
        try:
            changes, position = _changes(tokens, position)
        except (ValueError, KeyError, IndexError) as error:
            raise LogFormatError(f"git log's list of files of {header[0].decode()} cannot be read") from error
        sha, parents, author, email, zoned, authored, when, message = (
            field.decode("utf-8", "replace") for field in header
        )
        author_date, committed = _author_date(zoned, authored), _seconds(when)
        yield LogRecord(
            sha,
            tuple(parents.split()),
            author,
            email,
            author_date or "",
            committed or 0,
            message.strip(),
            changes,
            readable=author_date is not None and committed is not None,
        )


def _author_date(zoned: str, seconds: str) -> str | None:
    """A date in its own time zone; in UTC where the time zone is none, None where there is no date.

    git would end with an error for a date whose local time is before 1970, and writes UTC as Z in some versions.
    """
    moment = _seconds(seconds)
    if moment is None or moment > _LAST_WITH_DATE:
        return None
    match = _ZONED.fullmatch(zoned)
    if match is None or int(match[1]) != moment:
        return datetime.fromtimestamp(moment, UTC).isoformat()
    offset = timedelta(hours=int(match[3]), minutes=int(match[4]))
    zone = timezone(-offset if match[2] == "-" else offset)
    try:
        return datetime.fromtimestamp(moment, zone).isoformat()
    except (OverflowError, ValueError):  # the local time is in the year 10000
        return datetime.fromtimestamp(moment, UTC).isoformat()


def _seconds(text: str) -> int | None:
    """Seconds since the epoch; None for anything else, which git prints for a date that it cannot read."""
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= _LATEST else None


def _changes(tokens: list[bytes], position: int) -> tuple[tuple[LogFileChange, ...], int]:
    """The changes of one commit from `position` on, and the position after them."""
    entries: list[_Entry] = []
    while (token := tokens[position].lstrip(b"\n")).startswith(b":"):
        entry, position = _raw_entry(token, tokens, position + 1)
        entries.append(entry)
    counts: dict[bytes, tuple[bytes, bytes]] = {}
    for _ in entries:
        added, deleted, path = tokens[position].split(b"\t", 2)
        if path:
            position += 1
        else:  # for a rename the path is empty, and two paths follow
            path, position = tokens[position + 2], position + 3
        counts[path] = added, deleted
    return tuple(_file_change(*entry, *counts[entry[0]]) for entry in entries), position


def _raw_entry(token: bytes, tokens: list[bytes], position: int) -> tuple[_Entry, int]:
    """One `:mode mode blob blob status` entry, whose paths are at `position`, and the position after it."""
    old_mode, mode, _, _, status = token[1:].split(b" ")
    path = tokens[position]
    regular = {old_mode, mode} <= _REGULAR_MODES
    if status.startswith(b"R"):
        return (tokens[position + 1], path, regular), position + 2
    return (path, None if status == b"A" else path, regular), position + 1


def _file_change(path: bytes, old_path: bytes | None, regular: bool, added: bytes, deleted: bytes) -> LogFileChange:
    binary = added == b"-"
    return LogFileChange(
        _path(path),
        None if old_path is None else _path(old_path),
        0 if binary else int(added),
        0 if binary else int(deleted),
        binary,
        regular,
    )


def _path(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
