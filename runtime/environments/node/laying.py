"""The packages of an environment made visible in a work tree, by links: the environment itself stays read-only."""

import json
import os
from pathlib import Path

from runtime.environments.node.building import LAYOUT, TREE

FOLDER = "node_modules"


def lay_packages(tree: Path, prefix: Path) -> None:
    """Make the folders `node_modules` of a work tree: a link for each package to its place under `prefix`, and for each
    of the repository's own packages to its folder in the work tree.

    Where the layout has a link to an own package, no release of it is linked, even if the package's folder is missing.
    What is there already stays. A folder of the repository that is missing, or reached through a link, gets nothing.
    """
    layout = json.loads((prefix / LAYOUT).read_text())
    root = tree.resolve()
    own = frozenset(root / place for place in layout["links"])
    for folder in layout["roots"]:
        place = root / folder
        if place.is_dir() and place.resolve() == place and not (place / FOLDER).is_symlink():
            _link_all(prefix / TREE / folder / FOLDER, place / FOLDER, own)
    for link, folder in sorted(layout["links"].items()):
        place, target = root / link, root / folder
        if not target.is_dir() or target.resolve() != target or not _makes_parent(place, root):
            continue
        if not place.is_symlink() and not place.exists():
            place.symlink_to(os.path.relpath(target, place.parent))


def _makes_parent(place: Path, root: Path) -> bool:
    folder = place.parent
    if folder.resolve() != folder or not folder.is_relative_to(root):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    return True


def _link_all(source: Path, target: Path, but: frozenset[Path]) -> None:
    if not source.is_dir():
        return
    target.mkdir(exist_ok=True)
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.name.startswith("@") and entry.is_dir() and not place.is_symlink():
            _link_all(entry, place, but)
        elif place not in but and not place.is_symlink() and not place.exists():
            place.symlink_to(entry)
