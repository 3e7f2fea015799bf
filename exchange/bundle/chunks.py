"""Files cut into chunks that lie by their hash, the same content once; and chunks spread over parts.

A chunk is written beside its place and renamed when it is whole, so what a process that was killed has left is used
again by the next one, after its hash was compared.
"""

import errno
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from exchange.bundle.layout import BundledFile, ChunkEntry, chunk_path
from exchange.bundle.sources import Source
from models.errors import DiskFull, InfrastructureError, UsageError
from training.bases.files import hash_file

_PIECE = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Piece(NamedTuple):
    """A range of a file, and its hash."""

    offset: int
    bytes: int
    sha256: str


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into one line. Raises DiskFull, InfrastructureError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"{folder}: {error.strerror}; free some space and start again: it goes on") from error
        named = f" {error.filename}" if error.filename else ""
        raise InfrastructureError(f"{folder}:{named} {error.strerror}; correct that and start again") from error


class ChunkStore:
    """The chunks of a bundle that is being made. `held`: chunks that an earlier bundle has, which are not written."""

    def __init__(self, folder: Path, chunk_bytes: int, held: frozenset[str]) -> None:
        self.folder, self.chunk_bytes, self.held = folder, chunk_bytes, held
        self.chunks: dict[str, int] = {}

    def add(self, source: Source) -> BundledFile:
        """Store the chunks of a file; returns its entry. Raises UsageError if the file changes meanwhile."""
        pieces, sha256 = self._pieces(source.file)
        for piece in pieces:
            if piece.sha256 not in self.chunks:
                self.chunks[piece.sha256] = piece.bytes
                if piece.sha256 not in self.held:
                    self._store(source, piece, whole=len(pieces) == 1)
        return BundledFile(
            category=source.category,
            bytes=sum(piece.bytes for piece in pieces),
            sha256=sha256,
            executable=source.executable,
            chunks=tuple(piece.sha256 for piece in pieces),
        )

    def place(self, sha256: str) -> Path:
        """Where a chunk lies."""
        return self.folder / chunk_path(sha256)

    def _pieces(self, file: Path) -> tuple[list[Piece], str]:
        pieces: list[Piece] = []
        whole, offset = hashlib.sha256(), 0
        with file.open("rb") as stream:
            while True:
                digest, size = hashlib.sha256(), 0
                while size < self.chunk_bytes and (data := stream.read(min(_PIECE, self.chunk_bytes - size))):
                    digest.update(data)
                    whole.update(data)
                    size += len(data)
                if not size:
                    return pieces, whole.hexdigest()
                pieces.append(Piece(offset, size, digest.hexdigest()))
                offset += size

    def _store(self, source: Source, piece: Piece, *, whole: bool) -> None:
        place = self.place(piece.sha256)
        if place.is_file() and place.stat().st_size == piece.bytes and hash_file(place) == piece.sha256:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.part")
        part.unlink(missing_ok=True)
        if (
            not (source.ours and whole and _linked(source.file, part))
            and _copy(source.file, piece, part) != piece.sha256
        ):
            raise UsageError(f"{source.file} was changed while it was read; stop what writes it, and start again")
        part.replace(place)


def _linked(file: Path, target: Path) -> bool:
    """Link a file; returns whether the file system can."""
    try:
        target.hardlink_to(file)
    except OSError:
        return False
    return True


def _copy(file: Path, piece: Piece, target: Path) -> str:
    """Copy a range of a file; returns the hash of what was written."""
    digest, left = hashlib.sha256(), piece.bytes
    with file.open("rb") as stream, target.open("xb") as copy:
        stream.seek(piece.offset)
        while left and (data := stream.read(min(_PIECE, left))):
            digest.update(data)
            copy.write(data)
            left -= len(data)
    return digest.hexdigest()


def spread(
    files: Mapping[str, BundledFile], sizes: Mapping[str, int], held: frozenset[str], room: int | None
) -> dict[str, ChunkEntry]:
    """Each chunk with its part: in the order of paths, each part filled up to `room` bytes before the next begins."""
    found: dict[str, ChunkEntry] = {}
    part, used = 1, 0
    for sha256 in _in_order(files):
        if sha256 in found:
            continue
        if sha256 in held:
            found[sha256] = ChunkEntry(bytes=sizes[sha256])
            continue
        if room is not None and used + sizes[sha256] > room:
            part, used = part + 1, 0
        used += sizes[sha256]
        found[sha256] = ChunkEntry(bytes=sizes[sha256], part=part)
    return found


def _in_order(files: Mapping[str, BundledFile]) -> Iterable[str]:
    return (sha256 for _, entry in sorted(files.items()) for sha256 in entry.chunks)
