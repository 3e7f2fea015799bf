"""Files that are kept compressed beside where they were (`NAME.xz`), byte for byte restorable and checked by hash."""

import hashlib
import lzma
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from host.renames import sync_folder
from models.errors import CleanRoomError

_SUFFIX = ".xz"
_PRESET = 3
_CHUNK = 1 << 20


class PackedFileError(CleanRoomError):
    """A file is not what it should be, or its compressed form is damaged."""


def packed_form(file: Path) -> Path:
    """Where the compressed form of a file is."""
    return file.with_name(file.name + _SUFFIX)


def is_there(file: Path) -> bool:
    """Whether a file is there, plain or compressed."""
    return file.is_file() or packed_form(file).is_file()


def pack_file(file: Path, sha256: str) -> int:
    """Compress a file in place; returns the bytes freed.

    It goes when its compressed form is on the disk and has been read back as what the hash says. Raises PackedFileError
    if it is not that, OSError.
    """
    place = packed_form(file)
    draft = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with file.open("rb") as plain, draft.open("wb") as raw:
            with lzma.open(raw, "wb", preset=_PRESET) as packed:
                _copy(plain, packed)
            raw.flush()
            os.fsync(raw.fileno())
        with lzma.open(draft, "rb") as again:
            if _copy(again, None) != sha256:
                raise PackedFileError(f"{file} was changed since it was made")
        freed = file.stat().st_size - draft.stat().st_size
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(file.parent)
    file.unlink()
    return freed


def unpack_file(file: Path, sha256: str) -> None:
    """Restore a file that is there in its compressed form only. Raises PackedFileError for a damaged one, OSError."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with _opened(packed_form(file)) as packed, draft.open("wb") as plain:
            found = _copy(packed, plain)
            plain.flush()
            os.fsync(plain.fileno())
        if found != sha256:
            raise PackedFileError(f"{packed_form(file)} was changed since it was made")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(file.parent)
    packed_form(file).unlink(missing_ok=True)


def restore(folder: Path, files: Mapping[str, str]) -> None:
    """Restore those files of a folder (name -> SHA-256) that are there in their compressed form only. Raises
    PackedFileError for a damaged one, OSError."""
    for name, expected in files.items():
        file = folder / name
        if not file.is_file() and packed_form(file).is_file():
            try:
                unpack_file(file, expected)
            except FileNotFoundError:
                if not file.is_file():  # else another process was faster
                    raise


def is_intact(file: Path, sha256: str) -> bool:
    """Whether a file, plain or compressed, is there with this hash; it stays as it is."""
    try:
        with open_either(file) as content:
            return _copy(content, None) == sha256
    except (OSError, PackedFileError):
        return False


@contextmanager
def open_either(file: Path) -> Iterator[IO[bytes]]:
    """The content of a file, plain or compressed. Raises FileNotFoundError if there is neither, PackedFileError."""
    try:
        content = file.open("rb")
    except FileNotFoundError:
        if not packed_form(file).is_file():
            raise
    else:
        with content:
            yield content
        return
    with _opened(packed_form(file)) as packed:
        yield packed


@contextmanager
def _opened(place: Path) -> Iterator[IO[bytes]]:
    try:
        with lzma.open(place, "rb") as packed:
            yield packed
    except (lzma.LZMAError, EOFError) as error:
        raise PackedFileError(f"{place} is damaged: {error}") from error


def _copy(source: IO[bytes], target: "BinaryIO | lzma.LZMAFile | None") -> str:
    """Copy to the end, if there is where to; the SHA-256 of what was read."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest()
