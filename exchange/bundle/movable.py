"""A CPython that runs wherever its tree lies: found out by running a copy, and made so where it is not.

An interpreter may take its own library, and those of its extension modules (OpenSSL, SQLite, libffi), from fixed places
of the machine that built it. In a copy these libraries are laid into `lib/`, and the search path that is stored in its
programs and libraries (DT_RPATH, DT_RUNPATH) is overwritten with one relative to them (`$ORIGIN`), as `chrpath` does.
Only what every installation has anyway is taken from the system: the C library and the compilers' libraries.
"""

import json
import os
import re
import shutil
import struct
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from host.process import run
from models.errors import UsageError

_PROBE = """
import ctypes, importlib, json, os, sys
import bz2, hashlib, lzma, sqlite3, ssl, venv, zlib

class Linked(ctypes.Structure):
    pass

Linked._fields_ = [("base", ctypes.c_void_p), ("name", ctypes.c_char_p), ("dynamic", ctypes.c_void_p),
                   ("next", ctypes.POINTER(Linked))]
failed = []
folder = os.path.join(os.path.dirname(os.__file__), "lib-dynload")
for name in sorted({file.partition(".")[0] for file in os.listdir(folder)} - set(sys.argv[1:])):
    try:
        importlib.import_module(name)
    except ImportError:
        failed.append(name)
loaded, libraries = ctypes.cast(ctypes.CDLL(None)._handle, ctypes.POINTER(Linked)), []
while loaded:
    libraries.append(os.fsdecode(loaded.contents.name))
    loaded = loaded.contents.next
print(json.dumps({"prefix": sys.prefix, "path": sys.path, "failed": failed, "libraries": libraries}))
"""
"""Imports all extension modules but those in the arguments, and prints what was loaded for them (the loader's list of
`struct link_map`)."""
DESKTOP = ("_tkinter", "nis")
"""Extension modules that need a desktop's or a network's libraries and their data, and are left out."""
_OF_THE_SYSTEM = re.compile(
    r"(ld-linux[a-z0-9_-]*|linux-vdso|lib(c|m|dl|rt|pthread|util|resolv|anl|nss_[a-z]+|gcc_s|stdc\+\+))\.so(\.[0-9]+)*"
)
_SECONDS = 120.0
_LOAD, _DYNAMIC = 1, 2
_NULL, _STRINGS, _RPATH, _RUNPATH = 0, 5, 15, 29


class _Probed(NamedTuple):
    """What an interpreter says of itself: `failed` are extension modules that cannot be imported."""

    prefix: Path
    path: list[Path]
    failed: list[str]
    libraries: list[Path]


def make_movable(program: Path, original: Path) -> None:
    """Make the tree of a copied interpreter (`<tree>/bin/python3.12`) need nothing outside of itself, and show it by
    running it.

    Raises InfrastructureError if it does not run, UsageError naming what it takes from elsewhere or cannot import.
    """
    tree = program.parents[1]
    found = _probed(program)
    if outside := _outside(found, tree):
        for library in outside:
            if not (tree / "lib" / library.name).exists():
                shutil.copyfile(library, tree / "lib" / library.name)
        for file in sorted(tree.rglob("*")):
            if file.is_file() and _is_elf(file):
                set_search_path(file, f"$ORIGIN/{os.path.relpath(tree / 'lib', file.parent)}")
        found = _probed(program)
    strange = [*(path for path in (found.prefix, *found.path) if not path.is_relative_to(tree)), *_outside(found, tree)]
    if strange:
        raise UsageError(f"needs {strange[0]}, which is outside of it")
    if lost := sorted(set(found.failed) - set(_probed(original).failed)):
        raise UsageError(f"cannot import {lost[0]} elsewhere")


def _probed(program: Path) -> _Probed:
    alone = {"LD_LIBRARY_PATH": "", "LD_PRELOAD": ""}
    argv = [str(program), "-I", "-S", "-B", "-c", _PROBE, *DESKTOP]
    said = run(argv, env=alone, timeout=_SECONDS)
    try:
        return TypeAdapter(_Probed).validate_python(json.loads(said))
    except (ValueError, ValidationError) as error:
        raise UsageError("does not say what it loads") from error


def _outside(found: _Probed, tree: Path) -> list[Path]:
    """The libraries that are neither in the tree nor every system's."""
    return [
        library
        for library in found.libraries
        if library.parts and not library.is_relative_to(tree) and not _OF_THE_SYSTEM.fullmatch(library.name)
    ]


def _is_elf(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(6) == b"\x7fELF\x02\x01"  # 64 bits, little-endian


def set_search_path(file: Path, path: str) -> None:
    """Overwrite the search path of a 64-bit ELF file that has one, as DT_RPATH: unlike DT_RUNPATH, it also holds for
    what the libraries found there need. Raises UsageError if the new path is longer than the old one."""
    content = bytearray(file.read_bytes())
    try:
        _overwrite(content, path.encode())
    except (struct.error, ValueError, StopIteration) as error:
        raise UsageError(f"has a search path in {file.name} that cannot be made {path} ({error})") from error
    file.write_bytes(content)


def _overwrite(content: bytearray, path: bytes) -> None:
    start, size, count = (*struct.unpack_from("<Q", content, 32), *struct.unpack_from("<HH", content, 54))
    # of each program header: type, offset in the file, address, bytes in the file
    headers = [struct.unpack_from("<I4xQQ8xQ", content, start + size * number) for number in range(count)]
    entries: dict[int, int] = {}
    for kind, offset, _, length in headers:
        for at in range(offset, offset + length, 16) if kind == _DYNAMIC else ():
            tag = struct.unpack_from("<q", content, at)[0]
            if tag == _NULL:
                break
            entries[tag] = at
    places = [entries[tag] for tag in (_RPATH, _RUNPATH) if tag in entries]
    if not places:
        return
    address = struct.unpack_from("<Q", content, entries[_STRINGS] + 8)[0]
    strings = next(
        offset + address - virtual
        for kind, offset, virtual, length in headers
        if kind == _LOAD and virtual <= address < virtual + length
    )
    for at in places:
        begin = strings + struct.unpack_from("<Q", content, at + 8)[0]
        end = content.index(b"\0", begin)
        if len(path) > end - begin:
            raise ValueError(f"it has {end - begin} bytes")
        content[begin:end] = path.ljust(end - begin, b"\0")
        struct.pack_into("<q", content, at, _RPATH)
