"""Decisions about descriptions that a model wrote for commits set aside, kept by repository.

    DATA_DIR/messages/ROOT.jsonl          one decision a line; the last one of a commit counts
    DATA_DIR/messages/ROOT.answers.jsonl  the models' answers that led to them, each paid for once

ROOT is the first commit of the repository's main line, so that clones and packages of one repository share a file.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from host.append_log import append_line, read_lines
from host.locks import process_lock
from models.errors import InfrastructureError
from models.messages import MessageRecord
from models.plans import Frozen
from repos.git import Git

M = TypeVar("M", bound=Frozen)


def root_of(git: Git) -> str:
    """The first commit of the main line of HEAD."""
    return git.text("rev-list", "--first-parent", "--max-parents=0", git.resolve("HEAD")).split()[0]


@dataclass(frozen=True)
class MessageLedger:
    """The files of one repository."""

    folder: Path
    root: str

    @classmethod
    def of(cls, data_dir: Path, git: Git) -> "MessageLedger":
        """Those of a clone's repository, whether or not they exist."""
        return cls(data_dir / "messages", root_of(git))

    @property
    def path(self) -> Path:
        """The decisions."""
        return self.folder / f"{self.root}.jsonl"

    @property
    def answers_path(self) -> Path:
        """The answers."""
        return self.folder / f"{self.root}.answers.jsonl"

    def decisions(self) -> dict[str, MessageRecord]:
        """The last decision about each commit. Raises InfrastructureError for a line that is none."""
        return {record.commit: record for record in read_records(self.path, MessageRecord)}

    def accepted(self) -> dict[str, MessageRecord]:
        """Those whose text may be used."""
        return {commit: record for commit, record in self.decisions().items() if record.accepted}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the files against other writers. Raises InfrastructureError if another process has them."""

        def busy(process: str) -> None:
            raise InfrastructureError(
                f"process {process} is writing messages of this repository ({self.path}); wait until it has ended"
            )

        with ExitStack() as stack:
            try:
                stack.enter_context(process_lock(self.folder / f"{self.root}.lock", busy))
            except OSError as error:
                raise InfrastructureError(f"{self.folder} cannot be used: {error.strerror}; free disk space") from error
            yield


def read_records(path: Path, kind: type[M]) -> list[M]:
    """The lines of a file as records, the unfinished last one left out. Raises InfrastructureError for a bad one."""
    try:
        lines = read_lines(path)
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror}; correct its permissions") from error
    return [_parsed(path, number, line, kind) for number, line in enumerate(lines, 1)]


def add_record(path: Path, record: Frozen) -> None:
    """Add a record to a file that this process holds. Raises InfrastructureError."""
    try:
        append_line(path, record.model_dump_json().encode())
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}; free disk space") from error


def _parsed(path: Path, number: int, line: bytes, kind: type[M]) -> M:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise InfrastructureError(
            f"{path} line {number} is no {kind.__name__}; remove the line, and what it held is done again"
        ) from error
