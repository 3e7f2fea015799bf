"""Sources of an export or a server by name: the adapter in the registry, its base, and the base's original GGUF."""

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CleanRoomError, RegistryError
from training.adapters.export.exporting import ExportSource
from training.adapters.export.layout import read_json
from training.bases.bases import Base, find_base, list_bases
from training.bases.files import hash_file

if TYPE_CHECKING:
    from store.database import Engine
    from training.adapters.registry import AdapterVersion


def find_trained(curated: "Engine", data_dir: Path, name: str) -> ExportSource:
    """An adapter by its name, verified in full (files, signature, base). Raises RegistryError."""
    from training.adapters.registry import Registry

    version = Registry(curated, data_dir).verify(name)
    return trained(version, find_base(curated, version.base))


def trained(version: "AdapterVersion", base: Base) -> ExportSource:
    """A registered adapter with its base."""
    return ExportSource(version.served, base.path, version.path, _original(base))


def of_embedded(base: Base) -> bool:
    """Whether a base was converted from the installed file of the embedded model."""
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


def choose_base(curated: "Engine", data_dir: Path, name: str | None) -> Base:
    """The base to serve: the named one (the name of a role stands for the base that it uses), else that of the active
    adapters, else the one that roles use, else the only one.

    Raises RegistryError if there is not exactly one.
    """
    from training.adapters.registry import Registry
    from training.adapters.registry.succession import in_use, named_base

    if name is not None:
        return named_base(curated, name)
    bases = sorted({version.base for version in Registry(curated, data_dir).list() if version.active})
    used = [in_use(curated, "reasoning"), in_use(curated, "coding")]
    bases = bases or sorted({base.id for base in used if base is not None})
    bases = bases or [base.id for base in list_bases(curated)]
    if len(bases) != 1:
        known = ", ".join(base.name for base in list_bases(curated))
        if not known:
            raise RegistryError("no base is known; add one with `cra bases add`")
        raise RegistryError(f"several bases could be served; choose one with --base (known: {known})")
    return find_base(curated, bases[0])


def active_on(curated: "Engine", data_dir: Path, base: Base) -> list["AdapterVersion"]:
    """The active adapters of a base; those of other bases cannot be served with it."""
    from training.adapters.registry import Registry

    return [version for version in Registry(curated, data_dir).list() if version.active and version.base == base.id]


def ranks_on(curated: "Engine", data_dir: Path, base: Base) -> list[int]:
    """The ranks of all adapters of a base, so that a server can load each after a promotion or rollback."""
    from training.adapters.registry import Registry

    return [rank(version.path) for version in Registry(curated, data_dir).list() if version.base == base.id]


def rank(adapter_dir: Path) -> int:
    """The largest rank in a PEFT adapter. Raises TrainingError if its configuration cannot be read."""
    config = read_json(adapter_dir / "adapter_config.json")
    return max([int(config.get("r") or 0), *map(int, (config.get("rank_pattern") or {}).values())])
