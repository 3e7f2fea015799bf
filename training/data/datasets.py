"""Curated datasets: finding one, and reading its card after checking its files against it."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from host.packed import PackedFileError, is_intact, pack_file, restore
from models.errors import TrainingError
from models.training import TrainingTarget
from store.learning import datasets
from store.runs import RawStore
from training.data.curation import Card
from training.data.curation.card import MACHINE


def dataset_dir(data_dir: Path, target: TrainingTarget, dataset: str) -> Path:
    """The directory of a dataset."""
    return data_dir / "datasets" / f"{target.value}-{dataset[:12]}"


def dataset_or_mixture(data_dir: Path, dataset: str) -> Path | None:
    """The directory of a dataset or mixture by its id; None if it is not there."""
    found = [*(data_dir / "datasets").glob(f"*-{dataset[:12]}"), *(data_dir / "mixtures").glob(f"*-{dataset[:12]}")]
    return found[0] if found else None


def newest_dataset(raw: RawStore, data_dir: Path, target: TrainingTarget) -> Path:
    """The directory of a target's newest dataset. Raises TrainingError if there is none."""
    newest = datasets.newest_dataset_id(raw.engine, target)
    if newest is None:
        raise TrainingError(
            f"there is no dataset of {target.value}; make one: cra curate-data --stage {target.value} --base NAME"
        )
    return dataset_dir(data_dir, target, newest)


def read_dataset(directory: Path) -> Card:
    """A dataset's card; files that were kept compressed are restored. Raises TrainingError if it is unreadable, or a
    file does not match it."""
    card = _card(directory)
    try:
        restore(directory, card.files)
    except (OSError, PackedFileError) as error:
        raise TrainingError(f"{directory} cannot be restored ({error}); curate it again") from error
    for name, expected in card.files.items():
        file = directory / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise TrainingError(f"{file} is missing or was changed since it was curated; curate it again")
    return card


def check_dataset(directory: Path) -> None:
    """Check all files of a dataset, plain or compressed, and leave them as they are. Raises TrainingError."""
    for name, expected in _card(directory).files.items():
        if not is_intact(directory / name, expected):
            raise TrainingError(f"{directory / name} is missing or was changed since it was curated; curate it again")


def pack_dataset(directory: Path) -> int:
    """Compress a dataset whose trainings are over; returns the bytes freed. Raises TrainingError if a file is not what
    its card says, OSError."""
    freed = 0
    for name, expected in _card(directory).files.items():
        if (directory / name).is_file():
            try:
                freed += pack_file(directory / name, expected)
            except PackedFileError as error:
                raise TrainingError(f"{error}; curate it again") from error
    return freed


def _card(directory: Path) -> Card:
    try:
        return Card.model_validate_json((directory / MACHINE).read_text())
    except (OSError, ValidationError) as error:
        raise TrainingError(f"{directory} holds no dataset that can be read; curate it again") from error


def trained_before(raw: RawStore, card: Card, base: str) -> list[str]:
    """Older datasets of the same target that were trained on with a base (its hash)."""
    return datasets.trained_before(raw.engine, card.id, card.target, base)
