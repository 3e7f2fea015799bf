"""Objects of our clones, read by one persistent git process: a tenth of the cost of a process per request."""

import os
import subprocess
import weakref
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple

from models.errors import InfrastructureError, RepositoryError
from repos.git import Git

_AT_ONCE = 64
"""Objects requested before their answers are read: few enough for the requests to fit into the pipe."""
_PIECE = 1 << 20
_TREES = 20_000
"""Cache size in folders."""
_COMMITS = 1000
"""Cache size in commits."""


class Entry(NamedTuple):
    """An entry of a folder: its name, its mode in octal digits, its id."""

    name: bytes
    mode: bytes
    id: str

    @property
    def is_folder(self) -> bool:
        """Whether the entry is a folder."""
        return self.mode == b"40000"


class Objects:
    """Reads objects by id. Thread-safe; calls are serialised."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = Lock()
        self._owner = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._trees: dict[str, tuple[Entry, ...]] = {}
        self._commits: dict[str, bytes] = {}

    def resolve(self, revision: str) -> str | None:
        """The commit's id; None if there is no such commit, or the name needs `git rev-parse`."""
        if len(revision.split()) != 1:
            return None
        with self._lock:
            (answer,) = self._ask([f"{revision}^{{commit}}"], _PIECE)
        name, kind, content = answer
        if kind != "commit":
            return None
        self._remember(name, content)
        return name

    def read(self, ids: Sequence[str], most: int | None = None) -> Iterator[tuple[str, bytes | None]]:
        """Contents in the order of the ids; None for one of more than `most` bytes. Raises RepositoryError."""
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            with self._lock:
                answers = self._ask(some, most)
            for wanted, (name, kind, content) in zip(some, answers, strict=True):
                if kind == "missing" or name != wanted:
                    raise RepositoryError(f"{self._git.directory}: object {wanted} is missing")
                yield wanted, content

    def commit(self, id_: str) -> bytes:
        """A commit as stored; empty for a huge object, which cannot be a commit."""
        if id_ not in self._commits:
            ((_, content),) = self.read([id_], _PIECE)
            self._remember(id_, content)
        return self._commits[id_]

    def _remember(self, id_: str, content: bytes | None) -> None:
        if len(self._commits) >= _COMMITS:
            self._commits.clear()
        self._commits[id_] = content or b""

    def tree(self, id_: str) -> tuple[Entry, ...]:
        """The entries of a folder."""
        if id_ not in self._trees:
            ((_, content),) = self.read([id_])
            if len(self._trees) >= _TREES:
                self._trees.clear()
            self._trees[id_] = tuple(_entries(content or b"", len(id_) // 2))
        return self._trees[id_]

    def _ask(self, names: Sequence[str], most: int | None) -> list[tuple[str, str, bytes | None]]:
        """Id, kind and content of each named object; retried with a new process if the first one is gone."""
        for fresh in (False, True):
            process = self._running(fresh)
            self._process = None  # until all answers are read: a half-read process is unusable
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write("".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"))
                process.stdin.flush()
                answers = [_answer(process.stdout, most) for _ in names]
            except (BrokenPipeError, EOFError, ValueError):
                _end(process)
                continue
            self._process = process
            if fresh or all(kind != "missing" for _, kind, _ in answers):
                return answers
        raise InfrastructureError(f"git cat-file ended during a request for objects of {self._git.directory}")

    def _running(self, fresh: bool) -> "subprocess.Popen[bytes]":
        if self._process is None or fresh or self._owner != os.getpid():
            if self._process is not None and self._owner == os.getpid():
                _end(self._process)
            self._process = self._git.conversation("cat-file", "--batch")
            self._owner = os.getpid()
            weakref.finalize(self, _end, self._process)
        return self._process


@lru_cache(maxsize=8)
def objects_of(directory: Path) -> Objects:
    """The reader of a clone, shared within this process."""
    return Objects(Git(directory))


def _answer(stream: IO[bytes], most: int | None) -> tuple[str, str, bytes | None]:
    header = stream.readline()
    if not header:
        raise EOFError
    name, kind, *rest = header.decode("utf-8", "surrogateescape").rstrip("\n").rsplit(" ", 2)
    if not rest:
        return name, kind, None
    size = int(rest[0])
    if most is None or size <= most:
        content: bytes | None = stream.read(size)
    else:
        content = None
        while size > 0:
            size -= len(stream.read(min(size, _PIECE))) or size
    stream.read(1)
    return name, kind, content


def _entries(content: bytes, length: int) -> Iterator[Entry]:
    position = 0
    while position < len(content):
        end = content.index(b"\0", position)
        mode, name = content[position:end].split(b" ", 1)
        position = end + 1 + length
        yield Entry(name, mode, content[end + 1 : position].hex())


def _end(process: "subprocess.Popen[bytes]") -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                continue
    process.wait()
