"""The words of the sandbox: what a command is given, how it ended, and the two ways to run one."""

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
    SIGNALLED = "signalled"  # exit code 128 + n, which is how a shell and bubblewrap report signal n
    TIMEOUT = "timeout"
    OUTPUT_LIMIT = "output-limit"
    MEMORY_LIMIT = "memory-limit"
    PROCESS_LIMIT = "process-limit"
    DISK_LIMIT = "disk-limit"


@dataclass(frozen=True)
class Finished:
    """A command that is over, with its whole process tree.

    `exit_code` is None when it was killed for a limit. `seconds` is wall time. `output` holds standard output
    and error as they were printed, head and tail, with a line that counts the bytes left out between them.
    """

    ending: ProcessEnd
    exit_code: int | None
    seconds: float
    output: str


class Sandbox(Protocol):
    """Something that runs a command of strangers' making."""

    @property
    def kind(self) -> str:
        """`bubblewrap` or `none`."""
        ...

    def workdir_path(self, workdir: Path) -> Path:
        """Where the command sees the host directory `workdir`."""
        ...

    def path_of(self, mount: Mount) -> Path:
        """Where the command sees a mount."""
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
        """Run a command in `workdir`, which it may write, and wait until nothing of it is left.

        `env` is added to a small fixed environment; nothing of the caller's own is passed on. `echo` gets the
        output as it comes. `descriptors` stay open in the command, under the same numbers. Raises InfrastructureError
        when the command could not be started or its end not be seen; whatever the command itself does is told by the
        result.
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
