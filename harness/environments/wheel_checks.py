"""Wheels are accepted only if every installer would read them in the same way."""

import base64
import csv
import hashlib
import io
import re
import stat
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

from models.errors import WheelError


def sha256(path: Path) -> str:
    """A file's SHA-256. Raises WheelError if there is no such file."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise WheelError(f"{path.name} is missing from {path.parent}; run `cra prepare` again") from error


def check_wheel(path: Path, digest: str) -> None:
    """Accept a wheel or raise WheelError.

    Refused are: a missing file, another hash, anything that two installers may read differently (duplicate
    names, a local header that differs from the central one, data before or after the archive), paths that
    leave the archive, symlinks, and contents that differ from RECORD. `.pth` files are accepted: they run at
    every start of an interpreter, but that only ever happens inside the sandbox, like everything else in a
    wheel.
    """
    if sha256(path) != digest:
        raise WheelError(f"{path.name} has another SHA-256 than expected ({digest[:12]}...); fetch it again")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_structure(path, archive)
            _check_record(path.name, archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise WheelError(f"{path.name} is no readable wheel: {error}") from error


def _check_structure(path: Path, archive: zipfile.ZipFile) -> None:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    counted = Counter(name.rstrip("/") for name in names)
    for name, count in counted.items():
        if count > 1:
            raise WheelError(f"{path.name} holds {name!r} twice")
    for info in infos:
        check_member(path.name, info)
    end = 0
    with path.open("rb") as stream:
        for info in sorted(infos, key=lambda i: i.header_offset):
            end = _check_local_header(path.name, stream, info, end)
    _check_ends(path, archive, end)


def check_member(wheel: str, info: zipfile.ZipInfo) -> None:
    """Refuse a member that would not be a plain file inside the archive's root. Raises WheelError."""
    name = info.filename
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in name:
        raise WheelError(f"{wheel} holds the path {name!r}, which leaves the archive")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise WheelError(f"{wheel} holds {name!r}, which is not a plain file")
    if info.flag_bits & 0x1:
        raise WheelError(f"{wheel} holds {name!r}, which is encrypted")


def _check_local_header(wheel: str, stream: io.BufferedReader, info: zipfile.ZipInfo, end: int) -> int:
    """Compare one local header with the central directory; returns where this member's data ends."""
    stream.seek(info.header_offset)
    header = stream.read(30)
    if info.header_offset != end or header[:4] != b"PK\x03\x04":
        raise WheelError(f"{wheel} hides data before {info.filename!r}")
    flags, method = int.from_bytes(header[6:8], "little"), int.from_bytes(header[8:10], "little")
    crc, packed, size = (int.from_bytes(header[i : i + 4], "little") for i in (14, 18, 22))
    name_length, extra_length = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    name = stream.read(name_length)
    streamed = bool(flags & 0x8)
    sizes_agree = (crc, packed, size) == (info.CRC, info.compress_size, info.file_size)
    large = packed == 0xFFFFFFFF or size == 0xFFFFFFFF
    if name != info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437") or method != info.compress_type:
        raise WheelError(f"{wheel} names {info.filename!r} differently in its two headers")
    if not (sizes_agree or large or (streamed and (crc, packed, size) == (0, 0, 0))):
        raise WheelError(f"{wheel} gives {info.filename!r} two different sizes or checksums")
    end = info.header_offset + 30 + name_length + extra_length + info.compress_size
    return end + _descriptor_length(stream, end) if streamed else end


def _descriptor_length(stream: io.BufferedReader, at: int) -> int:
    """Length of the data descriptor at a position: with or without signature, 32 or 64 bits."""
    stream.seek(at)
    data = stream.read(28)
    signature = 4 if data[:4] == b"PK\x07\x08" else 0
    for length in (signature + 12, signature + 20):
        if data[length : length + 4] in (b"PK\x03\x04", b"PK\x01\x02"):
            return length
    return signature + 12


def _check_ends(path: Path, archive: zipfile.ZipFile, end: int) -> None:
    if archive.start_dir != end:
        raise WheelError(f"{path.name} hides data before its directory")
    if archive.comment:
        raise WheelError(f"{path.name} carries an archive comment")
    with path.open("rb") as stream:
        stream.seek(-22, io.SEEK_END)
        if stream.read(4) != b"PK\x05\x06":
            raise WheelError(f"{path.name} has trailing data")


def _check_record(wheel: str, archive: zipfile.ZipFile) -> None:
    files = {info.filename for info in archive.infolist() if not info.is_dir()}
    records = [name for name in files if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
    if len(records) != 1:
        raise WheelError(f"{wheel} has {len(records)} RECORD files where one belongs")
    expected: dict[str, str] = {}
    for row in csv.reader(archive.read(records[0]).decode().splitlines()):
        if len(row) != 3 or row[0] in expected:
            raise WheelError(f"{wheel} has a malformed line in RECORD: {','.join(row)[:80]!r}")
        expected[row[0]] = row[1]
    unsigned = {records[0], *(f"{records[0]}.{suffix}" for suffix in ("jws", "p7s"))}
    if different := (files - unsigned) ^ (set(expected) - unsigned):
        raise WheelError(f"{wheel} and its RECORD disagree about {min(different)!r}")
    for name in sorted(files - unsigned):
        algorithm, _, value = expected[name].partition("=")
        if algorithm not in ("sha256", "sha384", "sha512"):
            raise WheelError(f"{wheel} has no safe hash for {name!r} in RECORD")
        actual = base64.urlsafe_b64encode(hashlib.new(algorithm, archive.read(name)).digest()).decode()
        if actual.rstrip("=") != value.rstrip("="):
            raise WheelError(f"{wheel} holds another {name!r} than its RECORD says")


def unpack_wheel(path: Path, destination: Path) -> None:
    """Write a wheel's files under `destination`; what belongs into site-packages lies at its root.

    For wheels built in the sandbox as well: paths are checked, permissions are ours. Raises WheelError.
    """
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            check_member(path.name, info)
            parts = PurePosixPath(info.filename).parts
            if len(parts) > 2 and parts[0].endswith(".data") and parts[1] in ("purelib", "platlib"):
                parts = parts[2:]
            target = destination.joinpath(*parts)
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(info))
