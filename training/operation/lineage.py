"""What adapters and bases were made from, which is never deleted: computed from both databases and the signed
statements."""

from collections.abc import Iterable

from models.errors import RegistryError, TrainingError
from models.training import TrainingTarget
from store.learning.datasets import datasets_of_trainings, mixed_datasets, newest_dataset_id, superseded_datasets
from training.adapters.registry.base_statement import read_base_statement
from training.adapters.registry.statement import read_statement
from training.bases.bases import PARENT, list_bases
from training.cycle.context import TrainingContext
from training.cycle.rounds import open_request
from training.data.datasets import check_dataset, dataset_dir


def needed_datasets(context: TrainingContext) -> dict[str, str]:
    """Datasets and mixtures (ids) that must stay, each with the first reason that is found.

    Raises RegistryError if a statement cannot be read: without it nothing is known to be superfluous.
    """
    found: dict[str, str] = {}

    def need(datasets: Iterable[str], why: str) -> None:
        for dataset in datasets:
            found.setdefault(dataset, why)

    for version in context.registry.list():
        need([version.dataset_id, *read_statement(version.path).predicate.parents], f"lineage of {version.name}")
    for base in list_bases(context.curated):
        if PARENT in base.facts:
            lineage = read_base_statement(base.path).predicate
            need([lineage.dataset, *lineage.datasets], f"lineage of base {base.name}")
    need(datasets_of_trainings(context.raw_engine), "a training was begun on it")
    need(mixed_datasets(context.raw_engine), "part of a mixture")
    for target in TrainingTarget:
        need(filter(None, [newest_dataset_id(context.raw_engine, target)]), f"newest of {target.value}")
    return found


def superfluous_datasets(context: TrainingContext) -> set[str]:
    """Datasets (ids) that may go: on record, of whose target and base a newer one was trained on, and not needed. One
    that is not on record may be in the making."""
    return superseded_datasets(context.raw_engine) - needed_datasets(context).keys()


def round_is_open(context: TrainingContext) -> bool:
    """Whether a round was begun and has not ended: what it made is in use."""
    return open_request(context.raw_engine) is not None


def check_lineage(context: TrainingContext) -> list[str]:
    """What is wrong with adapters and their lineage: each is verified in full, and its dataset is read. Empty: all is
    there. Datasets of trainings that were done elsewhere may never have been here."""
    faults = []
    for version in context.registry.list():
        try:
            context.registry.verify(version.name)
        except RegistryError as error:
            faults.append(f"{version.name}: {error}")
        folder = dataset_dir(context.settings.data_dir, version.target, version.dataset_id)
        try:
            if folder.exists():
                check_dataset(folder)
            elif version.dataset_id in datasets_of_trainings(context.raw_engine):
                faults.append(f"{version.name}: its dataset {folder} is gone")
        except TrainingError as error:
            faults.append(f"{version.name}: {error}")
    return faults
