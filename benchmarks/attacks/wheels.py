"""Crafted wheels: bombs, paths that leave, names that collide, archives that two programs read differently."""

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.attacks._package import make_wheel, members_of, record, sha256
from benchmarks.attacks.base import Attack, GotThrough
from models.errors import WheelError
from runtime.environments import check_wheel, unpack_wheel
from runtime.environments.wheel_checks import check_together, wheel_contents

KIND = "wheels"
_NAME = "tiny-1.0-py3-none-any.whl"
_INFO = "tiny-1.0.dist-info"
Files = Mapping[str, str | bytes]


def _tried(path: Path, scratch: Path) -> str:
    """Refused when it is taken in, when it comes from a build, and nothing lies outside afterwards."""
    said = ""
    for what, use in (
        ("taken in", lambda: check_wheel(path, sha256(path))),
        ("used after a build", lambda: wheel_contents(path)),
    ):
        try:
            use()
        except WheelError as error:
            said = str(error)
            continue
        raise GotThrough(f"the wheel was {what}")
    if not said.isprintable():
        raise GotThrough(f"the message holds what a terminal acts on: {said[:100]!a}")
    if strays := [path for path in scratch.rglob("*") if path.is_file() and path.name.startswith("evil")]:
        raise GotThrough(f"{strays[0]} was written")
    return said[:150]


def _with(files: Files) -> Callable[[Path], str]:
    """A wheel with these files, whose RECORD fits."""

    def attack(scratch: Path) -> str:
        return _tried(make_wheel(scratch / "packages", files={"tiny.py": "", **files}), scratch)

    return attack


def _built(build: Callable[[zipfile.ZipFile], None], rows: str | None = None) -> Callable[[Path], str]:
    """A wheel that an attack completes by hand, behind honest files; `rows` is its RECORD, if not one that fits."""

    def attack(scratch: Path) -> str:
        path = scratch / "packages" / _NAME
        path.parent.mkdir()
        members = members_of("tiny", "1.0", {"tiny.py": "X = 1\n"})
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            warnings.simplefilter("ignore")
            for name, data in members.items():
                archive.writestr(name, data)
            build(archive)
            archive.writestr(f"{_INFO}/RECORD", record(members, _INFO) if rows is None else rows)
        return _tried(path, scratch)

    return attack


def _patched(patch: Callable[[bytearray], bytes]) -> Callable[[Path], str]:
    """An honest wheel whose bytes are changed afterwards."""

    def attack(scratch: Path) -> str:
        path = make_wheel(scratch / "packages", files={"tiny.py": "X = 1\n", "more.py": "Y = 2\n"})
        path.write_bytes(patch(bytearray(path.read_bytes())))
        return _tried(path, scratch)

    return attack


def _member(mode: int, data: str = "/etc/passwd") -> Callable[[zipfile.ZipFile], None]:
    def build(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("evil.py")
        info.external_attr = mode << 16
        archive.writestr(info, data)

    return build


def _zeros(archive: zipfile.ZipFile) -> None:
    """300 MiB of zeros in 300 KiB."""
    with archive.open(zipfile.ZipInfo("evil.bin"), "w", force_zip64=True) as file:
        pass
    info = zipfile.ZipInfo("evil2.bin")
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))


def _many_zeros(archive: zipfile.ZipFile) -> None:
    """Each below what a single file may hold, all together far above."""
    piece = bytes(30 << 20)
    for number in range(10):
        archive.writestr(f"evil{number}.bin", piece)


def _claimed(size: int) -> Callable[[Path], str]:
    """Headers that claim a size that is not there: nothing may be reserved for it."""

    def patch(data: bytearray) -> bytes:
        at = data.index(b"PK\x01\x02")
        data[at + 24 : at + 28] = struct.pack("<I", size)
        data[22:26] = struct.pack("<I", size)
        return bytes(data)

    return _patched(patch)


def _longer_than_said(scratch: Path) -> str:
    """The data go on behind the size that both headers give."""
    path, whole = scratch / "packages" / _NAME, b"X = 1\n"
    path.parent.mkdir()
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeeze.compress(whole + b"import evil\n" * 1000) + squeeze.flush()
    members = members_of("tiny", "1.0", {"tiny.py": whole})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("tiny.py"), packed)
        for name in list(members)[1:]:
            archive.writestr(zipfile.ZipInfo(name), members[name])
        archive.writestr(zipfile.ZipInfo(f"{_INFO}/RECORD"), record(members, _INFO))
    data = bytearray(path.read_bytes())
    for at, shift in ((0, 0), (data.index(b"PK\x01\x02"), 2)):
        data[at + 8 + shift : at + 10 + shift] = struct.pack("<H", 8)
        data[at + 14 + shift : at + 18 + shift] = struct.pack("<I", zlib.crc32(whole))
        data[at + 22 + shift : at + 26 + shift] = struct.pack("<I", len(whole))
    path.write_bytes(bytes(data))
    return _tried(path, scratch)


def _overlapping(scratch: Path) -> str:
    """Two entries of the directory share one local header, as in bombs of the better sort."""
    path = make_wheel(scratch / "packages", files={"aaaa.py": "X = 1\n", "bbbb.py": "X = 1\n"})
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(bytes(data))
    return _tried(path, scratch)


def _second_name(scratch: Path) -> str:
    """An extra field that gives a member another name, which some programs take."""
    path = scratch / "packages" / _NAME
    path.parent.mkdir()
    members = members_of("tiny", "1.0", {"tiny.py": ""})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            if name == "tiny.py":
                other = b"\x01" + struct.pack("<I", zlib.crc32(b"tiny.py")) + b"evil.py"
                info.extra = b"\x75\x70" + struct.pack("<H", len(other)) + other
            archive.writestr(info, data)
        archive.writestr(f"{_INFO}/RECORD", record(members, _INFO))
    return _tried(path, scratch)


def _nothing(_: zipfile.ZipFile) -> None:
    """The honest files alone."""


def _rows(change: Callable[[str], str]) -> Callable[[Path], str]:
    """An honest wheel with another RECORD."""
    return _built(_nothing, change(record(members_of("tiny", "1.0", {"tiny.py": "X = 1\n"}), _INFO)))


def _named(name: str) -> Callable[[Path], str]:
    """An honest wheel under another file name."""

    def attack(scratch: Path) -> str:
        path = make_wheel(scratch / "packages")
        return _tried(path.rename(path.with_name(name)), scratch)

    return attack


def _beside(first: Files, second: Files) -> Callable[[Path], str]:
    """Two wheels, each in order, that bring different files to one place."""

    def attack(scratch: Path) -> str:
        one = make_wheel(scratch / "packages", "tiny", files={"tiny.py": "", **first})
        two = make_wheel(scratch / "packages", "other", files={"other.py": "", **second})
        for path in (one, two):
            check_wheel(path, sha256(path))
        try:
            check_together({one: sha256(one), two: sha256(two)})
        except WheelError as error:
            return str(error)[:150]
        raise GotThrough("both were accepted; which file lies there depends on the order")

    return attack


def _pipe(scratch: Path) -> str:
    path = scratch / "packages" / _NAME
    path.parent.mkdir()
    os.mkfifo(path)
    return _refused_file(path)


def _link(scratch: Path) -> str:
    path = make_wheel(scratch / "packages")
    path.rename(scratch / "elsewhere")
    path.symlink_to(scratch / "elsewhere")
    return _refused_file(path)


def _refused_file(path: Path) -> str:
    try:
        check_wheel(path, "0" * 64)
    except WheelError as error:
        if "SHA-256" in str(error):
            raise GotThrough("it was read through") from error
        return str(error)[:150]
    raise GotThrough("it was accepted")


def _unpack_alone(name: str) -> Callable[[Path], str]:
    """Unpacking by itself refuses a path, without the checks before it."""

    def attack(scratch: Path) -> str:
        path = make_wheel(scratch / "packages", files={name: "x"})
        try:
            unpack_wheel(path, scratch / "out" / "inner")
        except WheelError as error:
            if list(scratch.rglob("evil*")):
                raise GotThrough("it was written all the same") from error
            return str(error)[:150]
        raise GotThrough("it was unpacked")

    return attack


def _empty_members(archive: zipfile.ZipFile) -> None:
    for number in range(100_001):
        archive.writestr(f"e{number}", b"")


_SCRIPTS = f"{_INFO}/entry_points.txt"
_CASES: tuple[tuple[str, Callable[[Path], str]], ...] = (
    ("bomb in one file", _built(_zeros)),
    ("bomb in many files", _built(_many_zeros)),
    ("bomb only by its headers", _claimed(0x7FFFFFFF)),
    ("size that is a little off", _claimed(7)),
    ("data behind the size that is given", _longer_than_said),
    ("overlapping members", _overlapping),
    ("100,001 empty members", _built(_empty_members)),
    ("member twice", _built(lambda a: a.writestr("tiny.py", "import evil"))),
    ("second name in an extra field", _second_name),
    ("path that climbs", _with({"../evil.py": "x"})),
    ("path that climbs later", _with({"a/../../evil.py": "x"})),
    ("absolute path", _with({"/evil.py": "x"})),
    ("path with a backslash", _with({"a\\..\\evil.py": "x"})),
    ("path with a drive", _with({"C:evil.py": "x"})),
    ("path with a stream", _with({"tiny.py:evil": "x"})),
    ("path with an empty part", _with({"a//evil.py": "x"})),
    ("path with a dot part", _with({"./evil.py": "x"})),
    ("path with a newline", _with({"evil\n.py": "x"})),
    ("path with terminal codes", _with({"evil\x1b[2J.py": "x"})),
    ("path that reads backwards", _with({"evil\u202eyp.py": "x"})),
    ("path that ends with a dot", _with({"evil./a.py": "x"})),
    ("path that ends with a blank", _with({"evil /a.py": "x"})),
    ("path of 5,000 characters", _with({"a/" * 2500 + "evil.py": "x"})),
    ("names that differ in case", _with({"Tiny.py": "import evil"})),
    ("folders that differ in case", _with({"pkg/a.py": "", "PKG/b.py": ""})),
    ("names that differ in normal form", _with({"caf\u00e9.py": "", "cafe\u0301.py": ""})),
    ("names that differ in width", _with({"ab.py": "", "\uff41b.py": ""})),
    ("file that is a folder as well", _with({"evil": "", "evil/a.py": ""})),
    ("symlink", _built(_member(0o120777))),
    ("device", _built(_member(0o020666))),
    ("pipe inside", _built(_member(0o010666))),
    ("pyvenv.cfg beside the folders", _with({"tiny-1.0.data/data/pyvenv.cfg": "home = /evil"})),
    ("pyvenv.cfg among the modules", _with({"pyvenv.cfg": "home = /evil"})),
    ("interpreter by a script", _with({"tiny-1.0.data/scripts/python": "#!/bin/sh\n"})),
    ("interpreter of a version by a script", _with({"tiny-1.0.data/scripts/python3.13": "#!/bin/sh\n"})),
    ("interpreter by data", _with({"tiny-1.0.data/data/bin/python3": "#!/bin/sh\n"})),
    ("interpreter in capital letters", _with({"tiny-1.0.data/scripts/Python": "#!/bin/sh\n"})),
    ("interpreter by an entry point", _with({_SCRIPTS: "[console_scripts]\npython = tiny:main\n"})),
    ("pip by an entry point", _with({_SCRIPTS: "[console_scripts]\npip = tiny:main\n"})),
    ("entry point that climbs", _with({_SCRIPTS: "[console_scripts]\n../../evil = tiny:main\n"})),
    ("entry point over a script", _with({_SCRIPTS: "[gui_scripts]\nx = tiny:m\n", "tiny-1.0.data/scripts/x": ""})),
    ("entry points twice", _with({_SCRIPTS: "[console_scripts]\na = b:c\n[console_scripts]\nd = e:f\n"})),
    ("activation script", _with({"tiny-1.0.data/scripts/activate": "touch /tmp/evil"})),
    ("script in a folder", _with({"tiny-1.0.data/scripts/a/b": "x"})),
    ("modules of others by data", _with({"tiny-1.0.data/data/lib/python3.13/site-packages/pytest.py": "x"})),
    ("data beside the folders", _with({"tiny-1.0.data/data/evil.cfg": "x"})),
    ("data of no scheme", _with({"tiny-1.0.data/stdlib/os.py": "x"})),
    ("data folder of another wheel", _with({"other-1.0.data/purelib/evil.py": "x"})),
    ("same place by two ways", _with({"tiny-1.0.data/purelib/tiny.py": "import evil"})),
    ("metadata of another distribution", _with({"pytest-9.9.dist-info/METADATA": "Name: pytest\n"})),
    ("metadata of another kind", _with({"pytest.egg-info/entry_points.txt": "[pytest11]\nx = tiny\n"})),
    ("metadata of another name", _with({f"{_INFO}/METADATA": "Metadata-Version: 2.1\nName: pytest\nVersion: 1.0\n"})),
    ("metadata of another version", _with({f"{_INFO}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 2\n"})),
    ("metadata of two names", _with({f"{_INFO}/METADATA": "Name: tiny\nName: pytest\nVersion: 1.0\n"})),
    ("file name of another distribution", _named("pytest-1.0-py3-none-any.whl")),
    ("file name of another version", _named("tiny-2.0-py3-none-any.whl")),
    ("file that RECORD lacks", _built(lambda a: a.writestr("evil.py", "x"))),
    ("row without a file", _rows(lambda r: f"evil.py,sha256=AAAA,1\n{r}")),
    ("row that climbs", _rows(lambda r: f"../../evil.py,sha256=AAAA,1\n{r}")),
    ("row that is absolute", _rows(lambda r: r.replace("tiny.py", "/tiny.py"))),
    ("row in another normal form", _rows(lambda r: r.replace("tiny.py", "./tiny.py"))),
    ("row twice", _rows(lambda r: r.splitlines(keepends=True)[0] + r)),
    ("row without hash", _rows(lambda r: "tiny.py,,6\n" + "".join(r.splitlines(keepends=True)[1:]))),
    ("row with a weak hash", _rows(lambda r: r.replace("sha256=", "md5=", 1))),
    ("row with another hash", _rows(lambda r: r.replace("sha256=", "sha256=A", 1))),
    ("row with another size", _rows(lambda r: r.replace(",6\n", ",7\n", 1))),
    ("row with a size that is no number", _rows(lambda r: r.replace(",6\n", ",6.0\n", 1))),
    ("RECORD with its own hash", _rows(lambda r: r.replace("RECORD,,", "RECORD,sha256=AAAA,"))),
    ("no rows", _rows(lambda _: "")),
    ("data before the archive", _patched(lambda d: b"#!/bin/sh\n" + bytes(d))),
    ("data behind the archive", _patched(lambda d: bytes(d) + b"tail")),
    ("names that the two headers give", _patched(lambda d: bytes(d).replace(b"more.py", b"evil.py", 1))),
    ("checksum of the local header", _patched(lambda d: bytes(d[:14]) + b"\0\0\0\0" + bytes(d[18:]))),
    ("cut short", _patched(lambda d: bytes(d[: len(d) // 2]))),
    ("encrypted", _patched(lambda d: bytes(d).replace(b"\x01\x02\x14\x03\x14\0\0\0", b"\x01\x02\x14\x03\x14\0\1\0"))),
    ("no archive at all", _patched(lambda _: b"no archive")),
    ("module of another wheel", _beside({}, {"tiny.py": "import evil"})),
    ("module of another wheel in another case", _beside({}, {"TINY.py": "import evil"})),
    ("command of another wheel", _beside({"tiny-1.0.data/scripts/run": "a"}, {"other-1.0.data/scripts/run": "b"})),
    ("pipe in place of a wheel", _pipe),
    ("link in place of a wheel", _link),
    ("unpacking a path that climbs", _unpack_alone("../evil.py")),
    ("unpacking an absolute path", _unpack_alone("/evil.py")),
)  # fmt: skip


def attacks() -> list[Attack]:
    """The attacks of this kind."""
    return [Attack(KIND, name, run) for name, run in _CASES]
