"""Datasets and adapters that hold what answers taught which were taken back since."""

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from host.packed import is_there, open_either
from models.plans import Frozen
from models.training import TrainingTarget
from store.learning.adapters import list_adapters
from store.learning.datasets import datasets_since
from store.runs.attempts import AttemptKey
from training.data.curation.card import CRITIC, DPO, SFT
from training.data.datasets import dataset_dir

if TYPE_CHECKING:
    from store.database import Engine


class AffectedDataset(Frozen):
    """A dataset by its directory's name, how many of its examples come from such attempts (None: its files are not on
    this machine), and the adapters that were trained on it."""

    id: str
    name: str
    examples: int | None
    adapters: tuple[str, ...] = ()


def affected_datasets(
    raw: "Engine", curated: "Engine", data_dir: Path, attempts: Collection[AttemptKey], since: datetime | None
) -> list[AffectedDataset]:
    """Datasets made at or after `since` (None: all) with examples from any of `attempts`, the newest first; those whose
    files are missing are listed, too."""
    wanted = set(attempts)
    trained: dict[str, list[str]] = {}
    for adapter in list_adapters(curated):
        trained.setdefault(adapter.dataset_id, []).append(f"{adapter.name}{' (serves)' if adapter.active else ''}")
    found = []
    for dataset, stage in datasets_since(raw, since) if wanted else []:
        directory = dataset_dir(data_dir, TrainingTarget(stage), dataset)
        files = [path for path in (directory / SFT, directory / DPO, directory / CRITIC) if is_there(path)]
        examples = sum(1 for path in files for sources in _sources(path) if sources & wanted) if files else None
        if examples != 0:
            adapters = tuple(trained.get(dataset, ()))
            found.append(AffectedDataset(id=dataset, name=directory.name, examples=examples, adapters=adapters))
    return found


def _sources(path: Path) -> Iterator[set[AttemptKey]]:
    """The attempts that each example of a file comes from."""
    with open_either(path) as lines:
        for line in lines:
            example = json.loads(line)
            found = (example.get(name) for name in ("provenance", "chosen_by", "rejected_by"))
            yield {AttemptKey(each["campaign"], each["trajectory"], each["attempt"]) for each in found if each}
