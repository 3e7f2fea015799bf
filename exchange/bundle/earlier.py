"""The earlier bundle that a differential goes on top of."""

from pathlib import Path
from typing import NamedTuple

from exchange.bundle.layout import BUNDLE, KEY, MANIFEST, MANIFEST_BYTES, BundleManifest, read_manifest
from exchange.bundle.signature import check_bundle_signature
from exchange.folders import read_manifest_file
from models.errors import UsageError
from training.adapters.registry.signing import fingerprint, known_keys


class Earlier(NamedTuple):
    """An earlier bundle, by its manifest."""

    folder: Path
    manifest: BundleManifest


def read_earlier(place: Path, keys: Path) -> Earlier:
    """The bundle in a folder (the whole, or one part), or that of its bundle.json, signed here or with a trusted key.

    Raises UsageError where there is none, RegistryError if its manifest was altered or is of another key.
    """
    folder = place.parent.parent if place.name == BUNDLE else place
    file = folder / MANIFEST / BUNDLE
    if not file.is_file():
        raise UsageError(f"--since {place} is no bundle: {file} is missing; give a folder that `cra bundle make` wrote")
    manifest = read_manifest(read_manifest_file(file, MANIFEST_BYTES), str(file))
    own = fingerprint(folder / MANIFEST / KEY)
    known = [key for key in known_keys(keys) if fingerprint(key) == own]
    if not known:
        raise UsageError(f"--since {place} was signed with the key {own[:16]}, which is not known here; give another")
    check_bundle_signature(folder, known[0])
    return Earlier(folder, manifest)
