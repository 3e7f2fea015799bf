"""Strict reading of a wheel's zip archive: unambiguous, and within limits.

Sizes are checked in the headers first and enforced while reading: headers are not trusted.
"""

import io
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from models.errors import WheelError

MAX_UNPACKED = 2 << 30
"""Most unpacked bytes of a wheel: the largest CPU builds of numerical libraries have just under one GiB."""
MAX_MEMBERS = 100_000
"""Most members of a wheel: the largest honest ones have some 30,000."""
MAX_DIRECTORY = 20 << 20
"""Most bytes of an archive's directory: 200 for each member."""
_END_BYTES, _LOCATOR_BYTES, _END64_BYTES = 22, 20, 56
_END_NUMBERS = ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4))
_END64_NUMBERS = ((16, 4), (20, 4), (24, 8), (32, 8), (40, 8), (48, 8))
"""Place and length of disk numbers, counts, size and place of the directory in an archive's end; in that of zip64."""
_LARGE, _ZIP64_FIELD = 0xFFFFFFFF, b"\x01\x00"
MAX_RATIO = 100
"""Highest ratio of unpacked to packed bytes, of a wheel and of a large file: honest ones reach 20, a bomb 1,000."""
_SMALL = 32 << 20
"""Bytes below which the ratio is not checked: test data may well be 10 MiB of zeros."""
_PIECE = 1 << 20
_UNICODE_NAME = b"\x75\x70"
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\\:]")


def check_end(path: Path) -> None:
    """Raise WheelError, before reading it, for a directory that would take gigabytes of memory or is not at the end."""
    with path.open("rb") as stream:
        stream.seek(0, io.SEEK_END)
        stream.seek(max(0, stream.tell() - _END_BYTES))
        end = stream.read()
    if end[:4] != b"PK\x05\x06":
        return  # no archive, or a comment or other data behind it: refused with messages of their own
    if int.from_bytes(end[12:16], "little") > MAX_DIRECTORY:
        raise WheelError(f"{path.name} has a directory of more than {MAX_DIRECTORY >> 20} MiB")


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise WheelError for an archive that two programs may read differently, or that is too large."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise WheelError(f"{path.name} holds {len(infos)} members; at most {MAX_MEMBERS} are accepted")
    for info in infos:
        check_member(path.name, info)
    _check_names(path.name, infos)
    _check_sizes(path, infos)
    end = 0
    with path.open("rb") as stream:
        for info in sorted(infos, key=lambda i: i.header_offset):
            end = _check_local_header(path.name, stream, info, end)
    _check_ends(path, archive, end)


def check_member(wheel: str, info: zipfile.ZipInfo) -> None:
    """Raise WheelError for a member that is not a regular file inside the archive's root."""
    name = info.filename
    parts = name.removesuffix("/").split("/")
    if _FORBIDDEN.search(name) or name != info.orig_filename:
        raise WheelError(f"{wheel} holds the path {name!a}, which leaves the archive or has a forbidden character")
    if len(name) > 1000 or any(not part or len(part.encode()) > 255 for part in parts):
        raise WheelError(f"{wheel} holds the path {name[:80]!a}, which leaves the archive or is too long")
    if any(part.endswith((".", " ")) for part in parts):
        raise WheelError(f"{wheel} holds the path {name!a}, which leaves the archive or ends with a dot or a blank")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR) > info.is_dir():
        raise WheelError(f"{wheel} holds {name!a}, which is not a plain file")
    if info.flag_bits & 0x1:
        raise WheelError(f"{wheel} holds {name!a}, which is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise WheelError(f"{wheel} holds {name!a}, which is packed by method {info.compress_type}; use deflate")
    if not name.isascii() and not info.flag_bits & 0x800:
        raise WheelError(f"{wheel} holds {name!a}, whose encoding it does not say")
    if info.is_dir() and info.file_size:
        raise WheelError(f"{wheel} holds {name!a}, a folder with content")


def same_name(path: str) -> str:
    """Normal form of a path, equal for paths that some file system treats as one: NFKC, case folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def _check_names(wheel: str, infos: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in infos:
        name = info.filename.removesuffix("/")
        if name in seen:
            raise WheelError(f"{wheel} holds {name!a} twice")
        seen.add(name)
    check_collisions(wheel, [info.filename for info in infos])


def check_collisions(wheel: str, names: list[str]) -> None:
    """Raise WheelError for two paths that some file system treats as one, and for a file that is also a folder."""
    spelt: dict[str, str] = {}
    files: dict[str, str] = {}
    for name in names:
        parts = name.removesuffix("/").split("/")
        for length in range(len(parts), 0, -1):
            prefix = "/".join(parts[:length])
            other = spelt.setdefault(same_name(prefix), prefix)
            if other != prefix:
                raise WheelError(f"{wheel} holds {other!a} and {prefix!a}, which some file systems take for one")
        if not name.endswith("/"):
            files[name] = name
    for name in names:
        parts = name.removesuffix("/").split("/")
        for length in range(1, len(parts)):
            if "/".join(parts[:length]) in files:
                raise WheelError(f"{wheel} holds {'/'.join(parts[:length])!a} twice: as a file and as a folder")


def _check_sizes(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    for info in infos:
        if info.file_size > max(_SMALL, MAX_RATIO * info.compress_size):
            raise WheelError(f"{path.name} holds {info.filename!a}, which unpacks to {info.file_size} bytes: a bomb")
    total = sum(info.file_size for info in infos)
    if total > MAX_UNPACKED:
        raise WheelError(f"{path.name} unpacks to {total} bytes; at most {MAX_UNPACKED} are accepted")
    if total > max(_SMALL, MAX_RATIO * path.stat().st_size):
        raise WheelError(f"{path.name} unpacks to {total} bytes, over {MAX_RATIO} times its size: a bomb")


def _check_local_header(wheel: str, stream: io.BufferedReader, info: zipfile.ZipInfo, end: int) -> int:
    """Compare one local header with the central directory; returns the end of this member's data."""
    stream.seek(info.header_offset)
    header = stream.read(30)
    if info.header_offset != end or header[:4] != b"PK\x03\x04":
        raise WheelError(f"{wheel} hides data before {info.filename!a}")
    flags, method = int.from_bytes(header[6:8], "little"), int.from_bytes(header[8:10], "little")
    crc, packed, size = (int.from_bytes(header[i : i + 4], "little") for i in (14, 18, 22))
    name_length, extra_length = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    name = stream.read(name_length)
    extra = stream.read(extra_length)
    streamed = bool(flags & 0x8)
    sizes_agree = (crc, packed, size) == (info.CRC, info.compress_size, info.file_size)
    if _LARGE in (packed, size):
        packed, size = _large_sizes(extra, packed, size)
        sizes_agree = (crc, packed, size) == (info.CRC, info.compress_size, info.file_size)
    if name != info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437") or method != info.compress_type:
        raise WheelError(f"{wheel} names {info.filename!a} differently in its two headers")
    if _UNICODE_NAME in _extra_fields(extra) | _extra_fields(info.extra):
        raise WheelError(f"{wheel} gives {info.filename!a} a second name")
    if not (sizes_agree or (streamed and (crc, packed, size) == (0, 0, 0))):
        raise WheelError(f"{wheel} gives {info.filename!a} two different sizes or checksums")
    end = info.header_offset + 30 + name_length + extra_length + info.compress_size
    return end + _descriptor_length(stream, end) if streamed else end


def _large_sizes(extra: bytes, packed: int, size: int) -> tuple[int, int]:
    """The packed and unpacked size of a local header whose 32 bits do not hold them, from its zip64 field."""
    position = 0
    while position + 4 <= len(extra):
        length = int.from_bytes(extra[position + 2 : position + 4], "little")
        if extra[position : position + 2] == _ZIP64_FIELD:
            numbers = extra[position + 4 : position + 4 + length]
            if size == _LARGE:
                size, numbers = int.from_bytes(numbers[:8], "little"), numbers[8:]
            if packed == _LARGE:
                packed = int.from_bytes(numbers[:8], "little")
            break
        position += 4 + length
    return packed, size


def _extra_fields(extra: bytes) -> set[bytes]:
    found, position = set(), 0
    while position + 4 <= len(extra):
        found.add(extra[position : position + 2])
        position += 4 + int.from_bytes(extra[position + 2 : position + 4], "little")
    return found


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
        stream.seek(-_END_BYTES, io.SEEK_END)
        record = stream.read(_END_BYTES)
        if record[:4] != b"PK\x05\x06":
            raise WheelError(f"{path.name} has trailing data")
        stream.seek(max(0, path.stat().st_size - _END_BYTES - _LOCATOR_BYTES - _END64_BYTES))
        before = stream.read(_END64_BYTES + _LOCATOR_BYTES)
    told = [int.from_bytes(record[at : at + size], "little") for at, size in ((4, 2), (6, 2), (8, 2), (10, 2))]
    if before[_END64_BYTES : _END64_BYTES + 4] == b"PK\x06\x07":
        told = _large_end(path, before, record)
    if told != [0, 0, len(archive.infolist()), len(archive.infolist())]:
        raise WheelError(f"{path.name} has {len(archive.infolist())} members, and its end says otherwise")


def _large_end(path: Path, before: bytes, record: bytes) -> list[int]:
    """Disk numbers and counts of a zip64 directory, whose two records must be where and what the end of the archive
    says."""
    end, locator = before[:_END64_BYTES], before[_END64_BYTES:]
    disk, place, disks = (int.from_bytes(locator[at : at + size], "little") for at, size in ((4, 4), (8, 8), (16, 4)))
    here = path.stat().st_size - _END_BYTES - _LOCATOR_BYTES - _END64_BYTES
    numbers = [int.from_bytes(end[at : at + size], "little") for at, size in _END64_NUMBERS]
    short = [int.from_bytes(record[at : at + size], "little") for at, size in _END_NUMBERS]
    full = [(1 << 8 * size) - 1 for _, size in _END_NUMBERS]
    same = all(each in (number, most) for each, number, most in zip(short, numbers, full, strict=True))
    if end[:4] != b"PK\x06\x06" or (disk, place, disks) != (0, here, 1) or not same:
        raise WheelError(f"{path.name} has two ends that differ")
    return numbers[:4]


def pieces(wheel: str, stream: io.BufferedReader, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """A member's content, piece by piece. Raises WheelError as soon as it contradicts the headers."""
    stream.seek(info.header_offset)
    header = stream.read(30)
    stream.seek(info.header_offset + 30 + sum(int.from_bytes(header[i : i + 2], "little") for i in (26, 28)))
    size = crc = 0
    for piece in _unpacked(stream, info):
        size += len(piece)
        crc = zlib.crc32(piece, crc)
        if size > info.file_size:
            break
        yield piece
    if (size, crc) != (info.file_size, info.CRC):
        raise WheelError(f"{wheel} holds another {info.filename!a} than its headers say")


def _unpacked(stream: io.BufferedReader, info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.compress_size
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else None
    while left > 0 and (data := stream.read(min(left, _PIECE))):
        left -= len(data)
        if inflate is None:
            yield data
            continue
        while data and not inflate.eof:
            yield inflate.decompress(data, _PIECE)
            data = inflate.unconsumed_tail
        if inflate.eof and (inflate.unused_data or left):
            raise WheelError(f"{info.filename!a} has data after its end")
    if inflate is not None:
        yield inflate.flush()  # a few bytes that did not fit into the last piece
    if inflate is not None and not inflate.eof:
        raise WheelError(f"{info.filename!a} is cut short")


def content(wheel: str, stream: io.BufferedReader, info: zipfile.ZipInfo, most: int) -> bytes:
    """A small member's content. Raises WheelError if it has more than `most` bytes."""
    if info.file_size > most:
        raise WheelError(f"{wheel} holds {info.filename!a} of {info.file_size} bytes; at most {most} are accepted")
    return b"".join(pieces(wheel, stream, info))
