"""A packed or returned folder checked before anything of it is used: signature, names, sizes, hashes, nothing beyond.

A returned folder comes from a machine that is not trusted. Which names may be in it, and how large they may be, follows
from our own record of the pack; each file is copied while it is hashed, and only the copy is used.
"""

import math
import os
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from exchange.folders import FileEntry, check_file, check_names, plain_files, read_manifest_file
from exchange.outsource import layout
from exchange.outsource.layout import PackManifest, ReturnManifest, plain_path, read_manifest
from exchange.outsource.packing import record_of
from host.throwaway import throwaway
from models.errors import UsageError
from training.adapters.registry.signing import SIGNATURE, check_signature
from training.adapters.registry.weights import CONFIG, WEIGHTS, header
from training.bases.bases import Base, find_base
from training.cycle.context import TrainingContext
from training.fit.returned import OWN, TRAINED

_SMALL = 256 << 20
"""The most bytes of all returned files together that hold no weights, and so of each."""
_SLACK = 64 << 20
"""Bytes that a file of weights may have besides its numbers."""
_WIDEST = 8
"""Bytes of a number, at most."""
_SIGNED = (f"{layout.MANIFEST}/{layout.PACK}", f"{layout.MANIFEST}/{SIGNATURE}")
_SAFETENSORS = ".safetensors"
_SHARD = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")


def is_returned(folder: Path) -> bool:
    """Whether a folder is one that came back, and not one that was packed."""
    return (folder / layout.RETURNED).exists()


def verify_pack(folder: Path, keys: Path) -> PackManifest:
    """The manifest of a packed folder. Raises RegistryError if it was not signed here, UsageError naming the first
    file that is missing, altered, or beyond the manifest (folders that `run.py` makes are left out)."""
    found = plain_files(folder, layout.MADE)
    pack = read_manifest(read_manifest_file(folder / _SIGNED[0]), PackManifest, _SIGNED[0])
    check_signature(folder / layout.MANIFEST, keys)
    check_names(folder, found, {*pack.files, *_SIGNED})
    for name, entry in sorted(pack.files.items()):
        check_file(folder / name, entry)
    return pack


def unread(folder: Path) -> list[str]:
    """The folders in a packed folder that are no part of the pack and that no check reads."""
    return [name for name in layout.MADE if os.path.lexists(folder / name)]


def verify_returned(context: TrainingContext, folder: Path) -> PackManifest:
    """Check a returned folder as `stage_returned`, reading all of it and keeping nothing."""
    with throwaway("cra-verify-") as scratch:
        return stage_returned(context, folder, scratch, keep=_SIGNED)


def stage_returned(
    context: TrainingContext, folder: Path, target: Path, *, keep: Collection[str] | None = None
) -> PackManifest:
    """Check a returned folder and copy its files (those in `keep`, if given) into the folder `target`; returns our own
    record of its pack.

    Raises UsageError for a fault of the folder, RegistryError for a signature that was not made here, or a base that is
    unknown or altered.
    """
    found = plain_files(folder)
    if layout.RETURNED not in found:
        raise UsageError(f"{folder} has no {layout.RETURNED}; give the folder `returned` that run.py wrote")
    returned = read_manifest(read_manifest_file(folder / layout.RETURNED), ReturnManifest, layout.RETURNED)
    pack = known_pack(context, returned.pack)
    if read_manifest_file(folder / _SIGNED[0]) != record_of(context, pack.id).read_bytes():
        raise UsageError(f"{folder / _SIGNED[0]}: not the manifest of pack {pack.id[:12]}; copy the folder again")
    allowed = _allowed(pack, find_base(context.curated, pack.base))
    for name in sorted(returned.files):
        if not plain_path(name) or name not in allowed:
            raise UsageError(f"{folder}: {name!a} may not come back of pack {pack.id[:12]}; send `returned` alone")
    check_names(folder, found, {*returned.files, layout.RETURNED})
    if missing := sorted(_required(pack) - returned.files.keys()):
        raise UsageError(f"{folder}: {missing[0]} is missing; let run.py finish, evaluation included")
    _check_sizes(folder, returned.files, allowed)
    copied = returned.files.keys() if keep is None else {*keep}
    needed = sum(returned.files[name].bytes for name in copied)
    target.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(target).free) < needed:
        raise UsageError(f"{folder} has {needed} bytes, and {free} are free at {target}; free some space")
    for name, entry in sorted(returned.files.items()):
        check_file(folder / name, entry, target / name if name in copied else None)
    check_signature(target / layout.MANIFEST, context.registry.keys)
    return pack


def _check_sizes(folder: Path, files: Mapping[str, FileEntry], allowed: "_Allowed") -> None:
    """Raise UsageError for a file that is larger than its pack allows, or for weights, or other files, that are so
    together: a base may come in any number of files."""
    for name, entry in sorted(files.items()):
        if entry.bytes > allowed[name]:
            most = f"at most {allowed[name]} may come back"
            raise UsageError(f"{folder}: {name} has {entry.bytes} bytes, and {most}; send what run.py wrote")
    weights = {name: entry.bytes for name, entry in files.items() if name.endswith(_SAFETENSORS)}
    others = {name: each.bytes for name, each in files.items() if name not in weights and name != layout.GGUF}
    for what, found, limit in (("weights", weights, allowed.weights), ("other files", others, _SMALL)):
        if (total := sum(found.values())) > limit:
            bound = f"at most {limit} may come back"
            raise UsageError(f"{folder}: {what} ({len(found)}) have {total} bytes, {bound}; send what run.py wrote")


def known_pack(context: TrainingContext, pack_id: str) -> PackManifest:
    """Our own record of a pack. Raises UsageError if none was made here under that id."""
    record = record_of(context, pack_id)
    if not record.is_file():
        raise UsageError(
            f"no pack {pack_id[:12]} was made here, as {record} is missing; accept it with the CRA_DATA_DIR that "
            "packed it"
        )
    pack = read_manifest(record.read_bytes(), PackManifest, str(record))
    if pack.id != pack_id:
        raise UsageError(f"{record} was altered; restore it from a copy")
    return pack


class _Allowed(dict[str, int]):
    """The most bytes of each file that may come back, by path; shards of a base are allowed by their pattern."""

    shards: int = 0
    weights: int = 0
    """The most bytes of all weights together, in safetensors."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._is_shard(name)

    def __missing__(self, name: str) -> int:
        if self._is_shard(name):
            return self.shards
        raise KeyError(name)

    def _is_shard(self, name: object) -> bool:
        folder, _, file = str(name).partition("/")
        return bool(self.shards) and folder == layout.BASE and _SHARD.fullmatch(file) is not None


def _allowed(pack: PackManifest, base: Base) -> _Allowed:
    names = [*_SIGNED, layout.FIT, layout.LOSSES, layout.PROBES]
    names += [layout.ANSWERS] if pack.evaluation_set else []
    most = _WIDEST * _numbers(pack, base) + _SLACK
    if pack.adapter:
        found = _Allowed(dict.fromkeys([*names, f"{layout.ADAPTER}/{CONFIG}"], _SMALL))
        found[f"{layout.ADAPTER}/{WEIGHTS}"] = most
    else:
        found = _Allowed(dict.fromkeys([*names, *(f"{layout.BASE}/{name}" for name in OWN | TRAINED)], _SMALL))
        found.shards = most
    found[layout.GGUF] = found.weights = most
    return found


def _required(pack: PackManifest) -> set[str]:
    names = {*_SIGNED, layout.FIT, layout.LOSSES, layout.PROBES, *([layout.ANSWERS] if pack.evaluation_set else [])}
    if pack.adapter:
        return names | {f"{layout.ADAPTER}/{CONFIG}", f"{layout.ADAPTER}/{WEIGHTS}"}
    kept = {f"{layout.BASE}/{name}" for name in pack.base_files if name in OWN}
    return names | kept | {f"{layout.BASE}/config.json"}


def _numbers(pack: PackManifest, base: Base) -> int:
    """How many numbers what comes back has: those of the base, or of a LoRA on its matrices."""
    shapes = [tensor.shape for file in sorted(base.path.glob("*.safetensors")) for tensor in header(file).values()]
    if not pack.adapter:
        return sum(math.prod(shape) for shape in shapes)
    return sum(pack.recipe.rank * sum(shape) for shape in shapes if len(shape) == 2)
