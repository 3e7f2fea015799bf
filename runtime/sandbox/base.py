"""The sandbox's interface: inputs of a command, how it ended, and the protocol of the implementations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from models.limits import Limits

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Mount:
    """A host file or directory that the command sees at `target`, read-only unless `writable`."""

    source: Path
    target: Path
    writable: bool = False


class ProcessEnd(StrEnum):
    """How a sandboxed command ended: by itself, or killed for the limit that it exceeded."""

    EXITED = "exited"
    SIGNALLED = "signalled"  # exit code 128 + n, as shells and bubblewrap report signal n
    TIMEOUT = "timeout"
    OUTPUT_LIMIT = "output-limit"
    MEMORY_LIMIT = "memory-limit"
    PROCESS_LIMIT = "process-limit"
    DISK_LIMIT = "disk-limit"


@dataclass(frozen=True)
class Finished:
    """A command that has ended, with its whole process tree.

    `exit_code` is None when it was killed for a limit. `seconds` is wall time. `output` is standard output and error as
    printed, head and tail, with a line that gives the number of bytes left out between them.
    """

    ending: ProcessEnd
    exit_code: int | None
    seconds: float
    output: str


class Sandbox(Protocol):
    """Runs untrusted commands."""

    @property
    def kind(self) -> str:
        """`bubblewrap` or `none`."""
        ...

    def workdir_path(self, workdir: Path) -> Path:
        """The path of the host directory `workdir` inside the sandbox."""
        ...

    def path_of(self, mount: Mount) -> Path:
        """The path of a mount inside the sandbox."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        workdir: Path,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        echo: BinaryIO | None = None,
        descriptors: Sequence[int] = (),
    ) -> Finished:
        """Run a command in `workdir`, which it may write, and wait until its whole process tree has ended.

        `env` is added to a small fixed environment; the caller's own is not passed on. `echo` receives the output as it
        arrives. `descriptors` stay open in the command, under the same numbers. Raises InfrastructureError when the
        command could not be started or awaited; failures of the command itself are in the result.
        """
        ...


def base_environment(home: Path, scratch: Path) -> dict[str, str]:
    """The environment that every command starts from."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
