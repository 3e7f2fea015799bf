"""Reading a medium through a process of its own, with deadlines. A process that waits for a medium that does not answer
cannot be ended by anyone: it is left behind, holding nothing of the intake's, and the intake goes on."""

import contextlib
import errno
import hashlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from exchange.intake import reader
from exchange.intake.reader import DATA, END, FAULT, HEADER
from harness.packages.checks import shown
from host.processes import identity_of, is_alive, shown_process
from models.errors import PackageRefused
from models.intake import IntakeSettings, RefusalReason

_ENDS = 2.0
"""Seconds that a process which was killed has to end."""
_left_behind: "list[subprocess.Popen[bytes]]" = []


class Facts(NamedTuple):
    """What a file system says of a file or folder: sizes in bytes, times in nanoseconds, blocks of 512 bytes."""

    mode: int
    size: int
    modified_ns: int
    changed_ns: int
    device: int
    inode: int
    blocks: int


class MediumFault(OSError):
    """The file system of a medium reports an error for a path below its folder."""


class MediumReader:
    """A folder on a medium, read by a process of its own while the context is open.

    `marks` is a folder for marks of processes that wait for a medium: while one does, no other is started for the same
    folder. Methods raise PackageRefused with the reason `no-answer` when no answer comes within `limits.read_seconds`,
    or the whole takes over `limits.read_hours`; after that, or after an iteration that was not finished, use no more.
    """

    def __init__(self, root: Path, limits: IntakeSettings, marks: Path | None = None) -> None:
        self.root, self.limits = root.absolute(), limits
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        self._mark = marks / f"waiting-{name}" if marks is not None else None

    def __enter__(self) -> Self:
        """Start the process. Raises PackageRefused if an earlier one still waits for this folder."""
        if self._mark is not None:
            _check_mark(self._mark, self.root)
        self._ends = time.monotonic() + self.limits.read_hours * 3600
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", reader.__file__, os.fspath(self.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None, "both are pipes"
        self._requests, self._answers = self._process.stdin, self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, or leave it behind, marked, if it cannot be ended."""
        process = self._process
        process.kill()
        with contextlib.suppress(OSError):  # a request that it did not read
            self._requests.close()
        assert process.stdout is not None
        process.stdout.close()
        _left_behind[:] = [each for each in _left_behind if each.poll() is None]
        try:
            process.wait(_ENDS)
        except subprocess.TimeoutExpired:
            _left_behind.append(process)
            if self._mark is not None:
                self._mark.write_text(identity_of(process.pid))

    def tree(self) -> Iterator[tuple[str, Facts]]:
        """Everything below the folder by its path, each folder before what is in it. Raises MediumFault."""
        for _, payload in self._ask("tree"):
            for path, *facts in json.loads(payload):
                yield path, Facts(*facts)

    def names(self, inside: str, most: int) -> Iterator[tuple[str, Facts, bool]]:
        """The folder itself as `.`, then at most so many of its entries, with whether each holds a file `inside`.

        Raises MediumFault.
        """
        for _, payload in self._ask("names", inside, most):
            for name, *facts, has in json.loads(payload):
                yield name, Facts(*facts), has

    def file(self, path: str, start: int, most: int) -> Iterator[Facts | bytes]:
        """A part of a file: its state, its bytes in pieces, its state again. Raises MediumFault."""
        for kind, payload in self._ask("file", path, start, most):
            yield payload if kind == DATA else Facts(*json.loads(payload))

    def _ask(self, *request: object) -> Iterator[tuple[bytes, bytes]]:
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        except BrokenPipeError as error:
            raise MediumFault(errno.EIO, "its reader was ended", str(self.root)) from error
        while True:
            kind, size = HEADER.unpack(self._take(HEADER.size))
            payload = self._take(size)
            if kind == END:
                return
            if kind == FAULT:
                number, path = json.loads(payload)
                raise MediumFault(number, os.strerror(number), path or str(self.root))
            yield kind, payload

    def _take(self, size: int) -> bytes:
        """Exactly so many bytes of the answers."""
        found = bytearray()
        while len(found) < size:
            left = self._ends - time.monotonic()
            if left <= 0:
                raise self._gave_up(f"was not read within {self.limits.read_hours:g} h (intake.read_hours)")
            if not self._poll.poll(min(left, self.limits.read_seconds) * 1000):
                if left > self.limits.read_seconds:
                    raise self._gave_up(f"did not answer for {self.limits.read_seconds:g} s (intake.read_seconds)")
                continue
            piece = os.read(self._answers, size - len(found))
            if not piece:
                raise MediumFault(errno.EIO, "its reader was ended", str(self.root))
            found += piece
        return bytes(found)

    def _gave_up(self, why: str) -> PackageRefused:
        return PackageRefused(RefusalReason.NO_ANSWER, f"{shown(self.root.name)} {why}; unmount the medium, look at it")


def _check_mark(mark: Path, root: Path) -> None:
    """Raise PackageRefused while the process of a mark is there; remove the mark of one that has ended."""
    with contextlib.suppress(FileNotFoundError):
        process = mark.read_text()
        if process and is_alive(process):
            raise PackageRefused(
                RefusalReason.NO_ANSWER,
                f"{shown(root.name)} does not answer: {shown_process(process)} still waits for it; unmount the medium "
                "(umount -l)",
            )
        mark.unlink()
