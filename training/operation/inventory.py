"""What may be deleted on this machine, and what it would free. Everything else stays.

Never deleted: adapters, bases, keys, evaluation sets, both databases, repo packages, collections, mixtures, and the
datasets that lineage needs. In order of what it costs to have it again:

    checkpoints    of trainings that ended, which need them no more: always deleted
    cache          work trees that a power cut left, results of the engine, converted weights, indexes, gold's verdicts:
                   made again when they are wanted. Only folders that this program makes there; in air-gapped mode none
                   whose making needs the network
    environments   built environments, the one that was not used for longest first: built again from wheels
    unfinished     checkpoints of trainings that were stopped, and of whose target and base a later one is finished
    datasets       that no training, adapter, base or mixture refers to, and of whose target and base a newer one was
                   trained on
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from host.processes import boot_time
from models.plans import Frozen
from runtime.environments.store import disk_usage
from store.learning.datasets import finished_datasets
from store.learning.trainings import superseded_trainings
from training.cycle.context import TrainingContext
from training.cycle.control import CONTROLS
from training.data.curation.card import MACHINE
from training.data.datasets import pack_dataset
from training.operation.lineage import round_is_open, superfluous_datasets

ENVIRONMENTS_FOLDER = "environments"
_SCRATCH = "scratch"
"""Folder of the cache with work trees. Preparing and taking in packages use them without a lease, so that only those
from before the machine was started are known to be nobody's: a power cut left them."""
_CHEAPEST_FIRST = ("engine", "ollama", "gguf", "index", "critic", "gold")
"""Folders of the cache that are made again from what is here, by what that costs. No others are touched: clones, which
have locks of their own, and what other programs may keep there."""
_FROM_THE_NETWORK = ("locks", "node")
"""Folders of the cache that are made again by downloads."""
_FINISHED = "fit.json"


class RetentionKind(StrEnum):
    """Kinds of what may be deleted, in the order in which they go."""

    CHECKPOINTS = "checkpoints"
    CACHE = "cache"
    ENVIRONMENTS = "environments"
    UNFINISHED = "unfinished"
    DATASETS = "datasets"


class RetentionItem(Frozen):
    """Something that may be deleted, the bytes that it takes, and why it is superfluous."""

    kind: RetentionKind
    path: Path
    bytes: int
    why: str


def find_superfluous(context: TrainingContext, idle: bool) -> list[RetentionItem]:
    """All that may be deleted, in the order in which it goes. Unless the machine is `idle` (nothing but this process
    works here), only what nothing can be using. Raises RegistryError for an adapter without its statement."""
    found = _checkpoints(context, finished=True)
    if idle:
        found += [*_cache(context), *_environments(context)]
        if not round_is_open(context):  # whose own data may not be on record yet
            found += [*_checkpoints(context, finished=False), *_datasets(context)]
    return found


def _checkpoints(context: TrainingContext, *, finished: bool) -> list[RetentionItem]:
    """Checkpoints of trainings that are finished (a kill left them), or that nobody goes on with."""
    kind, why = (
        (RetentionKind.CHECKPOINTS, "the training ended")
        if finished
        else (RetentionKind.UNFINISHED, "the training was stopped, and a later one of its target and base is finished")
    )
    jobs = None if finished else superseded_trainings(context.raw_engine)
    return [
        _item(kind, folder / name, why)
        for place in ("trainings", CONTROLS)
        for folder in sorted((context.settings.data_dir / place).glob("*"))
        if (folder / _FINISHED).is_file() == finished and (jobs is None or folder.name in jobs)
        if not folder.is_symlink()
        for name in ("checkpoints", "best")
        if (folder / name).is_dir()
    ]


def _cache(context: TrainingContext) -> Iterator[RetentionItem]:
    settings, started = context.settings, boot_time()
    for tree in sorted((settings.cache_dir / _SCRATCH).glob("*")):
        if tree.is_dir() and not tree.is_symlink() and tree.stat().st_mtime < started:
            yield _item(RetentionKind.CACHE, tree, "a work tree from before this machine was started")
    kept = [path.resolve() for path in (settings.data_dir, settings.corpus)]
    for name in (*_CHEAPEST_FIRST, *(() if settings.air_gapped else _FROM_THE_NETWORK)):
        path = settings.cache_dir / name
        if path.is_dir() and not path.is_symlink() and not any(each.is_relative_to(path.resolve()) for each in kept):
            yield _item(RetentionKind.CACHE, path, "made again when it is wanted")


def _environments(context: TrainingContext) -> Iterator[RetentionItem]:
    folder = context.settings.cache_dir / ENVIRONMENTS_FOLDER / ENVIRONMENTS_FOLDER
    for path in sorted(folder.glob("*"), key=_last_use):
        yield _item(RetentionKind.ENVIRONMENTS, path, "built again from the wheels of its package")


def _last_use(environment: Path) -> tuple[int, str]:
    marker = environment / "complete"
    return (marker if marker.exists() else environment).stat().st_mtime_ns, environment.name


def _datasets(context: TrainingContext) -> Iterator[RetentionItem]:
    superfluous = superfluous_datasets(context)
    for folder in sorted((context.settings.data_dir / "datasets").glob("*")):
        dataset = _dataset_id(folder)
        if dataset in superfluous and not folder.is_symlink():
            yield _item(RetentionKind.DATASETS, folder, "no training used it, and one used a newer one since")


def pack_finished(context: TrainingContext) -> int:
    """Compress the datasets whose trainings are over; returns the bytes freed. Raises TrainingError for one that was
    changed, OSError."""
    finished, freed = finished_datasets(context.raw_engine), 0
    for folder in sorted((context.settings.data_dir / "datasets").glob("*")):
        if _dataset_id(folder) in finished and not folder.is_symlink():
            freed += pack_dataset(folder)
    return freed


def _dataset_id(folder: Path) -> str:
    """The id on a dataset's card; empty for a folder that holds none that can be read, which is left alone."""
    try:
        return str(json.loads((folder / MACHINE).read_text())["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _item(kind: RetentionKind, path: Path, why: str) -> RetentionItem:
    return RetentionItem(kind=kind, path=path, bytes=disk_usage(path), why=why)
