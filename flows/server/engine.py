"""A flow run's own process: the engine's, whose output may be lost without harm.

The worker reads the output of the flow runs that it started. When it is killed, they write to a pipe that nobody
reads, and the engine's logs, written by rich, would end them with SystemExit.
"""

import io
import os
import runpy
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class LostOutput(io.FileIO):
    """An open descriptor for writing; once its reader has died, it and all that inherit it write to nowhere."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, and say that all of it was written when nobody reads any more."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Replace standard output and error of this process by ones that outlive who reads them."""
    for name in ("stdout", "stderr"):
        before = getattr(sys, name)
        before.flush()
        raw = LostOutput(before.fileno(), "w", closefd=False)
        text = io.TextIOWrapper(
            io.BufferedWriter(raw), before.encoding, before.errors, line_buffering=True, write_through=True
        )
        setattr(sys, name, text)


if __name__ == "__main__":
    outlive_readers()
    runpy.run_module("prefect.engine", run_name="__main__")
