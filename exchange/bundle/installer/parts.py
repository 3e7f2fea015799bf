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
_SIGNED = frozenset({"bundle.json", "statement.sig", "signing-key.pub"})
_FILES = 5_000_000

Trust = Callable[[Path], bytes]
"""From a folder manifest/ to the bytes of its manifest, if its signature is that of the trusted key."""


class Chunks(NamedTuple):
    """The chunks at hand by hash, and the numbers of the bundle's parts that are wholly at hand."""

    files: dict[str, Path]
    parts: set[int]


def find_chunks(content: bytes, manifest: Manifest, folders: list[Path], trust: Trust) -> Chunks:
    """The chunks in folders that are this bundle, a part of it, or the bundle that it continues.

    Raises InstallError for a folder of anything else, a file that is in no manifest, a link or a device.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        signed = trust(folder / "manifest")
        if signed != content and manifest.base is None:
            raise InstallError(f"{folder} is a part of another bundle; give parts of this one")
        own = manifest if signed == content else read_manifest(signed)
        for name, path in _listed(folder, signed, own).items():
            found.setdefault(name, path)
    wanted = {number: [c for c, chunk in manifest.chunks.items() if chunk.part == number] for number in manifest.parts}
    return Chunks(found, {number for number, names in wanted.items() if all(name in found for name in names)})


def _listed(folder: Path, signed: bytes, manifest: Manifest) -> dict[str, Path]:
    """The chunks of a bundle's folder or of one of its parts'."""
    part = _PART.fullmatch(folder.name)
    tops, chunks = _inspect(folder, folder, signed, manifest, int(part[1]) if part else None)
    for top in tops:
        number = _PART.fullmatch(top.name)
        if part or number is None or int(number[1]) not in manifest.parts:
            raise InstallError(f"{top} is not in the manifest; remove it")
        inner, more = _inspect(folder, top, signed, manifest, int(number[1]))
        if inner:
            raise InstallError(f"{inner[0]} is not in the manifest; remove it")
        chunks.update(more)
    return chunks


def _inspect(
    root: Path, folder: Path, signed: bytes, manifest: Manifest, number: int | None
) -> tuple[list[Path], dict[str, Path]]:
    """The folders that are not explained, and the chunks, of a bundle's folder (`number` None) or a part's."""
    others: list[Path] = []
    chunks: dict[str, Path] = {}
    above = {"/".join(path.split("/")[:depth]) for path in manifest.plain for depth in range(1, path.count("/") + 1)}
    pending = [folder]
    while pending:
        place = pending.pop()
        for entry in _entries(place):
            path = Path(entry.path)
            name = path.relative_to(folder).as_posix()
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                if name == "manifest" or name in above or (_PAIR.fullmatch(name) and number is not None):
                    pending.append(path)
                elif "/" in name:
                    raise InstallError(f"{str(path)!a} is not in the manifest; remove it")
                else:
                    others.append(path)
                continue
            if not stat.S_ISREG(mode):
                raise InstallError(f"{str(path)!a} is a link or a device, no plain file; remove it")
            chunk = manifest.chunks.get(entry.name)
            if chunk is not None and chunk.part == number and name == f"{entry.name[:2]}/{entry.name}":
                chunks[entry.name] = path
            elif name == "manifest/bundle.json":
                if path.read_bytes() != signed:
                    raise InstallError(f"{path} is that of another bundle than {root}'s; keep bundles apart")
            elif name not in manifest.plain and not (name.startswith("manifest/") and entry.name in _SIGNED):
                raise InstallError(f"{str(path)!a} is not in the manifest; remove it")
    return others, chunks


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = [entry for _, entry in zip(range(_FILES + 1), found)]  # noqa: B905 (Python 3.9 has no strict)
    except OSError as error:
        raise InstallError(f"{folder} cannot be read: {error.strerror}; give a folder of the bundle") from error
    if len(entries) > _FILES:
        raise InstallError(f"{folder} has more than {_FILES} entries; this is no bundle")
    return sorted(entries, key=lambda entry: entry.name)
