"""A file system in user space whose files are in this process: one that answers wrongly, slowly, or not at all."""

import contextlib
import ctypes
import errno
import os
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE, _FLUSH = 1, 2, 3, 14, 15, 18, 25
_INIT, _OPENDIR, _READDIR, _RELEASEDIR, _INTERRUPT, _DESTROY, _BATCH_FORGET = 26, 27, 28, 29, 36, 38, 42
_HEADER = struct.Struct("<IIQQIIII")
_ANSWER = struct.Struct("<IiQ")
_DIRECT = 1
_FORCE, _DETACH = 1, 2
_LARGEST = 1 << 20


class FuseMedium:
    """A mounted file system with a copy of a folder's files, each of which has the same times for good.

    `silent` holds the paths of files whose content is never given, `broken` of those that fail with EIO. Needs root.
    """

    def __init__(self, mount: Path, source: Path) -> None:
        self.mount = mount
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.files: dict[str, bytes | None] = {"": None}
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            self.files[name] = None if path.is_dir() else path.read_bytes()

    def __enter__(self) -> Self:
        """Mount it. Raises OSError."""
        self._nodes = list(self.files)
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0".encode()
        self._libc = ctypes.CDLL(None, use_errno=True)
        if self._libc.mount(b"cra-test", os.fsencode(self.mount), b"fuse", 6, options) != 0:
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "mount")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it; what waits for it gets an error."""
        self._libc.umount2(os.fsencode(self.mount), _FORCE)  # fails, and ends all requests, while a process waits
        self._libc.umount2(os.fsencode(self.mount), _DETACH)
        self._thread.join()
        os.close(self._device)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _LARGEST + 4096)
            except OSError:
                return
            _, code, unique, node, *_ = _HEADER.unpack_from(request)
            if code in (_FORGET, _BATCH_FORGET, _INTERRUPT):
                continue
            answer = self._answer(code, self._nodes[node - 1] if 0 < node <= len(self._nodes) else "", request[40:])
            if answer is None:
                continue
            data, error = (b"", -answer) if isinstance(answer, int) else (answer, 0)
            with contextlib.suppress(OSError):
                os.write(self._device, _ANSWER.pack(16 + len(data), error, unique) + data)
            if code == _DESTROY:
                return

    def _answer(self, code: int, path: str, body: bytes) -> bytes | int | None:
        """The answer to a request: data, an error, or None for none at all."""
        if code == _INIT:
            return struct.pack("<IIIIHHIIHHIIHH5I", 7, 31, 0, 0, 8, 8, 1 << 17, 1, 0, 0, 0, 0, 0, 0, *[0] * 5)
        if code == _LOOKUP:
            name = "/".join(filter(None, (path, os.fsdecode(body.rstrip(b"\0")))))
            if name not in self.files:
                return errno.ENOENT
            return struct.pack("<QQQQII", self._nodes.index(name) + 1, 0, 0, 0, 0, 0) + self._attributes(name)
        if code == _GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self._attributes(path)
        if code in (_OPEN, _OPENDIR):
            return struct.pack("<QII", 0, _DIRECT if code == _OPEN else 0, 0)
        if code == _READDIR:
            return self._listed(path) if struct.unpack_from("<Q", body, 8)[0] == 0 else b""
        if code == _READ:
            return self._read(path, *struct.unpack_from("<QI", body, 8))
        return b"" if code in (_RELEASE, _RELEASEDIR, _FLUSH, _DESTROY) else errno.ENOSYS

    def _read(self, path: str, at: int, size: int) -> bytes | int | None:
        if path in self.silent:
            return None
        content = self.files[path]
        assert content is not None, "only files are read"
        return errno.EIO if path in self.broken else content[at : at + size]

    def _attributes(self, path: str) -> bytes:
        content = self.files[path]
        mode = stat.S_IFDIR | 0o755 if content is None else stat.S_IFREG | 0o644
        size = len(content or b"")
        when = 1_700_000_000
        return struct.pack("<6Q10I", self._nodes.index(path) + 1, size, (size + 511) // 512, when, when, when,
                           0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)  # fmt: skip

    def _listed(self, path: str) -> bytes:
        found = b""
        prefix = f"{path}/" if path else ""
        names = [each for each in self._nodes if each and each.startswith(prefix) and "/" not in each[len(prefix) :]]
        for number, each in enumerate(names, 1):
            name = os.fsencode(each[len(prefix) :])
            entry = struct.pack("<QQII", self._nodes.index(each) + 1, number, len(name), 0) + name
            found += entry + bytes(-len(entry) % 8)
        return found


@contextlib.contextmanager
def mounted(mount: Path, source: Path) -> Iterator[FuseMedium]:
    """A copy of a folder as such a file system. Skips the test where it cannot be mounted."""
    import pytest

    mount.mkdir()
    medium = FuseMedium(mount, source)
    try:
        medium.__enter__()
    except OSError as error:
        pytest.skip(f"no file system in user space can be mounted here: {error.strerror}")
    try:
        yield medium
    finally:
        medium.__exit__()
