"""The one place that runs trusted helper programs (git, uv, pip). Untrusted code runs in the sandbox instead."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.errors import InfrastructureError


class CommandFailed(InfrastructureError):
    """A helper program failed. `stderr` holds its standard error."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr: str) -> None:
        self.argv, self.returncode, self.stderr = tuple(argv), returncode, stderr
        last = stderr.strip().splitlines()[-1] if stderr.strip() else "no message"
        super().__init__(f"{' '.join(argv[:4])} ended with {returncode}: {last}")


def find_own_programs() -> None:
    """Let programs of this project's environment (uv) be found where it was entered by the path of its `cra` alone.

    Their folder comes last on PATH, so that those of the machine stay as they are.
    """
    own = str(Path(sys.executable).parent)
    there = os.environ.get("PATH", os.defpath)
    if own not in there.split(os.pathsep):
        os.environ["PATH"] = f"{there}{os.pathsep}{own}"


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = 600.0,
) -> bytes:
    """Run a program and return its standard output. `env` is added to our environment; `timeout` is in seconds.

    Raises CommandFailed when it ends with an error, InfrastructureError when it is missing or takes too long.
    """
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise InfrastructureError(f"{argv[0]} is not installed; install it and try again") from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"{' '.join(argv[:4])} took longer than {timeout:.0f} s") from error
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout


def start(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """Start a program that reads requests from its standard input and replies on its standard output until that closes.

    Its standard error is discarded. Raises InfrastructureError when it is missing.
    """
    try:
        return subprocess.Popen(
            list(argv),
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise InfrastructureError(f"{argv[0]} is not installed; install it and try again") from error
