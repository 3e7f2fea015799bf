"""Checks of the files of a package that arrives: their names and kinds, then their first bytes. Nothing is run."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.packages.checks.findings import shown
from harness.packages.checks.reading import MAX_BYTES
from host.regular import read_start
from models.errors import PackageRefused
from models.intake import RefusalReason


class TreeFile(NamedTuple):
    """A file or folder of an arriving tree, as its file system lists it; `path` is relative to the package.

    Sizes are in bytes; `stored` is what the medium holds of it, 0 where the file system does not say.
    """

    path: str
    folder: bool
    size: int
    mode: int
    modified_ns: int
    changed_ns: int = 0
    stored: int = 0
    inode: int = 0


_NAME_BYTES = 255
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_DESKTOP = re.compile(
    r"autorun\.(inf|sh)|desktop\.ini|\.ds_store|\.directory|.*\.(desktop|lnk|url|scf|pif|msi|bat|cmd|ps1|vbs|com|exe|dll|so|dylib|sh)",
    re.IGNORECASE,
)
_ARCHIVES = re.compile(
    r".*\.(zip|tar|tgz|gz|bz2|tbz2|xz|txz|lzma|zst|7z|rar|iso|img|dmg|cab|jar|war|egg|deb|rpm|apk|appimage|whl|bundle)",
    re.IGNORECASE,
)
_LAYOUT = re.compile(
    r"manifest\.json|timings\.json|generated(/[0-9a-f]{64}\.py)?"
    r"|packages(/[A-Za-z0-9][A-Za-z0-9._+!~-]*\.(whl|tgz))?"
    r"|repo(/(HEAD|config|packed-refs|objects(/.+)?|refs(/(heads|tags)(/.+)?)?))?"
)
_KIB, _MIB = 1 << 10, 1 << 20
_MOST_BYTES = (
    (re.compile(r"manifest\.json"), MAX_BYTES),
    (re.compile(r"timings\.json|repo/packed-refs"), 64 * _MIB),
    (re.compile(r"repo/(HEAD|config)|repo/refs/.+|generated/.+"), 64 * _KIB),
)
"""Most bytes of files that are read whole."""
_EXECUTABLE_STARTS = {
    b"\x7fELF": "a program (ELF)",
    b"MZ": "a program (PE)",
    b"#!": "a script (#!)",
    b"\xfe\xed\xfa\xce": "a program (Mach-O)",
    b"\xfe\xed\xfa\xcf": "a program (Mach-O)",
    b"\xce\xfa\xed\xfe": "a program (Mach-O)",
    b"\xcf\xfa\xed\xfe": "a program (Mach-O)",
    b"\xca\xfe\xba\xbe": "a program (Mach-O or Java)",
    b"\0asm": "a program (WebAssembly)",
}
_ARCHIVE_STARTS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PK\x07\x08": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"MSCF": "cab",
    b"!<arch>": "ar",
    b"# v2 git bundle": "git bundle",
    b"# v3 git bundle": "git bundle",
}
_TAR_AT, _ISO_AT = 257, 0x8001
START_BYTES = _ISO_AT + 8
"""Bytes of a file's start by which its kind is known."""
END_BYTES = (1 << 16) + 22
"""Bytes of a zip's end in which its directory is named: the longest comment, and the record before it."""
_ZIP_END = b"PK\x05\x06"
_MOSTLY_HOLES, _LARGE = 8, 64 * _MIB


def check_names(entries: Iterable[TreeFile]) -> None:
    """Raise PackageRefused for the first name that a system may read differently, or two that some take for one."""
    seen: dict[str, str] = {}
    for entry in entries:
        name = entry.path.rpartition("/")[2]
        if why := bad_name(name):
            raise PackageRefused(RefusalReason.BAD_NAME, f"{shown(entry.path)} {why}; prepare the package again")
        key = unicodedata.normalize("NFKC", entry.path).casefold()
        if (other := seen.setdefault(key, entry.path)) != entry.path:
            raise PackageRefused(
                RefusalReason.NAME_COLLISION,
                f"{shown(other)} and {shown(entry.path)} are one name on some file systems; prepare the package again",
            )


def bad_name(name: str) -> str:
    """Why a name may mean something else on some system; "" if it does not."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    if not name.isprintable():
        return "holds a control, format or bidirectional character"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode's composed form (NFC)"
    if len(encoded) > _NAME_BYTES:
        return f"is longer than {_NAME_BYTES} bytes"
    if name.startswith("-") or name != name.strip() or name.endswith("."):
        return "begins with a dash, or begins or ends with a blank or ends with a dot"
    if _DEVICES.fullmatch(name):
        return "is the name of a device"
    return "holds a character that no file of a package has" if re.search(r'[\\:*?"<>|$`]', name) else ""


def check_layout(entries: Sequence[TreeFile]) -> None:
    """Raise PackageRefused for a file that is no part of a package, or that is executable by mode or name.

    File systems without modes (FAT) give all files the same one, so a mode says something only where files differ.
    """
    files = [entry for entry in entries if not entry.folder]
    marked = [entry for entry in files if entry.mode & 0o111]
    if marked and len(marked) < len(files):
        raise PackageRefused(
            RefusalReason.EXECUTABLE, f"{shown(marked[0].path)} is marked as executable; prepare the package again"
        )
    for entry in entries:
        name = entry.path.rpartition("/")[2]
        inside = entry.path.startswith("packages/")
        if not entry.folder and _DESKTOP.fullmatch(name):
            raise PackageRefused(
                RefusalReason.EXECUTABLE, f"{shown(entry.path)} is what a desktop or a shell would start; remove it"
            )
        if not entry.folder and _ARCHIVES.fullmatch(name) and not (inside and name.endswith((".whl", ".tgz"))):
            raise PackageRefused(RefusalReason.ARCHIVE, f"{shown(entry.path)} is an archive; remove it")
        if not _LAYOUT.fullmatch(entry.path):
            raise PackageRefused(
                RefusalReason.FOREIGN_FILE, f"{shown(entry.path)} is no part of a repo package; remove it"
            )
    _check_sizes(files)
    there = {entry.path: entry.folder for entry in entries}
    for needed, folder in (("manifest.json", False), ("repo", True), ("packages", True)):
        if there.get(needed) is not folder:
            raise PackageRefused(
                RefusalReason.NO_PACKAGE, f"{needed} is missing, or of another kind; make one with `cra prepare`"
            )


def _check_sizes(files: Iterable[TreeFile]) -> None:
    for entry in files:
        for pattern, most in _MOST_BYTES:
            if pattern.fullmatch(entry.path) and entry.size > most:
                raise PackageRefused(
                    RefusalReason.TOO_LARGE, f"{shown(entry.path)} has {entry.size} bytes; at most {most} are accepted"
                )


def check_holes(entries: Iterable[TreeFile]) -> None:
    """Raise PackageRefused for a large archive or pack of which the medium holds less than an eighth: what is left out
    is zeros, which no archive has. File systems that do not say what they hold say 0 of every file."""
    files = [entry for entry in entries if not entry.folder]
    if not any(entry.stored for entry in files):
        return
    for entry in files:
        dense = entry.path.startswith("packages/") or entry.path.endswith(".pack")
        if dense and entry.size >= _LARGE and entry.stored * _MOSTLY_HOLES < entry.size:
            raise PackageRefused(
                RefusalReason.TOO_LARGE,
                f"{shown(entry.path)} has {entry.size} bytes, of which the medium holds {entry.stored}: it is mostly "
                "holes; copy the package again",
            )


def check_starts(directory: Path, entries: Iterable[TreeFile]) -> None:
    """`check_start` of each file of a package."""
    for entry in entries:
        if not entry.folder:
            check_start(entry.path, read_start(directory / entry.path, START_BYTES))


def check_start(path: str, start: bytes) -> None:
    """Raise PackageRefused for a file that is a program, a script or an archive by its first bytes.

    In `packages/` files are archives, and have to be of the kind that they are named after.
    """
    if path.startswith("packages/"):
        wanted = b"PK\x03\x04" if path.endswith(".whl") else b"\x1f\x8b"
        if not start.startswith(wanted):
            raise PackageRefused(
                RefusalReason.ARCHIVE, f"{shown(path)} is no archive of its name's kind; fetch it again"
            )
        return
    for magic, kind in _EXECUTABLE_STARTS.items():
        if start.startswith(magic):
            raise PackageRefused(RefusalReason.EXECUTABLE, f"{shown(path)} is {kind}; remove it")
    if archive := _archive(start):
        raise PackageRefused(RefusalReason.ARCHIVE, f"{shown(path)} is an archive ({archive}); remove it")


def check_end(path: str, end: bytes) -> None:
    """Raise PackageRefused for a wheel without a zip's directory in its last bytes, at most END_BYTES."""
    if path.endswith(".whl") and _ZIP_END not in end:
        raise PackageRefused(
            RefusalReason.ARCHIVE, f"{shown(path)} has no directory of a zip at its end; fetch it again"
        )


def _archive(start: bytes) -> str:
    for magic, kind in _ARCHIVE_STARTS.items():
        if start.startswith(magic):
            return kind
    if start[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "tar"
    return "iso" if start[_ISO_AT : _ISO_AT + 5] == b"CD001" else ""
