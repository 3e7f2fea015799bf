"""Slots of this machine, for work of which only so much may run at a time, whichever process it is of."""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from host.private import make_directory

_POLL_SECONDS = 0.05


class MachineSlots:
    """`number` slots, as lock files in a directory, which all processes of this machine share.

    A slot falls free with the process that holds it, however that ends. Safe to use from several threads.
    """

    def __init__(self, directory: Path, number: int) -> None:
        self._directory, self._number = directory, number
        self._threads = threading.BoundedSemaphore(number)
        self._held: set[int] = set()
        self._guard = threading.Lock()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold a slot, waiting for one. Raises OSError if a lock file cannot be opened."""
        with self._threads:
            number, file = self._wait()
            try:
                yield
            finally:
                with self._guard:
                    self._held.discard(number)
                file.close()

    def _wait(self) -> tuple[int, IO[bytes]]:
        while True:
            for number in range(self._number):
                if (file := self._try(number)) is not None:
                    return number, file
            time.sleep(_POLL_SECONDS)

    def _try(self, number: int) -> IO[bytes] | None:
        with self._guard:
            if number in self._held:
                return None
            self._held.add(number)
        file = None
        try:
            file = self._locked(number)
        finally:
            if file is None:  # another process has it, or its file cannot be opened
                with self._guard:
                    self._held.discard(number)
        return file

    def _locked(self, number: int) -> IO[bytes] | None:
        make_directory(self._directory)
        file = (self._directory / f"{number}.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            file.close()
            raise
        return file
