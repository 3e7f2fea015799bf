"""`cra` run in this process: what it prints and its exit code, without the seconds that a process spends on imports."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from cli import output
from cli.main import main

_WIDTH = 200


@dataclass(frozen=True)
class Result:
    """Exit code and output of a command, named as in `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def invoke(*arguments: str | Path, cwd: Path, **variables: str) -> Result:
    """Run a command in `cwd`, with data and cache below it unless `variables` say otherwise.

    An exception that the command does not catch is raised. The command uses the server of the fixture `prefect_engine`
    if the test has it, and starts none.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRA_")}
    places = {"CRA_DATA_DIR": str(cwd / "data"), "CRA_CACHE_DIR": str(cwd / "cache")}
    engine = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "CLEAN_ROOM_ENGINE": "that of the tests"}
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with (
        patch.dict(os.environ, {**kept, **engine, **places, **variables}, clear=True),
        patch.object(sys, "argv", ["cra", *map(str, arguments)]),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
        _signals_and_widths_kept(),
    ):
        code = _exit_code()
    stdout, stderr = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    return Result(code, stdout, stderr)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


@contextlib.contextmanager
def _signals_and_widths_kept() -> Iterator[None]:
    """Wide tables, and the handlers of signals put back: a command that is stopped ends its process at once."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with patch.object(output.console, "_width", _WIDTH), patch.object(output.errors, "_width", _WIDTH):
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
