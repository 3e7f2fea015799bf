"""The manifest of a bundle, read strictly: one spelling, no unknown fields, no path that leaves the prefix."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from .faults import InstallError

CHUNK_BYTES = 256 << 20
CATEGORIES = frozenset(
    {"code", "wheel", "interpreter", "model", "adapter", "corpus", "database", "evaluation", "key", "document"}
)
OWN = frozenset({"env", "manifest", "incoming", "journal", "installed.json"})
"""Names in a version's folder that the installer itself makes."""
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))})
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FileEntry(NamedTuple):
    """A file that is laid at a path below the prefix; its chunks, in order, are its content."""

    category: str
    bytes: int
    sha256: str
    executable: bool
    chunks: list[str]


class ChunkEntry(NamedTuple):
    """A chunk. `part`: the number of the part that holds it; None: an earlier bundle does."""

    bytes: int
    part: int | None


class Manifest(NamedTuple):
    """A bundle's manifest; `plain` maps a file beside the parts to its hash."""

    name: str
    base: str | None
    python: str
    platform: str
    extras: list[str]
    files: dict[str, FileEntry]
    folders: list[str]
    chunks: dict[str, ChunkEntry]
    plain: dict[str, str]

    @property
    def parts(self) -> list[int]:
        """The numbers of the parts, from 1."""
        return sorted({chunk.part for chunk in self.chunks.values() if chunk.part is not None})


def read_manifest(content: bytes) -> Manifest:
    """A manifest from its bytes. Raises InstallError if they are none, or contradict themselves."""
    try:
        value = json.loads(content.decode("ascii"), object_pairs_hook=_once)
        spelled = (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")
    except (ValueError, RecursionError) as error:
        raise InstallError(f"bundle.json is no manifest ({error}); copy the bundle again") from error
    if spelled != content:
        raise InstallError("bundle.json is not in the spelling that bundles have; copy the bundle again")
    try:
        manifest = _manifest(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InstallError(f"bundle.json is no manifest of this version ({error}); use its own installer") from error
    _check_paths(manifest)
    _check_chunks(manifest)
    return manifest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name is given twice")
    return dict(pairs)


def _manifest(value: dict[str, Any]) -> Manifest:
    _fields(value, "base chunks extras files folders name part_bytes platform plain python version")
    if _whole(value["version"], 1) != 1:
        raise ValueError(f"version {value['version']!a}")
    files = {}
    for path, entry in value["files"].items():
        _fields(entry, "bytes category chunks executable sha256")
        if entry["category"] not in CATEGORIES or not isinstance(entry["executable"], bool):
            raise ValueError(f"{path!a}: category {entry['category']!a}")
        names = [_sha256(name) for name in entry["chunks"]]
        files[path] = FileEntry(
            entry["category"], _whole(entry["bytes"], 0), _sha256(entry["sha256"]), entry["executable"], names
        )
    chunks = {}
    for name, entry in value["chunks"].items():
        _fields(entry, "bytes part")
        part = entry["part"] if entry["part"] is None else _whole(entry["part"], 1)
        chunks[_sha256(name)] = ChunkEntry(_whole(entry["bytes"], 1), part)
    for entry in value["plain"].values():
        _fields(entry, "bytes sha256")
    return Manifest(
        name=_matching(value["name"], r"[A-Za-z0-9._+-]{1,100}"),
        base=None if value["base"] is None else _sha256(value["base"]),
        python=_matching(value["python"], r"3\.[0-9]{1,2}"),
        platform=_matching(value["platform"], r"[a-z0-9_-]{1,60}"),
        extras=[_matching(extra, r"[a-z0-9-]{1,40}") for extra in value["extras"]],
        files=files,
        folders=[_matching(folder, r"(?s).+") for folder in value["folders"]],
        chunks=chunks,
        plain={path: _sha256(entry["sha256"]) for path, entry in value["plain"].items()},
    )


def _fields(value: dict[str, Any], names: str) -> None:
    if sorted(value) != sorted(names.split()):
        raise ValueError(f"fields {sorted(value)}")


def _whole(value: Any, least: int) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{value!a} is no whole number from {least}")
    return value


def _matching(value: Any, pattern: str) -> str:
    if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
        raise ValueError(f"{str(value)[:80]!a} is not of the form expected")
    return value


def _sha256(value: Any) -> str:
    return _matching(value, _SHA256.pattern)


def path_fault(path: str) -> str:
    """Why a path may not be laid below a prefix; "" if it may."""
    parts = PurePosixPath(path).parts
    if not 0 < len(path) <= 1000 or "/".join(parts) != path or path.startswith("/") or ".." in parts:
        return "is no path below the prefix"
    if not path.isprintable() or "\\" in path or any(len(part.encode()) > 255 for part in parts):
        return "has a character or a length that file systems differ on"
    if any(part.lower().partition(".")[0] in _RESERVED for part in parts):
        return "has a name that some file systems reserve"
    return "is a name of the installer's own" if parts[0].lower() in OWN else ""


def _check_paths(manifest: Manifest) -> None:
    """Raise InstallError for paths that leave the prefix, or that some file system takes for the same."""
    seen: dict[str, str] = {}
    for path in [*manifest.files, *manifest.folders, *manifest.plain]:
        if why := path_fault(path):
            raise InstallError(f"bundle.json: {path[:200]!a} {why}; do not install this bundle")
    for path in [*manifest.files, *manifest.folders]:
        for above in [path, *(str(each) for each in PurePosixPath(path).parents if str(each) != ".")]:
            other = seen.setdefault(unicodedata.normalize("NFC", above).casefold(), above)
            if other != above:
                raise InstallError(f"bundle.json: {above[:200]!a} and {other[:200]!a} differ in case alone")
            if above in manifest.files and (above != path or path in manifest.folders):
                raise InstallError(f"bundle.json: {above[:200]!a} is a file and a folder; do not install this bundle")


def _check_chunks(manifest: Manifest) -> None:
    """Raise InstallError unless chunks and files agree with each other."""
    used: set[str] = set()
    for path, entry in manifest.files.items():
        if any(chunk not in manifest.chunks for chunk in entry.chunks):
            raise InstallError(f"bundle.json: {path!a} has a chunk that is not listed; copy the bundle again")
        if sum(manifest.chunks[chunk].bytes for chunk in entry.chunks) != entry.bytes:
            raise InstallError(f"bundle.json: {path!a} is not as long as its chunks; copy the bundle again")
        used.update(entry.chunks)
    if manifest.chunks.keys() - used:
        raise InstallError(f"bundle.json: chunk {min(manifest.chunks.keys() - used)} belongs to no file")
    if any(chunk.bytes > CHUNK_BYTES for chunk in manifest.chunks.values()):
        raise InstallError(f"bundle.json: a chunk is larger than {CHUNK_BYTES} bytes; use the bundle's own installer")
    if manifest.base is None and any(chunk.part is None for chunk in manifest.chunks.values()):
        raise InstallError("bundle.json: a chunk is in no part, and there is no earlier bundle; make it again")
    if manifest.parts != list(range(1, len(manifest.parts) + 1)):
        raise InstallError("bundle.json: a part has no chunk; make the bundle again")
