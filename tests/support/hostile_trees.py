"""Hostile packages whose files or manifest are not what they should be."""

import os
import shutil
import socket
import struct
from pathlib import Path

from models.refusals import RefusalReason as R
from tests.support.hostile_base import Craft, Hostile, Json, manifest_of, with_file, with_manifest, with_text


def _linked(name: str, target: str = "") -> Craft:
    """A part of the package that is a link, to what it was or to `target`."""

    def craft(package: Path, aside: Path) -> None:
        place = package / name
        if target:
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
            place.symlink_to(target)
            return
        place.rename(aside / "moved")
        place.symlink_to(aside / "moved")

    return craft


def _piped(name: str) -> Craft:
    def craft(package: Path, _: Path) -> None:
        (package / name).unlink(missing_ok=True)
        os.mkfifo(package / name)

    return craft


def _socket(package: Path, _: Path) -> None:
    here = os.getcwd()
    os.chdir(package / "packages")
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("s-1.0-py3-none-any.whl")
    finally:
        os.chdir(here)


def _device(package: Path, _: Path) -> None:
    os.mknod(package / "packages" / "zero-1.0-py3-none-any.whl", 0o020644, os.makedev(1, 5))


def _sparse(name: str, size: int) -> Craft:
    def craft(package: Path, _: Path) -> None:
        with (package / name).open("ab") as file:
            file.truncate(size)

    return craft


def _many(count: int) -> Craft:
    def craft(package: Path, _: Path) -> None:
        folder = package / "repo" / "refs" / "heads"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            os.close(os.open(folder / f"b{number}", os.O_CREAT | os.O_WRONLY))

    return craft


def _deep(package: Path, _: Path) -> None:
    place = package / "repo" / "refs" / "heads"
    place.joinpath(*["d"] * 60).mkdir(parents=True)


def _long(package: Path, _: Path) -> None:
    place = package / "repo" / "refs" / "heads"
    place.joinpath(*["d" * 200] * 3).mkdir(parents=True)


def _case(package: Path, _: Path) -> None:
    wheel = next((package / "packages").iterdir())
    shutil.copyfile(wheel, wheel.with_name(wheel.name.upper()))


def _setuid(package: Path, _: Path) -> None:
    next((package / "packages").iterdir()).chmod(0o4755)


def _marked(package: Path, _: Path) -> None:
    (package / "manifest.json").chmod(0o755)


def _set(*path: str | int, value: object) -> Craft:
    def change(manifest: Json) -> None:
        place: object = manifest
        for step in path[:-1]:
            place = place[step]  # type: ignore[index]
        place[path[-1]] = value  # type: ignore[index]

    return with_manifest(change)


def _renamed(package: Path, _: Path) -> None:
    """Another name in the manifest, with the instances of the old one."""
    with_manifest(lambda manifest: manifest.update(name="other"))(package, package)


def _other_parent(manifest: Json) -> None:
    instance = manifest["instances"][0]
    instance["base_commit"] = manifest["head"] if instance["commit"] != manifest["head"] else "1" * 40


def _no_parent(package: Path, aside: Path) -> None:
    with_manifest(_other_parent)(package, aside)
    assert manifest_of(package)["instances"][0]["base_commit"]


_TAR = bytes(257) + b"ustar\x0000" + bytes(300)
_GENERATED = f"generated/{'a' * 64}.py"

TREES = (
    Hostile("links", "wheel that is /dev/zero",
            _linked("packages/z-1.0-py3-none-any.whl", "/dev/zero"), (R.NOT_A_FILE,)),
    Hostile("links", "clone elsewhere", _linked("repo"), (R.NOT_A_FILE,)),
    Hostile("links", "manifest elsewhere", _linked("manifest.json"), (R.NOT_A_FILE,)),
    Hostile("links", "folder that is its own parent", _linked("generated", ".."), (R.NOT_A_FILE,)),
    Hostile("special files", "manifest that is a pipe", _piped("manifest.json"), (R.NOT_A_FILE,)),
    Hostile("special files", "HEAD that is a pipe", _piped("repo/HEAD"), (R.NOT_A_FILE,)),
    Hostile("special files", "socket", _socket, (R.NOT_A_FILE,)),
    Hostile("special files", "device", _device, (R.NOT_A_FILE,), as_root=True),
    Hostile("special files", "setuid wheel", _setuid, (R.PRIVILEGED,)),
    Hostile("sizes", "file of a tebibyte", _sparse("packages/x-1.0-py3-none-any.whl", 1 << 40), (R.TOO_LARGE,)),
    Hostile("sizes", "manifest of 500 MB", _sparse("manifest.json", 500_000_000), (R.TOO_LARGE,)),
    Hostile("sizes", "packed-refs of a gibibyte", _sparse("repo/packed-refs", 1 << 30), (R.TOO_LARGE,)),
    Hostile("sizes", "HEAD of a mebibyte", _sparse("repo/HEAD", 1 << 20), (R.TOO_LARGE,)),
    Hostile("counts", "100,000 small files", _many(100_000), (R.TOO_MANY_FILES,)),
    Hostile("depth", "60 folders inside each other", _deep, (R.TOO_DEEP,)),
    Hostile("depth", "long path", _long, (R.TOO_LONG,)),
    Hostile("names", "names that differ in case", _case, (R.NAME_COLLISION,)),
    Hostile("names", "decomposed name (NFD)",
            with_file("packages/cafe\u0301-1.0-py3-none-any.whl", b"PK"), (R.BAD_NAME,)),
    Hostile("names", "right-to-left override", with_file("packages/\u202elhw.1", b""), (R.BAD_NAME,)),
    Hostile("names", "newline", with_file("packages/a\nb.whl", b""), (R.BAD_NAME,)),
    Hostile("names", "option", with_file("-rf", b""), (R.BAD_NAME,)),
    Hostile("names", "not UTF-8", with_file("packages/\udcff.whl", b""), (R.BAD_NAME,)),
    Hostile("names", "device of Windows", with_file("packages/con.whl", b""), (R.BAD_NAME,)),
    Hostile("names", "dot at the end", with_file("packages/a.whl.", b""), (R.BAD_NAME,)),
    Hostile("names", "zero-width character", with_file("packages/a\u200b.whl", b""), (R.BAD_NAME,)),
    Hostile("foreign files", "autorun", with_file("autorun.inf", b"[autorun]\nopen=evil.exe\n"), (R.EXECUTABLE,)),
    Hostile("foreign files", "desktop entry", with_file("packages/.desktop", b"[Desktop Entry]\n"), (R.EXECUTABLE,)),
    Hostile("foreign files", "shell script", with_file("install.sh", b"echo\n"), (R.EXECUTABLE,)),
    Hostile("foreign files", "notes", with_file("README.md", b"hello\n"), (R.FOREIGN_FILE,)),
    Hostile("foreign files", "hidden folder", with_file(".git/config", b""), (R.FOREIGN_FILE,)),
    Hostile("foreign files", "generated test of no instance", with_file(_GENERATED, b"x = 1\n"), (R.FOREIGN_FILE,)),
    Hostile("executables", "ELF among the refs",
            with_file("repo/refs/heads/x", b"\x7fELF" + bytes(60)), (R.EXECUTABLE,)),
    Hostile("executables", "PE as timings", with_file("timings.json", b"MZ" + bytes(60)), (R.EXECUTABLE,)),
    Hostile("executables", "Mach-O as timings",
            with_file("timings.json", struct.pack("<I", 0xFEEDFACF)), (R.EXECUTABLE,)),
    Hostile("executables", "script as generated test", with_file(_GENERATED, b"#!/bin/sh\n"), (R.FOREIGN_FILE,)),
    Hostile("executables", "manifest marked as executable", _marked, (R.EXECUTABLE,)),
    Hostile("archives", "zip beside the manifest", with_file("more.zip", b"PK\x05\x06" + bytes(18)), (R.ARCHIVE,)),
    Hostile("archives", "zip as generated test", with_file(_GENERATED, b"PK\x03\x04"), (R.FOREIGN_FILE,)),
    Hostile("archives", "tar as timings", with_file("timings.json", _TAR), (R.ARCHIVE,)),
    Hostile("archives", "zstandard as timings", with_file("timings.json", b"\x28\xb5\x2f\xfd"), (R.ARCHIVE,)),
    Hostile("archives", "wheel that is a gzip",
            with_file("packages/tiny-1.0-py3-none-any.whl", b"\x1f\x8b"), (R.ARCHIVE, R.WHEEL_SET)),
    Hostile("archives", "sources among the wheels", with_file("packages/x-1.0.tar.gz", b"\x1f\x8b"), (R.ARCHIVE,)),
    Hostile("manifest text", "field twice",
            with_text(lambda raw: raw.replace('"name":', '"name": "x", "name":', 1)), (R.SCHEMA,)),
    Hostile("manifest text", "NaN",
            with_text(lambda raw: raw.replace('"total": ', '"total": NaN, "x": ', 1)), (R.SCHEMA,)),
    Hostile("manifest text", "nested 100,000 deep", with_text(lambda _: "[" * 100_000 + "]" * 100_000), (R.SCHEMA,)),
    Hostile("manifest text", "another schema version", _set("schema_version", value=2), (R.SCHEMA,)),
    Hostile("manifest text", "number of 100,000 digits",
            with_text(lambda raw: raw.replace('"total": ', '"total": 1' + "0" * 100_000, 1)), (R.SCHEMA,)),
    Hostile("manifest text", "ten million values",
            with_text(lambda raw: raw.replace("{", '{"x": [' + "1," * 10_000_000 + "1], ", 1)), (R.SCHEMA,)),
    Hostile("manifest text", "not UTF-8", with_text(lambda raw: raw.encode().replace(b"MIT", b"\xff")), (R.SCHEMA,)),
    Hostile("manifest text", "unknown field", _set("hook", value="touch /tmp/x"), (R.SCHEMA,)),
    Hostile("manifest values", "name that climbs", _set("name", value="../x"), (R.MANIFEST,)),
    Hostile("manifest values", "name of dots", _set("name", value=".."), (R.MANIFEST,)),
    Hostile("manifest values", "huge count", _set("funnel", "total", value=10**30), (R.SCHEMA, R.MANIFEST)),
    Hostile("manifest values", "another test command", _set("test_command", value=["sh", "-c", "x"]), (R.MANIFEST,)),
    Hostile("manifest values", "source with a helper", _set("source", value="ext::sh -c x"), (R.MANIFEST,)),
    Hostile("manifest values", "lock with another index",
            _set("environments", 0, "lock", value="--index-url https://evil.example/\n"), (R.MANIFEST,)),
    Hostile("identity", "another name than its instances", _renamed, (R.IDENTITY,)),
    Hostile("identity", "base that is no parent", _no_parent, (R.IDENTITY, R.MANIFEST)),
    Hostile("identity", "head that is not there", _set("head", value="1" * 40), (R.IDENTITY,)),
    Hostile("identity", "file that the commit leaves alone",
            _set("instances", 0, "production_files", value=["setup.py"]), (R.IDENTITY,)),
)  # fmt: skip
