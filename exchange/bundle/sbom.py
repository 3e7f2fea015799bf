"""The bill of materials of a bundle (CycloneDX): the distributions of the lock, the models, the corpus."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exchange.bundle.layout import BundledFile
from exchange.lock import export_lock
from training.bases.files import hash_files

_KINDS = {"model": "machine-learning-model", "adapter": "machine-learning-model", "corpus": "data"}
_DEPTH = {"data/adapters": 4}
"""How many parts of a path name one component, where it is not three."""


def write_sbom(root: Path, extras: Sequence[str], files: Mapping[str, BundledFile]) -> bytes:
    """The bill of materials, without the time and the random number that every export bears."""
    listed: dict[str, Any] = json.loads(export_lock(root, extras, form="cyclonedx1.5"))
    del listed["serialNumber"], listed["metadata"]["timestamp"]
    listed["components"] += _data(files)
    return (json.dumps(listed, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")


def _data(files: Mapping[str, BundledFile]) -> list[dict[str, Any]]:
    """A component for each model, adapter, data set and package, with the hash over its files."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for path, entry in files.items():
        if entry.category in _KINDS:
            parts = path.split("/")
            depth = _DEPTH.get("/".join(parts[:2]), 3)
            name = "/".join(parts[1:depth])
            groups.setdefault((_KINDS[entry.category], name), {})[path] = entry.sha256
    return [
        {
            "type": kind,
            "bom-ref": name,
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": hash_files(hashes)}],
        }
        for (kind, name), hashes in sorted(groups.items())
    ]
