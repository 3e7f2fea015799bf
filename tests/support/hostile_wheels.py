"""Hostile packages whose wheels are not what they seem."""

import base64
import hashlib
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from models.refusals import RefusalReason as R
from tests.support.hostile_base import Craft, Hostile, Json, manifest_of, rekey, tested, with_manifest, write_manifest

Members = Mapping[str, bytes]
_INFO = "extra-1.0.dist-info"


def _row(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(data)}\n"


def make_wheel(
    folder: Path,
    files: Members,
    *,
    name: str = "extra",
    tag: str = "py3-none-any",
    record: Callable[[str], str] = lambda text: text,
    further: Callable[[zipfile.ZipFile], None] = lambda archive: None,
) -> Path:
    """A wheel of release 1.0; `record` changes its RECORD, `further` adds members that RECORD does not know."""
    info = f"{name}-1.0.dist-info"
    members = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    path = folder / f"{name}-1.0-{tag}.whl"
    rows = "".join(_row(member, data) for member, data in members.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data, zipfile.ZIP_DEFLATED)
        further(archive)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), record(rows))
    return path


def add_wheel(package: Path, wheel: Path) -> None:
    """Add a wheel to the environment of the first instance, so that the manifest fits it."""
    manifest = manifest_of(package)
    environment = tested(manifest)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    distribution = wheel.name.split("-")[0]
    environment["lock"] += f"{distribution}==1.0 --hash=sha256:{digest}\n"
    environment["wheels"] = sorted([*environment["wheels"], wheel.name])
    manifest["wheels"][wheel.name] = digest
    rekey(manifest, environment)
    write_manifest(package, manifest)


def _wheel(files: Members | None = None, **options: object) -> Craft:
    def craft(package: Path, _: Path) -> None:
        given = {"extra.py": b"X = 1\n"} if files is None else files
        add_wheel(package, make_wheel(package / "packages", given, **options))  # type: ignore[arg-type]

    return craft


def _altered(change: Callable[[bytes], bytes]) -> Craft:
    def craft(package: Path, _: Path) -> None:
        wheel = make_wheel(package / "packages", {"extra.py": b"X = 1\n"})
        wheel.write_bytes(change(wheel.read_bytes()))
        add_wheel(package, wheel)

    return craft


def _first_wheel(package: Path) -> Path:
    return package / "packages" / tested(manifest_of(package))["wheels"][0]


def _missing(package: Path, _: Path) -> None:
    _first_wheel(package).unlink()


def _swapped(package: Path, _: Path) -> None:
    wheel = _first_wheel(package)
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")


def _surplus(package: Path, _: Path) -> None:
    make_wheel(package / "packages", {"extra.py": b"X = 1\n"})


def _incomplete(manifest: Json) -> None:
    """The lock pins a release that no wheel is there for."""
    environment = tested(manifest)
    environment["lock"] += "nothing==1.0 --hash=sha256:" + "0" * 64 + "\n"
    rekey(manifest, environment)


def _own(package: Path, _: Path) -> None:
    """A wheel with the module that the repository itself has."""
    name = manifest_of(package)["name"]
    add_wheel(package, make_wheel(package / "packages", {f"{name}.py": b"X = 1\n", f"{name}/__init__.py": b""}))


def _link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("evil.py")
    info.external_attr = 0o120777 << 16
    archive.writestr(info, "/etc/passwd")


def _bomb(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("evil.bin")
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))


def _no_hash(rows: str) -> str:
    first, _, rest = rows.partition("\n")
    return f"{first.split(',')[0]},,\n{rest}"


_ARM = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 183) + bytes(100)

WHEELS = (
    Hostile("wheel record", "row without a hash", _wheel(record=_no_hash), (R.WHEEL,)),
    Hostile("wheel record", "row missing", _wheel(record=lambda rows: rows.partition("\n")[2]), (R.WHEEL,)),
    Hostile("wheel record", "wrong hash",
            _wheel(record=lambda rows: rows.replace("sha256=", "sha256=A", 1)), (R.WHEEL,)),
    Hostile("wheel record", "weak hash", _wheel(record=lambda rows: rows.replace("sha256=", "md5=", 1)), (R.WHEEL,)),
    Hostile("wheel record", "row for nothing", _wheel(record=lambda rows: rows + "ghost.py,,\n"), (R.WHEEL,)),
    Hostile("wheel archive", "entry that climbs", _wheel({"../evil.py": b""}), (R.WHEEL,)),
    Hostile("wheel archive", "absolute entry", _wheel({"/tmp/evil.py": b""}), (R.WHEEL,)),
    Hostile("wheel archive", "entry twice", _wheel(further=lambda a: a.writestr("extra.py", "X = 2\n")), (R.WHEEL,)),
    Hostile("wheel archive", "names that differ in case", _wheel({"a.py": b"", "A.py": b""}), (R.WHEEL,)),
    Hostile("wheel archive", "link", _wheel(further=_link), (R.WHEEL,)),
    Hostile("wheel archive", "bomb", _wheel(further=_bomb), (R.WHEEL,)),
    Hostile("wheel archive", "data behind the end", _altered(lambda data: data + b"evil"), (R.WHEEL,)),
    Hostile("wheel archive", "data before the start", _altered(lambda data: b"PK\x03\x04evil" + data), (R.WHEEL,)),
    Hostile("wheel archive", "metadata of another name",
            _wheel({"extra.py": b"", "other-1.0.dist-info/METADATA": b"Name: other\n"}), (R.WHEEL,)),
    Hostile("wheel archive", "command in place of python",
            _wheel({"extra-1.0.data/scripts/python3": b"#!python\n"}), (R.WHEEL,)),
    Hostile("wheel set", "wheel missing", _missing, (R.WHEEL_SET,)),
    Hostile("wheel set", "surplus wheel", _surplus, (R.WHEEL_SET,)),
    Hostile("wheel set", "wheel with another hash", _swapped, (R.WHEEL,)),
    Hostile("wheel set", "pin without a wheel", with_manifest(_incomplete), (R.MANIFEST,)),
    Hostile("wheel platform", "wheel for Windows", _wheel(tag="py3-none-win_amd64"), (R.WHEEL_PLATFORM,)),
    Hostile("wheel platform", "wheel for another Python", _wheel(tag="cp27-none-any"), (R.WHEEL_PLATFORM,)),
    Hostile("wheel platform", "extension for another processor", _wheel({"extra.abi3.so": _ARM}), (R.WHEEL_PLATFORM,)),
    Hostile("wheel shadows", "module of the standard library", _wheel({"json/__init__.py": b""}), (R.WHEEL_SHADOWS,)),
    Hostile("wheel shadows", "pytest by another name",
            _wheel({"_pytest/__init__.py": b""}), (R.WHEEL_SHADOWS, R.WHEEL)),
    Hostile("wheel shadows", "pip by another name", _wheel({"pip/__init__.py": b""}), (R.WHEEL_SHADOWS,)),
    Hostile("wheel shadows", "the project itself", _own, (R.WHEEL_SHADOWS,)),
    Hostile("wheel startup", "sitecustomize", _wheel({"sitecustomize.py": b""}), (R.WHEEL_STARTUP,)),
    Hostile("wheel startup", ".pth that runs code", _wheel({"evil.pth": b"import os\n"}), (R.WHEEL_STARTUP,)),
    Hostile("wheel startup", "known .pth of another distribution",
            _wheel({"distutils-precedence.pth": b"import os\n"}), (R.WHEEL_STARTUP,)),
    Hostile("wheel script", "script with an interpreter elsewhere",
            _wheel({"extra-1.0.data/scripts/evil": b"#!/tmp/evil/python\n"}), (R.WHEEL_SCRIPT,)),
)  # fmt: skip
