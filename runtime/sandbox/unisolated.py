"""No sandbox: for code that the user trusts. Limits are still enforced as far as possible from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from host.throwaway import throwaway
from models.limits import Limits
from runtime.sandbox.base import DEFAULT_LIMITS, Finished, Mount, base_environment
from runtime.sandbox.supervise import ProcessLaunch, supervise


@dataclass(frozen=True)
class Unisolated:
    """Runs commands as the caller, in the caller's file system, under its own paths."""

    @property
    def kind(self) -> str:
        """`none`."""
        return "none"

    def workdir_path(self, workdir: Path) -> Path:
        """The directory itself."""
        return workdir

    def path_of(self, mount: Mount) -> Path:
        """The mount's source."""
        return mount.source

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
        """See `Sandbox.run`. Mounts are used at their sources; HOME and TMPDIR are fresh."""
        with throwaway("cra-") as scratch:
            launch = ProcessLaunch(
                argv=argv,
                env={**base_environment(scratch, scratch), **(env or {})},
                cwd=workdir,
                writable=[workdir, scratch, *(mount.source for mount in mounts if mount.writable)],
                bubblewrap=False,
                descriptors=descriptors,
            )
            return supervise(launch, limits, echo)
