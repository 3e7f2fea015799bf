"""The rows of each wheel's RECORD against its files, before it is installed: installers compare neither."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .copying import Progress
from .faults import InstallError

_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
_RECORD_BYTES = 64 << 20
_PIECE = 1 << 20
_RATIO = 1100
"""The most bytes that one byte of DEFLATE can become is 1032."""


def check_wheels(folder: Path) -> int:
    """The bytes that all wheels of a folder unpack to. Raises InstallError for one whose files are not its RECORD's."""
    wheels = sorted(folder.glob("*.whl"), key=lambda wheel: -wheel.stat().st_size)
    progress = Progress("wheels", sum(wheel.stat().st_size for wheel in wheels))
    total = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decompression and hashing let other threads run
        for wheel, size in zip(wheels, pool.map(check_wheel, wheels)):  # noqa: B905 (Python 3.9 has no strict)
            total += size
            progress.add(wheel.stat().st_size)
    return total


def check_wheel(wheel: Path) -> int:
    """The bytes that a wheel unpacks to. Raises InstallError unless its files are those of RECORD, each by hash."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _check(wheel, archive)
    except (zipfile.BadZipFile, zlib.error, csv.Error, ValueError, KeyError, EOFError, OSError, RuntimeError) as error:
        raise InstallError(f"{wheel} is no readable wheel ({error}); make the bundle again") from error


def _check(wheel: Path, archive: zipfile.ZipFile) -> int:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    files = {info.filename: info for info in infos}
    records = [name for name in files if _RECORD.fullmatch(name)]
    total = sum(info.file_size for info in infos)
    if len(files) != len(infos) or len(records) != 1:
        raise InstallError(f"{wheel} has a file twice, or not one RECORD; make the bundle again")
    if total > _RATIO * wheel.stat().st_size or files[records[0]].file_size > _RECORD_BYTES:
        raise InstallError(f"{wheel} unpacks to {total} bytes, more than it can; make the bundle again")
    rows = _rows(wheel, archive.read(records[0]).decode("utf-8"))
    unlisted = {records[0], f"{records[0]}.jws", f"{records[0]}.p7s"}
    for name in sorted((files.keys() ^ rows.keys()) - unlisted):
        raise InstallError(f"{wheel}: {name!a} is in the wheel or in RECORD, not in both; make the bundle again")
    for name in sorted(rows.keys() - unlisted):
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name):
            raise InstallError(f"{wheel}: {name!a} leaves the folder it is installed to; make the bundle again")
        if (_hashed(archive, files[name], rows[name][0]), str(files[name].file_size)) != rows[name]:
            raise InstallError(f"{wheel}: {name!a} is not as RECORD says; make the bundle again")
    return total


def _rows(wheel: Path, record: str) -> dict[str, tuple[str, str]]:
    """The hash and the size of each file, as RECORD spells them."""
    rows: dict[str, tuple[str, str]] = {}
    for row in csv.reader(io.StringIO(record, newline="")):
        if not row:
            continue
        if len(row) != 3 or row[0] in rows:
            raise InstallError(f"{wheel} has a malformed line in RECORD: {','.join(row)[:80]!a}; make the bundle again")
        rows[row[0]] = (row[1].rstrip("="), row[2])
    return rows


def _hashed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, stated: str) -> str:
    """A file's hash in the spelling of RECORD, by the algorithm that it states there."""
    algorithm = stated.partition("=")[0]
    if algorithm not in ("sha256", "sha384", "sha512"):
        return ""
    digest = hashlib.new(algorithm)
    with archive.open(info) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return f"{algorithm}={base64.urlsafe_b64encode(digest.digest()).decode().rstrip('=')}"
