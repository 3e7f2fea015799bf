"""The store of environments: built once, read-only, shared by processes, evicted by least recent use."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.locks import share_once_made
from host.process import CommandFailed, run
from models.errors import DiskFull, EnvironmentFault, InfrastructureError, WheelError
from models.manifest import NODE, PYTHON, Environment
from runtime.environments.bytecode import has_bytecode, link_bytecode
from runtime.environments.identity import content_key
from runtime.environments.interpreters import Interpreter, interpreter_for
from runtime.environments.node import build_node, chosen
from runtime.environments.wheel_checks import check_together, check_wheel
from runtime.environments.wheels import locked, select_wheels

_COMPLETE = "complete"
_NAME = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True)
class BuiltEnvironment:
    """A complete environment. `prefix` and `base_prefix` must be mounted read-only at the same paths in a sandbox.
    `key` is derived from its content. `python` is its interpreter, of Node.js if that is its `language`."""

    key: str
    prefix: Path
    python: Path
    base_prefix: Path
    language: str = PYTHON


class EnvironmentStore:
    """Environments under `root`, with uv's cache and the wheels' bytecode on the same file system.

    The store is content-addressed: the name of an environment's folder is the hash of its lock, of the wheels chosen
    for it, and of the interpreter's ABI. The key in a package's manifest does not matter.

    Each environment has a lock file, held exclusively while it is built or removed, and shared while it is used. A
    marker, written last and touched at each use, distinguishes a complete environment from a killed build.
    """

    def __init__(self, root: Path, budget_bytes: int) -> None:
        """`budget_bytes` bounds everything under `root` between uses; environments in use are never removed."""
        self.root = root.resolve()
        self.budget_bytes = budget_bytes
        self._environments = self.root / "environments"
        self._bytecode = self.root / "bytecode"
        self._node = self.root / "node"  # unpacked releases and packages
        self._locks = self.root / "locks"
        self.installations = self.root / "installations"  # of the distributions under test, by `KeptInstallations`

    @contextmanager
    def acquire(self, environment: Environment, packages: Path) -> Iterator[BuiltEnvironment]:
        """The environment, built from the wheels in `packages` if missing, and protected from removal inside the
        context. After a build, leaving the context evicts.

        Raises WheelError for a wheel that is missing, changed or ambiguous, EnvironmentFault if the environment cannot
        be built (or its Python is not installed), DiskFull if the disk is full.
        """
        with (
            self._acquire_node(environment, packages)
            if environment.language == NODE
            else self._acquire_python(environment, packages) as built
        ):
            yield built

    def _acquire_python(self, environment: Environment, packages: Path) -> AbstractContextManager[BuiltEnvironment]:
        interpreter = interpreter_for(environment.abi)
        wheels = self._chosen(environment, interpreter, packages)
        key = content_key(environment.lock, {path.name: digest for path, digest in wheels.items()}, interpreter.abi)
        folder = self._environments / key
        built = BuiltEnvironment(key, folder / "venv", folder / "venv" / "bin" / "python", interpreter.prefix)

        def make() -> None:
            self._check(interpreter, wheels)
            folder.mkdir(parents=True)
            with self._lock(".caches") as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                self._install(interpreter, wheels, folder)

        return self._held(built, interpreter.full, make)

    def _acquire_node(self, environment: Environment, packages: Path) -> AbstractContextManager[BuiltEnvironment]:
        content = chosen(environment, packages)
        key = content_key(environment.lock, {content.wheel.name: content.digest}, environment.abi)
        prefix = self._environments / key / "prefix"
        built = BuiltEnvironment(key, prefix, prefix / "node" / "bin" / "node", prefix, NODE)

        def make() -> None:
            with self._lock(".caches") as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                build_node(content, prefix, self._node)

        return self._held(built, environment.abi, make)

    @contextmanager
    def _held(self, built: BuiltEnvironment, release: str, make: Callable[[], None]) -> Iterator[BuiltEnvironment]:
        """The environment, made by `make` if missing; `release` of its interpreter is what its marker holds."""
        with self._lock(built.key) as descriptor, self._lock(f"{built.key}.turn") as turn:
            fresh = share_once_made(
                descriptor, turn, lambda: self._complete(built, release), lambda: self._build(built, release, make)
            )
            now = time.time_ns()  # the clock behind a plain utime is too coarse to order uses
            os.utime(built.prefix.parent / _COMPLETE, ns=(now, now))
            yield built
            if fresh:
                self.evict()

    def evict(self) -> list[str]:
        """Remove least recently used environments until the store fits its budget; returns their keys.

        If the remaining environments do not account for the excess, the caches are emptied as well.
        """
        removed: list[str] = []
        self._trim_installations()
        size = disk_usage(self.root)
        for key in self._by_last_use():
            if size <= self.budget_bytes:
                return removed
            if self.remove(key):
                removed.append(key)
                size = disk_usage(self.root)
        if size > self.budget_bytes:
            self._empty_caches()
        return removed

    @contextmanager
    def _lock(self, name: str) -> Iterator[int]:
        self._locks.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._locks / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _complete(self, built: BuiltEnvironment, release: str) -> bool:
        marker = built.prefix.parent / _COMPLETE
        try:
            return marker.read_text() == release and built.python.exists()
        except FileNotFoundError:
            return False

    def _build(self, built: BuiltEnvironment, release: str, make: Callable[[], None]) -> None:
        folder = built.prefix.parent
        try:
            _delete(folder)
            make()
            _make_read_only(built.prefix)
            partial = folder / f".{_COMPLETE}"
            partial.write_text(release)
            partial.replace(folder / _COMPLETE)
        except BaseException as error:
            _delete(folder)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(_full(self.root)) from error
            raise

    def _install(self, interpreter: Interpreter, wheels: dict[Path, str], folder: Path) -> None:
        # By path, so that exactly the checked files are used and uv's cache finds them again.
        lock_file = folder / "requirements.txt"
        lock_file.write_text("".join(_pinned(path, digest) for path, digest in wheels.items()))
        venv = folder / "venv"
        quiet = ["--quiet", "--no-config", "--cache-dir", str(self.root / "cache"), "--offline"]
        try:
            run(["uv", "venv", *quiet, "--no-project", "--python", str(interpreter.executable), str(venv)])
            if wheels:
                run(
                    ["uv", "pip", "install", *quiet, "--python", str(venv / "bin" / "python"), "--no-index",
                     "--no-deps", "--require-hashes", "--no-build", "--link-mode", "hardlink",
                     "--requirement", str(lock_file)],
                )  # fmt: skip
        except CommandFailed as error:
            if "No space left on device" in error.stderr or "os error 28" in error.stderr:
                raise DiskFull(_full(self.root)) from error
            if error.returncode < 0:
                raise InfrastructureError(f"uv was killed by signal {-error.returncode}; is memory short?") from error
            message = " ".join(error.stderr.replace(str(self.root), "...").split())
            raise EnvironmentFault(f"environment {folder.name} cannot be built: {message[:300]}") from error
        site_packages = venv / "lib" / f"python{interpreter.version}" / "site-packages"
        link_bytecode(wheels, interpreter, self._bytecode, site_packages)

    def _chosen(self, environment: Environment, interpreter: Interpreter, packages: Path) -> dict[Path, str]:
        """The wheels of an environment with their hashes: those it names, or else the best ones that fit."""
        wanted = locked(environment.lock)
        chosen = select_wheels(wanted, interpreter, packages, environment.wheels)
        for name, version in wanted:
            if (name, version) not in chosen:
                raise WheelError(
                    f"{packages} holds no wheel of {name}=={version} for {environment.abi} with a hash that "
                    "the lock allows; run `cra prepare` again"
                )
        return dict(chosen.values())

    def _check(self, interpreter: Interpreter, wheels: dict[Path, str]) -> None:
        for path, digest in wheels.items():
            if not has_bytecode(digest, interpreter, self._bytecode):  # those with bytecode were checked before
                check_wheel(path, digest)
        check_together(wheels)

    def _by_last_use(self) -> list[str]:
        if not self._environments.is_dir():
            return []
        used = []
        for folder in self._environments.iterdir():
            if not _NAME.fullmatch(folder.name):
                continue
            with contextlib.suppress(FileNotFoundError):
                marker = folder / _COMPLETE
                used.append(((marker if marker.exists() else folder).stat().st_mtime_ns, folder.name))
        return [key for _, key in sorted(used)]

    def remove(self, key: str) -> bool:
        """Remove an environment by the name of its folder; False if it is in use."""
        if not _NAME.fullmatch(key):
            raise EnvironmentFault(f"{key[:80]!a} is no name of an environment in {self._environments}")
        with self._lock(key) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            _delete(self._environments / key)
            return True

    @contextmanager
    def caches_in_use(self) -> Iterator[None]:
        """Keep the caches from being emptied inside the context."""
        with self._lock(".caches") as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield

    def _trim_installations(self) -> None:
        """Remove the installations that were not used for longest, until they take a tenth of the budget at most."""
        with self._lock(".caches") as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            kept = [(path.stat(), path) for path in self.installations.rglob("*.zip")]
            size = sum(status.st_size for status, _ in kept)
            for status, path in sorted(kept, key=lambda each: each[0].st_mtime_ns):
                if size <= self.budget_bytes // 10:
                    return
                path.unlink()
                size -= status.st_size

    def _empty_caches(self) -> None:
        with self._lock(".caches") as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            _delete(self.root / "cache")
            _delete(self._bytecode)
            _delete(self._node)
            _delete(self.installations)


def disk_usage(folder: Path) -> int:
    """Bytes allocated under a folder, each hard-linked file counted once."""
    seen: dict[int, int] = {}
    pending = [str(folder)]
    while pending:
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    seen[found.st_ino] = found.st_blocks * 512
                    if stat.S_ISDIR(found.st_mode):
                        pending.append(entry.path)
    return sum(seen.values())


def _pinned(path: Path, digest: str) -> str:
    name = path.name.split("-")[0]
    return f"{name} @ {path.resolve().as_uri()} --hash=sha256:{digest}\n"


def _full(root: Path) -> str:
    return f"the disk that holds {root} is full; free some space or lower the environments' budget"


def _make_read_only(folder: Path) -> None:
    for current, _, _ in os.walk(folder, topdown=False):
        with os.scandir(current) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) and (
                    mode & 0o222 or not mode & 0o004
                ):  # files linked from the caches usually are already
                    Path(entry).chmod(0o555 if mode & stat.S_IXUSR else 0o444)
        Path(current).chmod(0o555)


def _delete(folder: Path) -> None:
    """Remove a tree, read-only folders included, if it exists."""
    if not folder.exists():
        return
    for current, _, _ in os.walk(folder):
        Path(current).chmod(0o755)
    shutil.rmtree(folder)
