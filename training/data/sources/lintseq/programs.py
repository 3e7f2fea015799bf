"""Programs to be taken apart: from files of Python, and from rows that hold an instruction and its code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from harness.mining.fail_fast import GENERATED
from repos.git import Git
from repos.index.parse import declares_generated
from repos.index.paths import is_generated
from store.runs.closed_runs import UNKNOWN
from training.data.sources.collections import Dropped
from training.data.sources.lintseq.recipe import SourceProgram
from training.data.sources.open_datasets.conversion import NotKept
from training.data.sources.open_datasets.licences import UNKNOWN as NO_LICENCE
from training.data.sources.open_datasets.licences import row_license
from training.data.sources.open_datasets.programs import UNCLOSED, fences
from training.data.sources.repository_origin import RepositoryOrigin

SUFFIX = ".py"
MOST_CHARACTERS = 50_000
"""Limit of a program: the edits and the file before them must fit into a window of the code stage."""
TOO_LONG = f"longer than {MOST_CHARACTERS} characters"
LINK, NUL, NOT_UTF8, EMPTY = "a link", "holds a NUL", "not UTF-8", "empty"
NO_CODE, NO_PYTHON, SEVERAL, NOT_A_ROW = "no column with code", "no Python code", "several blocks of code", "not a row"
TASKS = ("instruction", "prompt", "problem", "query", "input")
CODES = ("output", "solution", "response", "answer", "code")
"""Columns in the order in which they are looked for; the first that holds text applies."""
LICENCES = ("license", "licence", "licenses", "licences")
"""Columns with the licence of a row; the first that is there applies."""
_ROW_PATH = "program.py"
_BATCH = 200
"""Files of a repository that are held in memory at a time."""
_REGULAR = ("100644", "100755")
_PYTHON = frozenset({"", "python", "python3", "py"})


@dataclass(frozen=True)
class Origin:
    """Where programs come from: the name and the state (a commit, or a hash of the content) that begin their rows, and
    what their provenance says."""

    name: str
    state: str
    organisation: str = UNKNOWN
    domain: str = UNKNOWN
    license: str = UNKNOWN
    commit: str = ""

    @classmethod
    def of_repository(cls, found: RepositoryOrigin) -> "Origin":
        """A repository at its newest commit."""
        return cls(found.name, found.commit, found.organisation, found.domain, found.license, found.commit)

    def row(self, place: str) -> str:
        """The name of a program."""
        return f"{self.name}@{self.state}:{place}"

    def program(self, path: str, data: bytes) -> SourceProgram | Dropped:
        """The program in a file that people wrote here: generated and vendored ones are left out."""
        row = self.row(path)
        if is_generated(path):
            return Dropped(GENERATED, row)
        if len(data) > 4 * MOST_CHARACTERS:
            return Dropped(TOO_LONG, row)
        if b"\0" in data:
            return Dropped(NUL, row)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            return Dropped(NOT_UTF8, f"{row}: byte {error.start}")
        if declares_generated(text):
            return Dropped(GENERATED, row)
        return self.checked(text, path, row, None)

    def checked(self, text: str, path: str, row: str, task: str | None) -> SourceProgram | Dropped:
        """A program of a length that can be taught."""
        if not text.strip():
            return Dropped(EMPTY, row)
        if len(text) > MOST_CHARACTERS:
            return Dropped(TOO_LONG, row)
        if "\0" in text:
            return Dropped(NUL, row)
        return SourceProgram(
            text, path, row, self.name, self.organisation, self.domain, self.license, self.commit, task
        )


def programs_of_repository(git: Git, origin: Origin, below: str = "") -> Iterator[SourceProgram | Dropped]:
    """The Python files of a commit at a path or below it (unset: all), in the order of their paths."""
    entries = [
        each
        for each in git.tree(origin.commit)
        if PurePosixPath(each.path).suffix == SUFFIX and PurePosixPath(each.path).is_relative_to(below)
    ]
    for start in range(0, len(entries), _BATCH):
        batch = entries[start : start + _BATCH]
        contents = git.blobs(sorted({each.blob for each in batch if each.mode in _REGULAR}))
        for each in batch:
            path = each.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            if each.mode in _REGULAR:
                yield origin.program(path, contents[each.blob])
            else:
                yield Dropped(LINK, origin.row(path))


def has_licence(row: Mapping[str, Any]) -> bool:
    """Whether a row has a column for its licence."""
    return any(column in row for column in LICENCES)


def program_of_row(row: Mapping[str, Any], place: str, origin: Origin) -> SourceProgram | Dropped:
    """The program in a row of an instruction and its code, which may stand in the one fence of a Markdown text.

    Of a row with a column for its licence, this must be known and allow every use.
    """
    name = origin.row(place)
    code = next((row[column] for column in CODES if isinstance(row.get(column), str) and row[column].strip()), None)
    if code is None:
        return Dropped(NO_CODE, f"{name}: columns {', '.join(sorted(map(str, row)))[:200]}; needed: one of {CODES}")
    if len(code) > MOST_CHARACTERS:
        return Dropped(TOO_LONG, name)
    task = next((row[column] for column in TASKS if isinstance(row.get(column), str) and row[column].strip()), None)
    try:
        origin = replace(origin, license=_license(row)) if has_licence(row) else origin
    except NotKept as error:
        return Dropped(str(error), name)
    if found := list(fences(code)):
        python = [fence for fence in found if fence.language in _PYTHON]
        if len(python) != 1:
            return Dropped(SEVERAL if python else NO_PYTHON, name)
        if not python[0].closed:
            return Dropped(UNCLOSED, name)
        code = python[0].content
    return origin.checked(code, _ROW_PATH, name, task)


def _license(row: Mapping[str, Any]) -> str:
    """The SPDX expression of the licence in a row's column. Raises NotKept."""
    told = next(row[column] for column in LICENCES if column in row)
    if told is None or isinstance(told, str):
        return row_license(told)
    if isinstance(told, list) and all(isinstance(each, str) for each in told):
        return row_license(told)
    raise NotKept(NO_LICENCE)
