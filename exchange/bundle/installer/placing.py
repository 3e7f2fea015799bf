"""The data of a bundle below P/data: whole units, each placed in one step where nothing is, and never over what lives.

A unit is a model, dataset, collection or repo package with all its files, or any other file by itself: a database, a
key, answers to frozen questions. Of a unit that is there and differs, nothing is changed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .copying import file_hash
from .manifest import Manifest

DATA = "data"
_DEPTHS = {
    **dict.fromkeys(("bases", "adapters-gguf", "critics", "controls", "trainings"), 2),
    **dict.fromkeys(("datasets", "mixtures", "collections", "corpus"), 2),
    "adapters": 3,
}
"""Folders whose entries are placed whole, as half of a model or a repo package is none, by the number of names in an
entry's path: adapters lie in a folder for each target."""


class Placement(NamedTuple):
    """Units by path (below data/, with the files of each): those to be placed, those there already and the same, and
    those that are there and differ, which are left."""

    new: dict[str, list[str]]
    same: list[str]
    left: list[str]


def units_of(manifest: Manifest) -> dict[str, list[str]]:
    """The files of the manifest by their unit, below data/."""
    units: dict[str, list[str]] = {}
    for path in manifest.files:
        if path.startswith(f"{DATA}/"):
            units.setdefault(_unit(path), []).append(path)
    return units


def _unit(path: str) -> str:
    parts = path.split("/")[1:]
    depth = _DEPTHS.get(parts[0], len(parts))
    return "/".join(parts[:depth] if len(parts) > depth else parts)


def plan_data(manifest: Manifest, data: Path) -> Placement:
    """Compare the units of a bundle with what is in the data folder. Files there are read whole."""
    plan = Placement({}, [], [])
    for unit, paths in sorted(units_of(manifest).items()):
        if not os.path.lexists(data / unit):
            plan.new[unit] = paths
        elif all(_is_same(data / path[len(DATA) + 1 :], manifest, path) for path in paths):
            plan.same.append(unit)
        else:
            plan.left.append(unit)
    return plan


def _is_same(file: Path, manifest: Manifest, path: str) -> bool:
    entry = manifest.files[path]
    if file.is_symlink() or not file.is_file() or file.stat().st_size != entry.bytes:
        return False
    return file_hash(file) == entry.sha256


def place(plan: Placement, manifest: Manifest, incoming: Path, data: Path) -> None:
    """Move the new units from where they were assembled into the data folder."""
    data.mkdir(mode=0o700, exist_ok=True)
    for folder in manifest.folders:
        if folder.startswith(f"{DATA}/") and _unit(f"{folder}/.") in plan.new:
            (incoming / folder).mkdir(parents=True, exist_ok=True)
    for unit in plan.new:
        target = data / unit
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            (incoming / DATA / unit).rename(target)
