"""A bundle checked before anything of it is unpacked: signature, names, every chunk, every file over its chunks.

It is the whole in one folder, some of its parts in one folder, or one part alone. Anything that the manifest does not
list is refused: another file, a link, a device, a name in another case.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from exchange.bundle.layout import (
    BUNDLE,
    KEY,
    MANIFEST,
    MANIFEST_BYTES,
    PART,
    BundledFile,
    BundleManifest,
    chunk_path,
    part_name,
    read_manifest,
)
from exchange.bundle.signature import check_bundle_signature
from exchange.folders import FileEntry, check_file, check_names, plain_files, read_manifest_file
from models.errors import UsageError
from training.adapters.registry.signing import SIGNATURE

_MOST_FILES = 5_000_000
_SIGNED = tuple(f"{MANIFEST}/{name}" for name in (BUNDLE, KEY, SIGNATURE))
Listener = Callable[[str, int, int], None]


class Verified(NamedTuple):
    """An intact bundle, or the parts of it that are here. `whole`: files all of whose content was read, `elsewhere`:
    files that need a part or an earlier bundle that was not given; `from_base`: chunks that the earlier one holds."""

    manifest: BundleManifest
    fingerprint: str
    parts: tuple[int, ...]
    bytes: int
    whole: int
    elsewhere: int
    from_base: int

    @property
    def missing(self) -> tuple[int, ...]:
        """The parts that are not here."""
        return tuple(number for number in self.manifest.parts if number not in self.parts)


def verify_bundle(folder: Path, listen: Listener, *, key: Path | None = None, base: Path | None = None) -> Verified:
    """Check a bundle, or one part of it, with the key that is trusted (its own, if none is given, whose fingerprint a
    person compares), and with the earlier bundle that it goes on top of.

    Raises UsageError naming the first thing that is altered or not listed, or what is missing of a folder that is not
    one part; RegistryError for the signature.
    """
    bundle = _open(folder, key)
    found = dict(bundle.chunks)
    if base is not None:
        earlier = _open(base, key)
        if earlier.manifest.id != bundle.manifest.base:
            raise UsageError(f"--base {base} is {earlier.manifest.id[:16]}, and {folder} goes on top of "
                             f"{(bundle.manifest.base or 'none')[:16]}; give that one")  # fmt: skip
        found = {name: place for name, place in earlier.chunks.items() if name in bundle.manifest.chunks} | found
    whole, elsewhere, size = _check_content(bundle.manifest, found, listen)
    if bundle.collected and (lost_parts := [n for n in bundle.manifest.parts if n not in bundle.parts]):
        names = ", ".join(map(part_name, lost_parts))
        raise UsageError(f"{folder}: what is here is intact, but {names} of this bundle is missing; copy it here too")
    given = [name for name, chunk in bundle.manifest.chunks.items() if chunk.part is None]
    if base is not None and (lost := [name for name in given if name not in found]):
        raise UsageError(f"--base {base}: chunk {lost[0]} is not in it; give the whole bundle that is before it")
    return Verified(bundle.manifest, bundle.fingerprint, bundle.parts, size, whole, elsewhere, len(given))


class _Opened(NamedTuple):
    manifest: BundleManifest
    fingerprint: str
    parts: tuple[int, ...]
    collected: bool
    chunks: dict[str, Path]


def _open(folder: Path, key: Path | None) -> _Opened:
    """A bundle whose manifest and plain files were checked, and that has the names that it must have, no others."""
    found = plain_files(folder, most=_MOST_FILES)
    numbers = {int(match[1]): name for name in _tops(found) if (match := PART.fullmatch(name))}
    root = folder if _SIGNED[0] in found else folder / next(iter(sorted(numbers.values())), "")
    content = read_manifest_file(root / _SIGNED[0], MANIFEST_BYTES)
    fingerprint = check_bundle_signature(root, key)
    manifest = read_manifest(content, str(root / _SIGNED[0]))
    alone = _part_alone(manifest, found) if not numbers and manifest.part_bytes is not None else None
    parts = (alone,) if alone is not None else tuple(sorted(numbers))
    if unknown := sorted(set(parts) - set(manifest.parts)):
        raise UsageError(f"{folder}: {part_name(unknown[0])} is no part of this bundle; remove it")
    places = {number: "" if alone is not None else f"{part_name(number)}/" for number in parts}
    copies = _copies(manifest, places, found)
    chunks = {
        name: f"{places[chunk.part]}{chunk_path(name)}"
        for name, chunk in manifest.chunks.items()
        if chunk.part in places
    }
    listed = [f"{top}{name}" for top in copies for name in (*_SIGNED, *manifest.plain)]
    check_names(folder, found, {*listed, *chunks.values()})
    _check_folders(folder, {*listed, *chunks.values()})
    for top in copies:
        _check_copy(folder / top, root, manifest)
    return _Opened(manifest, fingerprint, parts, alone is None, {name: folder / path for name, path in chunks.items()})


def _tops(found: set[str]) -> set[str]:
    return {path.partition("/")[0] for path in found if "/" in path}


def _part_alone(manifest: BundleManifest, found: set[str]) -> int | None:
    """The number of the part that a folder holds, by a chunk in it; None if it holds none."""
    names = (PurePosixPath(path).name for path in sorted(found))
    held = (manifest.chunks[name].part for name in names if name in manifest.chunks)
    return next((number for number in held if number is not None), None)


def _copies(manifest: BundleManifest, places: Mapping[int, str], found: set[str]) -> list[str]:
    """Where copies of the manifest and of the plain files must be: in the folder itself, unless it only collects parts,
    and in each part of a bundle that has a limit on them."""
    tops = ["", *places.values()] if manifest.part_bytes is not None else [""]
    if any(places.values()) and not any("/" not in path or path.startswith(f"{MANIFEST}/") for path in found):
        tops.remove("")
    return list(dict.fromkeys(tops))


def _check_folders(folder: Path, listed: set[str]) -> None:
    """Raise UsageError for a folder in which nothing is listed."""
    wanted = {str(parent) for path in listed for parent in PurePosixPath(path).parents}
    for path, folders, _ in os.walk(folder):
        for name in folders:
            below = (Path(path) / name).relative_to(folder).as_posix()
            if below not in wanted:
                raise UsageError(f"{folder}: the folder {below!a} is not in the manifest; remove it")


def _check_copy(folder: Path, root: Path, manifest: BundleManifest) -> None:
    """Raise UsageError unless a copy of manifest and plain files is as the manifest that was read, and as it says."""
    for name in _SIGNED:
        if read_manifest_file(folder / name, MANIFEST_BYTES) != read_manifest_file(root / name, MANIFEST_BYTES):
            raise UsageError(f"{folder / name} differs from {root / name}; copy the parts of one bundle")
    for name, entry in manifest.plain.items():
        check_file(folder / name, entry)


def _check_content(manifest: BundleManifest, found: Mapping[str, Path], listen: Listener) -> tuple[int, int, int]:
    """Compare every chunk that is here with its hash, and every file with that of its chunks in order; returns how many
    files are here in whole, how many are not, and the bytes that were read."""
    total, done, whole = sum(manifest.chunks[name].bytes for name in found), 0, 0
    checked: set[str] = set()
    for path, entry in sorted(manifest.files.items()):
        complete = all(name in found for name in entry.chunks)
        digest = hashlib.sha256()
        for name in _to_read(entry, found, checked, complete=complete):
            size = manifest.chunks[name].bytes
            check_file(found[name], FileEntry(bytes=size, sha256=name), also=digest if complete else None)
            done += 0 if name in checked else size
            checked.add(name)
            listen("verifying", done, total)
        single = len(entry.chunks) == 1
        if complete and (entry.chunks[0] if single else digest.hexdigest()) != entry.sha256:
            raise UsageError(f"{path!a} is not what its chunks give; make the bundle again")
        whole += complete
    return whole, len(manifest.files) - whole, done


def _to_read(entry: BundledFile, found: Mapping[str, Path], checked: set[str], *, complete: bool) -> Iterator[str]:
    """The chunks of a file that must be read: all of a file of several chunks, else those that were not read before."""
    again = complete and len(entry.chunks) > 1
    return (name for name in entry.chunks if name in found and (again or name not in checked))
