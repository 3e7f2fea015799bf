"""Where what came back comes from: base, dataset and job of its pack, found and computed here, never read from it."""

from dataclasses import dataclass
from pathlib import Path

from exchange.outsource import layout
from exchange.outsource.layout import PackManifest
from models.errors import RegistryError
from training.bases.bases import Base, find_base
from training.bases.files import hash_file
from training.cycle.context import TrainingContext
from training.cycle.rules import check_full_training
from training.data.curation import Card
from training.data.curation.card import DPO, MACHINE, SFT
from training.data.datasets import dataset_dir, read_dataset
from training.fit.job import FIT_VERSION
from training.fit.recipe import Method, Recipe, TrainingBackend, job_id


@dataclass(frozen=True)
class Lineage:
    """Our own copies of what a pack was made of."""

    base: Base
    dataset: Path
    card: Card


def elsewhere_job(card: Card, base: Base, recipe: Recipe, backend: TrainingBackend, form: layout.PackFormat) -> str:
    """The id of a training elsewhere, never that of a training here: neither is taken for the other's result."""
    code = elsewhere_code(form)
    return job_id(dataset=card.id, base=base.id, recipe=recipe, backend=backend, start=None, code=code)


def elsewhere_code(form: layout.PackFormat) -> str:
    """What trains elsewhere, as the identity of its trainings names it."""
    return f"{FIT_VERSION} elsewhere {form}"


def data_files(method: Method) -> tuple[str, str]:
    """The files of a dataset that a method reads: no others leave."""
    return MACHINE, DPO if method == "dpo" else SFT


def find_lineage(context: TrainingContext, pack: PackManifest, dataset: Path | None) -> Lineage:
    """Our copies, checked byte for byte against what was packed. `dataset`: where it is not in its usual place.

    Raises RegistryError if one is altered or gives another job, TrainingError for a missing dataset, GuardrailError if
    its data must not be trained on any more.
    """
    base = find_base(context.curated, pack.base, full=True)
    place = dataset or dataset_dir(context.settings.data_dir, pack.target, pack.dataset)
    card = read_dataset(place)
    for name in data_files(pack.method):
        packed = pack.files.get(f"{layout.DATA}/{name}")
        if packed is None or packed.sha256 != hash_file(place / name):
            raise RegistryError(
                f"{place / name} is not what pack {pack.id[:12]} holds; give its dataset with --dataset"
            )
    job = elsewhere_job(card, base, pack.recipe, pack.backend, pack.format)
    if (card.id, base.id, job) != (pack.dataset, pack.base, pack.job):
        raise RegistryError(
            f"pack {pack.id[:12]} is of job {pack.job[:12]}, and this version of the program makes {job[:12]} of it; "
            "pack again"
        )
    check_full_training(context, base, place, card)
    return Lineage(base, place, card)
