"""Starting a program under a lent id with files that the id could not reach by their paths.

Root's files are often below folders that only root may enter. A thread creates a mount namespace, mounts what the
program may see under a folder that everyone can enter, and starts the program there; no other process sees those
mounts, and they end with the program.
"""

import ctypes
import os
import stat
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import InfrastructureError

STAGE = Path("/tmp")  # noqa: S108 (hidden by a file system of our own, in the thread's own mount namespace)
_NEW_NAMESPACE = 0x00020000  # CLONE_NEWNS
_BIND, _RECURSIVE, _SLAVE = 4096, 16384, 1 << 19
_NOSUID, _NODEV = 2, 4


@dataclass
class Staging:
    """The files that a program under the id `user` sees: `sources`, each at a path of its own.

    A `program` that the id may not reach is copied there, with the folder of its libraries.
    """

    user: int
    sources: Sequence[Path]
    program: Path
    _over: threading.Event = field(default_factory=threading.Event)

    def path_of(self, source: Path) -> Path:
        """The path of a source for the program."""
        return STAGE / "sources" / str(self.sources.index(source))

    @property
    def staged_program(self) -> Path:
        """The path of the program itself."""
        return STAGE / "program" / "bwrap"

    @property
    def libraries(self) -> Path:
        """The path of the program's own libraries."""
        return STAGE / "program" / "libraries"

    def start(self, popen: Callable[[], "subprocess.Popen[bytes]"]) -> "subprocess.Popen[bytes]":
        """Call `popen` in the thread, which lives until `release`: when it ends, so does the program.

        Raises InfrastructureError.
        """
        ready = threading.Event()
        outcome: list[subprocess.Popen[bytes] | BaseException] = []

        def begin() -> None:
            try:
                self._lay_out()
                outcome.append(popen())
            except BaseException as error:  # noqa: BLE001 (raised in the waiting thread)
                outcome.append(error)
            finally:
                ready.set()
            self._over.wait()

        threading.Thread(target=begin, name="sandbox-start", daemon=True).start()
        ready.wait()
        started = outcome[0]
        if not isinstance(started, BaseException):
            return started
        self.release()
        if isinstance(started, OSError | subprocess.SubprocessError):
            raise InfrastructureError(
                f"no program can be started as user {self.user}: {started}; run as an ordinary user, or give the "
                "container CAP_SETUID, CAP_SETGID and CAP_CHOWN"
            ) from started
        raise started

    def release(self) -> None:
        """Let the thread end, once the program has."""
        self._over.set()

    def _lay_out(self) -> None:
        _check(_libc().unshare(_NEW_NAMESPACE), "a mount namespace")
        _mount(b"none", b"/", None, _RECURSIVE | _SLAVE)
        opened = [(source, os.open(source, os.O_PATH | os.O_CLOEXEC)) for source in self.sources]
        content = _program_files(self.program)
        try:
            _mount(b"tmpfs", os.fsencode(STAGE), b"tmpfs", _NOSUID | _NODEV, b"mode=755,size=64m")
            _install(content, self.staged_program, self.libraries)
            for source, descriptor in opened:
                _bind(descriptor, self.path_of(source))
        finally:
            for _, descriptor in opened:
                os.close(descriptor)


def _program_files(program: Path) -> tuple[bytes, dict[str, bytes]]:
    """A program's bytes, and those of the libraries in its Python package."""
    bundled = program.parent.parent.parent / f"{program.parent.parent.name}.libs"
    libraries = {path.name: path.read_bytes() for path in bundled.glob("*")} if bundled.is_dir() else {}
    return program.read_bytes(), libraries


def _install(content: tuple[bytes, dict[str, bytes]], program: Path, libraries: Path) -> None:
    _folder(libraries)
    for path, data in ((program, content[0]), *((libraries / name, data) for name, data in content[1].items())):
        path.write_bytes(data)
        path.chmod(0o755)


def _bind(descriptor: int, target: Path) -> None:
    is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    _folder(target if is_folder else target.parent)
    if not is_folder:
        target.touch()
    _mount(f"/proc/self/fd/{descriptor}".encode(), os.fsencode(target), None, _BIND | _RECURSIVE)


def _folder(path: Path) -> None:
    """Make a folder below the stage that everyone can enter, whatever the umask."""
    for each in reversed([path, *path.parents]):
        if each.is_relative_to(STAGE) and not each.exists():
            each.mkdir()
            each.chmod(0o755)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    _check(_libc().mount(source, target, kind, ctypes.c_ulong(flags), data), f"a mount at {os.fsdecode(target)}")


def _check(result: int, what: str) -> None:
    if result != 0:
        reason = os.strerror(ctypes.get_errno())
        raise InfrastructureError(
            f"root cannot have {what}: {reason}; run as an ordinary user, or give the container CAP_SYS_ADMIN"
        )
