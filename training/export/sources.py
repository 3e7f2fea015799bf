"""What is to be exported or served, found by name: the adapter in the registry, its base, the GGUF that came from."""

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CleanRoomError
from training.bases import Base, find_base, hash_file
from training.export.exporting import Trained

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from training.registry import AdapterVersion


def find_trained(curated: "Engine", data_dir: Path, name: str) -> Trained:
    """An adapter by its name, verified in full (files, signature, base). Raises RegistryError."""
    from training.registry import Registry

    version = Registry(curated, data_dir).verify(name)
    return trained(version, find_base(curated, version.base))


def trained(version: "AdapterVersion", base: Base) -> Trained:
    """A registered adapter with its base."""
    return Trained(version.served, base.path, version.path, _original(base))


def of_embedded(base: Base) -> bool:
    """Whether a base was made from the embedded model's file that is installed here."""
    return _original(base) is not None


def _original(base: Base) -> Path | None:
    from llm.embedded import weights

    source = str(base.facts.get("source") or "")
    if not source:
        return None
    try:
        path = weights()
    except CleanRoomError:
        return None
    return path if hash_file(path) == source else None
