"""Content-addressed store of adapter directories: staged, signed, made read-only, then renamed into place."""

import os
import shutil
import uuid
from pathlib import Path

from host.private import private_directory
from models.errors import RegistryError
from training.adapters.registry.signing import check_signature, sign
from training.adapters.registry.statement import Lineage, make_statement, read_statement, write_statement
from training.adapters.registry.weights import FILES, content_hash
from training.bases.files import hash_file

_EXTRAS = frozenset({".jsonl", ".md", ".png", ".svg"})
_EXTRA_BYTES = 5_000_000


def add_artifact(source: Path, artifacts: Path, keys: Path, lineage: Lineage) -> Path:
    """Add an adapter to the store: its two files, curves and notes, the statement and its signature.

    Returns `{artifacts}/{hash}`. If it exists with the same lineage, nothing is written; a directory of that name
    without a valid signature (its writer was killed, or it was altered) is set aside, never deleted.
    """
    place = artifacts / lineage.adapter
    if place.exists():
        if _is_valid(place, keys, lineage):
            return place
        place.rename(artifacts / f".set-aside-{lineage.adapter}-{uuid.uuid4().hex[:8]}")
    draft = artifacts / f".adding-{uuid.uuid4().hex}"
    try:
        private_directory(artifacts)
        draft.mkdir()
        _fill(source, draft)
        if content_hash(draft) != lineage.adapter:
            raise RegistryError(f"adapter {source} changed while it was copied; register it when it is finished")
        write_statement(draft, make_statement({name: hash_file(draft / name) for name in FILES}, lineage))
        sign(draft, keys)
        _settle(draft)
        draft.rename(place)
    except OSError as error:
        if place.exists() and _is_valid(place, keys, lineage):  # another process was faster
            return place
        raise RegistryError(f"adapter {source} cannot be stored in {artifacts}: {error}") from error
    finally:
        if draft.exists():
            draft.chmod(0o755)
            shutil.rmtree(draft)
    return place


def _is_valid(place: Path, keys: Path, lineage: Lineage) -> bool:
    try:
        check_signature(place, keys)
        return read_statement(place).predicate.model_copy(update={"trained_at": lineage.trained_at}) == lineage
    except RegistryError:
        return False


def _fill(source: Path, draft: Path) -> None:
    for file in sorted(source.iterdir()):
        extra = file.suffix in _EXTRAS and file.stat().st_size <= _EXTRA_BYTES
        if file.is_file() and (file.name in FILES or extra):
            shutil.copyfile(file, draft / file.name)


def _settle(draft: Path) -> None:
    """Make files and directory read-only and sync them to disk."""
    for file in draft.iterdir():
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        file.chmod(0o444)
    draft.chmod(0o555)
