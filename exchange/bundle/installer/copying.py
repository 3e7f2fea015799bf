"""Chunks become files. Each chunk is hashed as it is copied, each file once more when it is whole, so that neither a
medium that changes while it is read nor a disk that loses writes goes unseen."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from pathlib import Path

from .faults import InstallError
from .manifest import FileEntry, Manifest
from .parts import Source

_PIECE = 1 << 20
_GIB = 1 << 30
_EVERY = 2.0
"""Seconds between two lines about progress."""


class Progress:
    """Lines that say how much of a number of bytes is done, at which rate, and how long the rest takes."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._begun = self._told = time.monotonic()

    def add(self, count: int) -> None:
        """Count bytes that are done."""
        self._done += count
        now = time.monotonic()
        if now - self._told < _EVERY and self._done < self._total:
            return
        self._told = now
        rate = self._done / max(now - self._begun, 1e-3)
        left = (self._total - self._done) / max(rate, 1.0)
        amount = f"{self._done / _GIB:.2f} of {self._total / _GIB:.2f} GiB"
        print(f"{self._what}: {amount}, {rate / (1 << 20):.0f} MiB/s, {left:.0f} s left", file=sys.stderr, flush=True)


class Copy:
    """Files of a manifest that are being assembled from chunks. `targets` maps each file's path in the manifest to its
    place on disk; the journal in `record` names the chunks that are written, so that a later run goes on."""

    def __init__(self, manifest: Manifest, targets: dict[str, Path], record: Path) -> None:
        self._manifest, self._targets, self._record = manifest, targets, record
        self._places: dict[str, list[tuple[str, int]]] = {}
        for path in targets:
            offset = 0
            for name in manifest.files[path].chunks:
                self._places.setdefault(name, []).append((path, offset))
                offset += manifest.chunks[name].bytes
        self._done = self._journal()

    @property
    def missing(self) -> set[str]:
        """The chunks that are not written yet."""
        return self._places.keys() - self._done

    @property
    def missing_bytes(self) -> int:
        """The bytes of files that are not written yet."""
        return sum(self._manifest.chunks[name].bytes * len(self._places[name]) for name in self.missing)

    def _journal(self) -> set[str]:
        """The chunks of the journal whose files are still as long as they should be."""
        if not self._record.is_file():
            return set()
        done = set(self._record.read_text(errors="replace").split("\n"))
        short = {path for path, place in self._targets.items() if _size(place) != self._manifest.files[path].bytes}
        return {name for name in done & self._places.keys() if not any(p in short for p, _ in self._places[name])}

    def write(self, chunks: dict[str, Source]) -> None:
        """Copy the chunks at hand. Raises InstallError for one that is not what its name says."""
        for path, place in self._targets.items():
            _make(place, self._manifest.files[path])
        todo = sorted((chunks[name], name) for name in self.missing if name in chunks)
        progress = Progress("copying", sum(self._manifest.chunks[name].bytes for _, name in todo))
        with self._record.open("a") as journal:
            for source, name in todo:
                if self._copy(source, name, progress):
                    self._done.add(name)
                    journal.write(f"{name}\n")
                    journal.flush()

    def _copy(self, source: Source, name: str, progress: Progress) -> bool:
        """Whether the bytes were those of the chunk; a file in use may have changed since it was installed."""
        size, digest, read = self._manifest.chunks[name].bytes, hashlib.sha256(), 0
        handles = [(os.open(self._targets[path], os.O_WRONLY | os.O_NOFOLLOW), at) for path, at in self._places[name]]
        try:
            with os.fdopen(os.open(source.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
                state = os.fstat(stream.fileno())
                if not stat.S_ISREG(state.st_mode) or (source.whole and state.st_size != size):
                    raise InstallError(f"{source.file} is not {size} bytes long; copy this part again")
                stream.seek(source.offset)
                while read < size and (piece := stream.read(min(_PIECE, size - read))):
                    digest.update(piece)
                    for handle, at in handles:
                        _write_all(handle, piece, at + read)
                    read += len(piece)
                    progress.add(len(piece))
        except OSError as error:
            raise InstallError(f"{source.file}: {error.strerror}; see disk and medium, then run again") from error
        finally:
            for handle, _ in handles:
                os.close(handle)
        if digest.hexdigest() != name and source.whole:
            raise InstallError(f"{source.file} was altered: its hash is not its name; copy this part again")
        return digest.hexdigest() == name

    def check(self) -> None:
        """Raise InstallError unless every file is as the manifest says, by hash; others are copied anew next time."""
        entries = self._manifest.files
        progress = Progress("checking", sum(entries[path].bytes for path in self._targets))
        wrong = [path for path, at in self._targets.items() if file_hash(at, progress) != entries[path].sha256]
        if wrong:
            self._done -= {name for path in wrong for name in entries[path].chunks}
            self._record.write_text("".join(f"{name}\n" for name in sorted(self._done)))
            first = f"{self._targets[wrong[0]]} and {len(wrong) - 1} more" if wrong[1:] else self._targets[wrong[0]]
            raise InstallError(f"{first} altered after writing; run this again, and check the disk")


def file_hash(file: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            if progress is not None:
                progress.add(len(piece))
    return digest.hexdigest()


def _size(place: Path) -> int:
    return place.stat().st_size if place.is_file() and not place.is_symlink() else -1


def _make(place: Path, entry: FileEntry) -> None:
    """Make a file of its final length, with holes; one that is there already keeps its content."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        if os.fstat(handle).st_size != entry.bytes:
            os.ftruncate(handle, entry.bytes)
        shared = 0o755 if entry.executable else 0o644
        os.fchmod(handle, 0o600 if entry.category == "database" else shared)
    finally:
        os.close(handle)


def _write_all(handle: int, piece: bytes, at: int) -> None:
    written = 0
    while written < len(piece):
        written += os.pwrite(handle, piece[written:], at + written)
