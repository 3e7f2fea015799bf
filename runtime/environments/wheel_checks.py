"""Acceptance of wheels: every installer must read them in the same way, and only into their own folders."""

import base64
import configparser
import csv
import hashlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import HeaderParser
from functools import lru_cache
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from models.errors import WheelError
from runtime.environments.wheel_archive import (
    check_archive,
    check_collisions,
    check_end,
    check_member,
    content,
    pieces,
)
from runtime.environments.wheel_places import check_overlaps, check_script, place

CHECKS = 3
"""Raised whenever a wheel that was accepted could be refused."""

_UNREADABLE = (
    zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError, zlib.error, csv.Error,
)  # fmt: skip
_RECORD_BYTES = 64 << 20
_METADATA_BYTES = 16 << 20
_BUILT_BYTES = 512 << 20
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
_HASHES = ("sha256", "sha384", "sha512")
_HEX = re.compile("[0-9a-f]+")


def sha256(path: Path) -> str:
    """A file's SHA-256. Raises WheelError if it is missing or not a regular file."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise WheelError(f"{path.name} in {path.parent} is no plain file; run `cra prepare` again")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise WheelError(f"{path.name} is missing from {path.parent}; run `cra prepare` again") from error


def known_sha256(path: Path) -> str:
    """`sha256`, cached until the file changes."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return sha256(path)
    return _known(path, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=4096)
def _known(path: Path, *_: int) -> str:
    return sha256(path)


def check_wheel(path: Path, digest: str) -> None:
    """Accept a wheel or raise WheelError.

    Refused are: a missing file, another hash, and what `check_contents` refuses. `.pth` files are accepted: they run at
    every start of an interpreter, but only inside the sandbox, like everything else in a wheel.
    """
    if sha256(path) != digest:
        raise WheelError(f"{path.name} has another SHA-256 than expected ({digest[:12]}...); fetch it again")
    check_contents(path)


def check_contents(path: Path, *, hashes_known: bool = False) -> dict[str, str]:
    """The hash (in RECORD's form) of each file of a wheel by its place in an environment.

    With `hashes_known` the files' contents are not read again: the wheel was checked before.

    Raises WheelError for an archive that two programs may read differently or that unpacks to too much, for contents
    that differ from RECORD, names and versions that differ from the file's name, files among the environment's own, and
    paths that some file systems treat as one.
    """
    with _opened(path) as (archive, stream):
        check_archive(path, archive)
        infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        distribution, version = _named(path.name)
        folder = _info_folder(path.name, infos, distribution, version)
        hashes = _check_record(path.name, stream, infos, folder, read=not hashes_known)
        _check_metadata(path.name, stream, infos, folder, distribution, version)
        scripts = _scripts(path.name, stream, infos.get(f"{folder}/entry_points.txt"))
    return _placed(path.name, distribution, hashes, scripts)


def check_built(path: Path) -> None:
    """Accept a wheel built in the sandbox, or raise WheelError.

    A back end may omit RECORD: it would be the same back end's claim. Everything else is as for other wheels.
    """
    with _opened(path) as (archive, _):
        check_archive(path, archive)
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if any(_RECORD.fullmatch(name) for name in names):
        check_contents(path)
    else:
        distribution, _ = _named(path.name)
        _placed(path.name, distribution, dict.fromkeys(names, ""), [])


def wheel_contents(path: Path) -> dict[str, bytes]:
    """The files of a wheel built in the sandbox, by path, if it is accepted (`check_built`). Raises WheelError."""
    check_built(path)
    with _opened(path) as (archive, stream):
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if sum(info.file_size for info in infos) > _BUILT_BYTES:
            raise WheelError(f"{path.name} unpacks to more than {_BUILT_BYTES >> 20} MiB")
        return {info.filename: b"".join(pieces(path.name, stream, info)) for info in infos}


def _placed(wheel: str, distribution: str, hashes: dict[str, str], scripts: list[str]) -> dict[str, str]:
    """The hash of each file by its place; commands created by installers are places as well."""
    placed: dict[str, str] = {}
    for name, digest in hashes.items():
        target = place(wheel, distribution, name)
        if target in placed:
            raise WheelError(f"{wheel} brings two files to {target!a}")
        placed[target] = digest
    for script in scripts:
        check_script(wheel, distribution, script)
        if f"bin/{script}" in placed:
            raise WheelError(f"{wheel} brings two files to {f'bin/{script}'!a}")
        placed[f"bin/{script}"] = f"{wheel}:{script}"
    check_collisions(wheel, list(placed))
    return placed


def check_together(wheels: dict[Path, str]) -> None:
    """Raise WheelError when two of an environment's wheels bring different files to one place."""
    check_overlaps((path.name, _places(path, digest)) for path, digest in wheels.items())


@lru_cache(maxsize=512)
def _places(path: Path, digest: str) -> dict[str, str]:
    del digest  # part of the cache key
    return check_contents(path, hashes_known=True)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, io.BufferedReader]]:
    try:
        check_end(path)
        with path.open("rb") as stream, zipfile.ZipFile(path) as archive:
            yield archive, stream
    except _UNREADABLE as error:
        raise WheelError(f"{path.name} is no readable wheel: {error}") from error


def _named(wheel: str) -> tuple[str, Version]:
    try:
        name, version, _, _ = parse_wheel_filename(wheel)
    except ValueError as error:
        raise WheelError(f"{wheel[:80]!a} is no wheel's file name") from error
    return name, version


def _info_folder(wheel: str, infos: dict[str, zipfile.ZipInfo], distribution: str, version: Version) -> str:
    """The folder of a wheel's metadata, which must have the wheel's name and version."""
    records = [name for name in infos if _RECORD.fullmatch(name)]
    if len(records) != 1:
        raise WheelError(f"{wheel} has {len(records)} RECORD files where one belongs")
    folder = records[0].partition("/")[0]
    name, _, written = folder.removesuffix(".dist-info").partition("-")
    if canonicalize_name(name) != distribution or not _same_version(written, version):
        raise WheelError(f"{wheel} has the metadata folder {folder!a}, which is of another name or version")
    return folder


def _same_version(written: str, version: Version) -> bool:
    try:
        return Version(written.replace("_", "-")) == version
    except ValueError:
        return False


def _check_record(
    wheel: str, stream: io.BufferedReader, infos: dict[str, zipfile.ZipInfo], folder: str, *, read: bool
) -> dict[str, str]:
    """The hash of each file; RECORD must have a row for each, and none for anything else."""
    record = f"{folder}/RECORD"
    rows: dict[str, tuple[str, str]] = {}
    for row in csv.reader(content(wheel, stream, infos[record], _RECORD_BYTES).decode().splitlines()):
        if len(row) != 3 or row[0] in rows:
            raise WheelError(f"{wheel} has a malformed line in RECORD: {','.join(row)[:80]!a}")
        rows[row[0]] = (_in_base64(row[1]), row[2])
    unsigned = {record, *(f"{record}.{suffix}" for suffix in ("jws", "p7s"))}
    if different := (infos.keys() - unsigned) ^ (rows.keys() - unsigned):
        raise WheelError(f"{wheel} and its RECORD disagree about {min(different)[:80]!a}")
    if any(rows.get(record, ("", ""))):
        raise WheelError(f"{wheel} gives its RECORD a hash in RECORD")
    signed = sorted(infos.keys() - unsigned)
    for name in signed if read else ():
        _check_row(wheel, stream, infos[name], *rows[name])
    return {name: rows[name][0].rstrip("=") for name in signed} | {
        name: f"{wheel}:{name}" for name in unsigned & infos.keys()
    }


def _in_base64(hashed: str) -> str:
    """A row's hash as the specification spells it; early releases of uv_build wrote hexadecimal digits."""
    algorithm, _, value = hashed.partition("=")
    if algorithm not in _HASHES or len(value) != 2 * hashlib.new(algorithm).digest_size or not _HEX.fullmatch(value):
        return hashed
    return f"{algorithm}={base64.urlsafe_b64encode(bytes.fromhex(value)).decode()}"


def _check_row(wheel: str, stream: io.BufferedReader, info: zipfile.ZipInfo, hashed: str, size: str) -> None:
    algorithm, _, value = hashed.partition("=")
    if algorithm not in _HASHES:
        raise WheelError(f"{wheel} has no safe hash for {info.filename!a} in RECORD")
    if size and size != str(info.file_size):
        raise WheelError(f"{wheel} gives {info.filename!a} the size {size[:20]!a} in RECORD, it has {info.file_size}")
    digest = hashlib.new(algorithm)
    for piece in pieces(wheel, stream, info):
        digest.update(piece)
    actual = base64.urlsafe_b64encode(digest.digest()).decode()
    if actual.rstrip("=") != value.rstrip("="):
        raise WheelError(f"{wheel} holds another {info.filename!a} than its RECORD says")


def _check_metadata(
    wheel: str,
    stream: io.BufferedReader,
    infos: dict[str, zipfile.ZipInfo],
    folder: str,
    distribution: str,
    version: Version,
) -> None:
    for needed in (f"{folder}/METADATA", f"{folder}/WHEEL"):
        if needed not in infos:
            raise WheelError(f"{wheel} lacks {needed}")
    raw = content(wheel, stream, infos[f"{folder}/METADATA"], _METADATA_BYTES).decode(errors="replace")
    headers = HeaderParser().parsestr(raw)
    names, versions = headers.get_all("Name", []), headers.get_all("Version", [])
    if len(names) != 1 or canonicalize_name(str(names[0]).strip()) != distribution:
        raise WheelError(f"{wheel} has METADATA for the name {str(names)[:80]!a}")
    if len(versions) != 1 or not _same_version(str(versions[0]).strip(), version):
        raise WheelError(f"{wheel} has METADATA for the version {str(versions)[:80]!a}")


def _scripts(wheel: str, stream: io.BufferedReader, info: zipfile.ZipInfo | None) -> list[str]:
    """Names of the commands created by installers."""
    if info is None:
        return []
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"), strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # case counts
    try:
        parser.read_string(content(wheel, stream, info, _METADATA_BYTES).decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise WheelError(
            f"{wheel} has entry points that cannot be read: {str(error).splitlines()[0][:80]!a}"
        ) from error
    groups = [group for group in ("console_scripts", "gui_scripts") if parser.has_section(group)]
    return [name.strip() for group in groups for name in parser.options(group)]


def unpack_wheel(path: Path, destination: Path) -> None:
    """Write a wheel's files under `destination`, with the content of site-packages at its root.

    Paths and sizes are checked; permissions are reset. Raises WheelError.
    """
    with _opened(path) as (archive, stream):
        check_archive(path, archive)
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
            with target.open("wb") as file:
                for piece in pieces(path.name, stream, info):
                    file.write(piece)
