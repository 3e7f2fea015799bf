"""The parts of a bundle, in one folder or in several: what is there, and that nothing else is."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .faults import InstallError
from .manifest import Manifest, read_manifest

_PART = re.compile(r"part-([0-9]{4,})")
_PAIR = re.compile(r"[0-9a-f]{2}")
SIGNATURES = frozenset({"statement.sig", "signing-key.pub"})
_SIGNED = SIGNATURES | {"bundle.json"}
_ENTRIES = 1_000_000

Trust = Callable[[Path], bytes]
"""From a folder manifest/ to the bytes of its manifest, if its signature is that of the trusted key."""


class Source(NamedTuple):
    """Where a chunk's bytes begin. `whole`: the file is that chunk and no more."""

    file: Path
    offset: int = 0
    whole: bool = True


class Chunks(NamedTuple):
    """The chunks at hand by hash, and the numbers of the bundle's parts that are wholly at hand."""

    sources: dict[str, Source]
    parts: set[int]


def find_chunks(content: bytes, manifest: Manifest, folders: list[Path], trust: Trust) -> Chunks:
    """The chunks in folders that are this bundle, a part of it, or a bundle that it continues.

    Raises InstallError for a folder of anything else, a file that is in no manifest, a link or a device.
    """
    found: dict[str, Source] = {}
    for folder in folders:
        signed = trust(folder / "manifest")
        if signed != content and manifest.base is None:
            raise InstallError(f"{folder} is a part of another bundle; give parts of this one")
        own = manifest if signed == content else read_manifest(signed)
        for place in (folder, *_part_folders(folder, own)):
            for name, path in _chunks_in(place, place != folder, signed, own).items():
                found.setdefault(name, Source(path))
    wanted = {number: [c for c, chunk in manifest.chunks.items() if chunk.part == number] for number in manifest.parts}
    return Chunks(found, {number for number, names in wanted.items() if all(name in found for name in names)})


def _part_folders(folder: Path, manifest: Manifest) -> list[Path]:
    """The folders of parts in a bundle's folder; in a part's folder there are none."""
    named = [(entry, _PART.fullmatch(entry.name)) for entry in _entries(folder)]
    return [Path(e.path) for e, part in named if part and int(part[1]) in manifest.parts and not e.is_symlink()]


def _chunks_in(folder: Path, inner: bool, signed: bytes, manifest: Manifest) -> dict[str, Path]:
    """The chunks that lie in a folder itself, all of one part. `inner`: it lies in a bundle's folder, whose parts are
    then looked at one by one."""
    chunks: dict[str, Path] = {}
    parts = set() if inner else {path.name for path in _part_folders(folder, manifest)}
    folders = {"/".join(path.split("/")[:depth]) for path in manifest.plain for depth in range(1, path.count("/") + 1)}
    pending = [folder]
    while pending:
        for entry in _entries(pending.pop()):
            path, mode = Path(entry.path), entry.stat(follow_symlinks=False).st_mode
            name = path.relative_to(folder).as_posix()
            if stat.S_ISDIR(mode):
                if name in folders or name == "manifest" or _PAIR.fullmatch(name):
                    pending.append(path)
                elif name not in parts:
                    raise InstallError(f"{str(path)!a} is not in the manifest; remove it")
            elif not stat.S_ISREG(mode):
                raise InstallError(f"{str(path)!a} is a link or a device, no plain file; remove it")
            elif entry.name in manifest.chunks and name == f"{entry.name[:2]}/{entry.name}":
                chunks[entry.name] = path
            elif name == "manifest/bundle.json" and path.read_bytes() != signed:
                raise InstallError(f"{path} is another bundle's; keep bundles apart")
            elif name not in manifest.plain and not (name.startswith("manifest/") and entry.name in _SIGNED):
                raise InstallError(f"{str(path)!a} is not in the manifest; remove it")
    named = _PART.fullmatch(folder.name)
    numbers = {manifest.chunks[name].part for name in chunks} | ({int(named[1])} if named and chunks else set())
    if len(numbers) > 1 or None in numbers:
        raise InstallError(f"{folder} holds chunks of other parts; copy the bundle again")
    return chunks


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    entries = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                entries.append(entry)
                if len(entries) > _ENTRIES:
                    raise InstallError(f"{folder} has more than {_ENTRIES} entries; this is no bundle")
    except OSError as error:
        raise InstallError(f"{folder} cannot be read: {error.strerror}; give a folder of the bundle") from error
    return sorted(entries, key=lambda entry: entry.name)
