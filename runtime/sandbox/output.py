"""Reading a command's output: all of it counted, head and tail kept."""

import os
import threading
from collections import deque
from typing import IO, BinaryIO

_CHUNK = 64 * 1024


class HeadAndTail:
    """Keeps the first and the last half of `capacity` bytes of a stream."""

    def __init__(self, capacity: int) -> None:
        self._head_limit = capacity - capacity // 2
        self._tail_limit = capacity // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the stream."""
        self.total += len(data)
        free = self._head_limit - len(self._head)
        self._head += data[:free]
        rest = data[free:]
        if not rest:
            return
        self._tail.append(rest)
        self._tail_size += len(rest)
        while self._tail_size - len(self._tail[0]) >= self._tail_limit and len(self._tail) > 1:
            self._tail_size -= len(self._tail.popleft())

    def text(self) -> str:
        """The kept output, as UTF-8 with replacements; a line gives the number of missing bytes, if any."""
        rest = b"".join(self._tail)
        tail = rest[max(len(rest) - self._tail_limit, 0) :]
        left_out = self.total - len(self._head) - len(tail)
        head = self._head.decode(errors="replace")
        if not left_out:
            return bytes(self._head + tail).decode(errors="replace")
        return f"{head}\n[... {left_out} bytes left out ...]\n{tail.decode(errors='replace')}"


class PipeReader(threading.Thread):
    """Drains a pipe to its end, or until more than `limit` bytes arrived: then sets `exceeded` and stops."""

    def __init__(self, pipe: IO[bytes], limit: int, keep: int, echo: BinaryIO | None) -> None:
        super().__init__(name="sandbox-output", daemon=True)
        self._pipe, self._limit, self._echo = pipe, limit, echo
        self._kept = HeadAndTail(keep)
        self.exceeded = threading.Event()
        self.echo_error: OSError | None = None

    def run(self) -> None:
        """Read to the end."""
        while chunk := os.read(self._pipe.fileno(), _CHUNK):
            free = self._limit - self._kept.total
            self._kept.feed(chunk[:free])
            self._show(chunk[:free])
            if len(chunk) > free:
                self.exceeded.set()
                return

    def _show(self, chunk: bytes) -> None:
        if self._echo is None or self.echo_error is not None:
            return
        try:
            self._echo.write(chunk)
            self._echo.flush()
        except OSError as error:  # the reader of the echo is gone; the limits still apply
            self.echo_error = error

    def text(self) -> str:
        """The kept part of the output."""
        return self._kept.text()
