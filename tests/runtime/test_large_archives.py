"""Wheels with zip64 records, as some tools write them for small archives as well, are accepted where all agree."""

import hashlib
import struct
import zipfile
from pathlib import Path

import pytest

from benchmarks.attacks._package import members_of, record
from models.errors import WheelError
from runtime.environments import check_wheel


def _wheel(folder: Path, *, locals_too: bool) -> Path:
    members = members_of("tiny", "1.0", {"tiny.py": "X = 1\n"})
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {
            **members,
            "tiny-1.0.dist-info/RECORD": record(members, "tiny-1.0.dist-info").encode(),
        }.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=locals_too) as file:
                file.write(data)
    return path


def _with_end64(path: Path, count_off: int = 0) -> None:
    data = path.read_bytes()
    count, size, start = struct.unpack("<HII", data[-12:-2])
    end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count + count_off, count + count_off, size, start)
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(data) - 22, 1)
    path.write_bytes(data[:-22] + end + locator + data[-22:])


def _check(path: Path) -> None:
    check_wheel(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_zip64_fields_of_members_and_a_zip64_directory_that_agree_are_accepted(tmp_path: Path) -> None:
    _check(_wheel(tmp_path, locals_too=True))
    path = _wheel(tmp_path, locals_too=False)
    _with_end64(path)
    _check(path)


def test_a_zip64_directory_that_says_otherwise_is_refused(tmp_path: Path) -> None:
    path = _wheel(tmp_path, locals_too=False)
    _with_end64(path, count_off=1)
    with pytest.raises(WheelError, match="differ"):
        _check(path)
