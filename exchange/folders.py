"""Reading a folder that came from elsewhere: plain files only, never through a link, each hashed as it is read."""

import hashlib
import os
import stat
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, Protocol

from pydantic import Field

from host.folders import walk
from host.regular import read_regular
from models.errors import UsageError
from models.plans import Frozen

_FILES = 10_000
_PIECE = 1 << 20
_MANIFEST_BYTES = 16 << 20
SHA256 = r"^[0-9a-f]{64}$"


class FileEntry(Frozen):
    """A file of a manifest."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=SHA256)


class Digest(Protocol):
    """A hash that is being computed."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""


def plain_files(folder: Path, leave_out: tuple[str, ...] = (), most: int = _FILES) -> set[str]:
    """The paths of all files below a folder, without the subfolders in `leave_out`. Raises UsageError for anything
    that is neither a plain file nor a folder, and for more than `most` files."""
    found: set[str] = set()
    try:
        for each in walk(folder):
            if each.path is None:
                raise UsageError(f"{folder}: paths in it are too long to be what was packed; copy the folder again")
            if each.path.startswith(tuple(f"{name}/" for name in leave_out)):
                continue
            for entry in each.entries:
                path, mode = f"{each.path}{entry.name}", entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISREG(mode):
                    found.add(path)
                elif not stat.S_ISDIR(mode):
                    raise UsageError(f"{folder}: {path!a} is a link or a device, no plain file; remove it")
            if len(found) > most:
                raise UsageError(f"{folder}: more than {most} files, more than were packed; copy the folder again")
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}; give a folder that can") from error
    return found


def check_names(folder: Path, found: set[str], wanted: set[str]) -> None:
    """Raise UsageError, naming the first, if files are there that are not wanted, or wanted ones are missing."""
    if extra := sorted(found - wanted):
        raise UsageError(f"{folder}: {extra[0]!a} is not in the manifest; remove it")
    if missing := sorted(wanted - found):
        raise UsageError(f"{folder}: {missing[0]!a} is missing; copy the folder again")


def read_manifest_file(file: Path, most: int = _MANIFEST_BYTES) -> bytes:
    """The bytes of a manifest. Raises UsageError if there is none, or it is larger than one can be."""
    content = read_regular(file, most)
    if content is None:
        raise UsageError(f"{file} is missing, a link, or over {most} bytes; copy the folder again")
    return content


def check_file(source: Path, entry: FileEntry, copy_to: Path | None = None, also: Digest | None = None) -> None:
    """Raise UsageError unless a file is as its entry says; copy what was hashed to `copy_to`, and add it to the hash
    `also`, if given."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if copy_to is not None:
            copy_to.parent.mkdir(parents=True, exist_ok=True)
        with (
            os.fdopen(os.open(source, flags), "rb") as stream,
            copy_to.open("xb") if copy_to is not None else nullcontext() as copy,
        ):
            if (size := os.fstat(stream.fileno()).st_size) != entry.bytes:
                raise UsageError(f"{source}: {size} bytes, and its manifest says {entry.bytes}; copy the folder again")
            digest = _transfer(stream, copy, also, entry.bytes)
    except OSError as error:
        raise UsageError(f"{source} cannot be copied: {error.strerror}; free some space and try again") from error
    if digest != entry.sha256:
        hashes = f"its hash is {digest[:12]}, and its manifest says {entry.sha256[:12]}"
        raise UsageError(f"{source} was altered: {hashes}; copy the folder again")


def _transfer(stream: BinaryIO, copy: BinaryIO | None, also: Digest | None, most: int) -> str:
    """The hash of what is read, one byte more than `most` at the longest."""
    digest, left = hashlib.sha256(), most + 1
    while left and (piece := stream.read(min(_PIECE, left))):
        digest.update(piece)
        left -= len(piece)
        if also is not None:
            also.update(piece)
        if copy is not None:
            copy.write(piece)
    return digest.hexdigest()
