"""`cra outsource pack`: one folder that holds a training, to be done on another machine.

    rules (as before a training here) -> code, lock, data, questions, base -> manifest of all hashes -> signature

What leaves: the dataset as it was curated (prompts, answers, provenance by ids), the prompts of the frozen questions
without gold's answers, the base, the project's code, the recipe. What does not: gold's answers, keys, settings with
addresses and tokens, databases, other datasets.
"""

import platform
import shutil
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from evals.sets import latest_set
from exchange.folders import FileEntry
from exchange.lock import fetch_wheels
from exchange.outsource import layout
from exchange.outsource.code import copy_code, export_requirements
from exchange.outsource.guide import guide
from exchange.outsource.layout import Needs, PackFormat, PackManifest, entries_of, entry_of, spelled
from exchange.outsource.licences import check_licences
from exchange.outsource.lineage import data_files, elsewhere_code, elsewhere_job
from exchange.outsource.llamafactory import write_llamafactory
from exchange.outsource.needs import needs_of
from exchange.outsource.questions import ASKED, questions_of, write_lines
from host.private import private_directory
from models.errors import EvaluationError, TrainingError, UsageError
from models.evaluation import EvaluationSet
from models.targets import Role
from models.training_settings import TrainingSettings
from store.learning.trainings import store_training_job
from training.adapters.registry.signing import sign
from training.bases.bases import MANIFEST as BASE_MANIFEST
from training.bases.bases import Base, find_base
from training.bases.files import read_json
from training.bases.thinking import training_settings
from training.cycle.context import TrainingContext
from training.cycle.lifecycle import find_inputs
from training.cycle.orders import TrainOrder
from training.cycle.rules import check_full_training, check_training
from training.data.curation import Card
from training.data.datasets import read_dataset
from training.fit.recipe import Method, Recipe, TrainingBackend, overrides, recipe_for

RECORDS = "outsourced"
"""Folder of the data directory with a copy of the manifest of each pack, by its id."""
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class PackOrder:
    """What to pack. `override`: a person's reason to go past the order of tiers. `accept_licence`: a person has read
    the data's licences that are unknown or restrict its use."""

    dataset: Path
    base: str
    out: Path
    method: Method = "sft"
    backend: TrainingBackend = "trl-gpu"
    role: Role | None = None
    wheels: bool = False
    with_base: bool = True
    format: PackFormat = "cra"
    override: str | None = None
    accept_licence: bool = False


@dataclass(frozen=True)
class Packed:
    """A packed folder, and notes on rules that were gone past."""

    folder: Path
    manifest: PackManifest
    notes: tuple[str, ...]


def pack(context: TrainingContext, order: PackOrder) -> Packed:
    """Write the folder of an order, whole or not at all, and record it.

    Raises GuardrailError for a broken rule, TrainingError for a dataset that lacks what the method needs, RegistryError
    for a base that is unknown or altered, UsageError for a folder that is not empty.
    """
    if order.out.exists() and (not order.out.is_dir() or any(order.out.iterdir())):
        raise UsageError(f"--out {order.out} is there already; give another folder, or remove it")
    base, card = find_base(context.curated, order.base, full=True), read_dataset(order.dataset)
    notes = [*check_licences(card, accepted=order.accept_licence), *_check(context, order, base, card)]
    folder = order.out.with_name(f".{order.out.name}-{uuid.uuid4().hex[:8]}.part")
    try:
        folder.mkdir(parents=True)
        manifest = _Draft(context, order, base, card, _questions_set(context, card), folder).write()
        sign(folder / layout.MANIFEST, context.registry.keys)
        _record(context, manifest, folder / layout.MANIFEST)
        sources, config = "+".join(sorted(card.sources)), job_config(manifest)
        store_training_job(context.raw_engine, manifest.job, card.target, sources, base.id, card.id, config)
        if order.out.exists():
            order.out.rmdir()
        folder.rename(order.out)
    except OSError as error:
        raise UsageError(f"--out {order.out} cannot be written: {error}; free some space or give another") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Packed(order.out, manifest, tuple(notes))


def job_config(manifest: PackManifest) -> dict[str, object]:
    """The configuration of the job, as a training here records it, and that it was done elsewhere."""
    return {
        "recipe": manifest.recipe.model_dump(mode="json"),
        "backend": manifest.backend,
        "overrides": [change._asdict() for change in manifest.overrides],
        "start": None,
        "code": elsewhere_code(manifest.format),
        "elsewhere": manifest.format,
    }


def _check(context: TrainingContext, order: PackOrder, base: Base, card: Card) -> list[str]:
    """The rules that a training here would have to keep."""
    if not card.examples["dpo" if order.method == "dpo" else "sft"]:
        what = "preferences" if order.method == "dpo" else "pairs"
        raise TrainingError(f"dataset {card.id[:12]} has no {what}, which {order.method} needs; give another")
    if order.method == "full":
        if (order.role or base.role) is None:
            raise UsageError(f"base {base.name} has no role; say with --role whose base the tuned one becomes")
        check_full_training(context, base, order.dataset, card)
        return []
    asked = TrainOrder(
        target=card.target, base=base.name, dataset=order.dataset, technique=order.method, override=order.override
    )
    return check_training(context, asked, find_inputs(context, asked))


def _questions_set(context: TrainingContext, card: Card) -> EvaluationSet | None:
    """The set whose questions are sent along, if there is one that is answered by questions."""
    try:
        found = latest_set(context.curated, card.target)
    except EvaluationError:  # a base may be tuned without one; an adapter was refused before this
        return None
    return found if found.target in ASKED else None


def _record(context: TrainingContext, manifest: PackManifest, signed: Path) -> None:
    """Keep a copy of the manifest, by which what comes back is judged."""
    place = record_of(context, manifest.id)
    private_directory(place.parent)
    if not place.exists():
        part = place.with_name(f".{place.name}-{uuid.uuid4().hex[:8]}.part")
        shutil.copyfile(signed / layout.PACK, part)
        part.replace(place)


def record_of(context: TrainingContext, pack_id: str) -> Path:
    """The file with our copy of a pack's manifest."""
    return context.settings.data_dir / RECORDS / f"{pack_id}.json"


@dataclass(frozen=True)
class _Draft:
    """A folder that is being packed."""

    context: TrainingContext
    order: PackOrder
    base: Base
    card: Card
    evaluation_set: EvaluationSet | None
    folder: Path

    def write(self) -> PackManifest:
        """Write all files, the manifest last."""
        order, folder = self.order, self.folder
        requirements = folder / layout.REQUIREMENTS
        requirements.write_text(export_requirements(order.backend))
        if order.wheels:
            fetch_wheels(requirements, folder / layout.WHEELS)
        copy_code(folder / layout.CODE)
        shutil.copyfile(Path(__file__).with_name(layout.RUN), folder / layout.RUN)
        self._write_data()
        base_files = self._write_base()
        recipe = recipe_for(self.card.target, order.method, self._settings())
        needs = needs_of(self.base, self.card, recipe, order.backend, wheels=order.wheels)
        (folder / layout.GUIDE).write_text(guide(order.format, _PYTHON))
        if order.format == "llamafactory":
            write_llamafactory(folder / layout.LLAMAFACTORY, order.dataset, recipe)
        manifest = self._manifest(recipe, needs, base_files)
        (folder / layout.MANIFEST).mkdir()
        (folder / layout.MANIFEST / layout.PACK).write_text(spelled(manifest))
        return manifest

    def _settings(self) -> TrainingSettings:
        return training_settings(self.context.settings, self.base, self.card.target)

    def _write_data(self) -> None:
        data = self.folder / layout.DATA
        data.mkdir()
        for name in data_files(self.order.method):
            shutil.copyfile(self.order.dataset / name, data / name)
        if self.evaluation_set is not None:
            write_lines(self.folder / layout.QUESTIONS, questions_of(self.evaluation_set))

    def _write_base(self) -> dict[str, FileEntry]:
        """Copy the base, if it goes along; returns the entries of its files either way."""
        files = [self.base.path / name for name in sorted(read_json(self.base.path / BASE_MANIFEST))]
        if self.order.with_base:
            (self.folder / layout.BASE).mkdir()
            for file in files:
                shutil.copyfile(file, self.folder / layout.BASE / file.name)
        return {file.name: entry_of(file) for file in files}

    def _manifest(self, recipe: Recipe, needs: Needs, base_files: dict[str, FileEntry]) -> PackManifest:
        order, card = self.order, self.card
        return PackManifest(
            format=order.format,
            target=card.target,
            method=order.method,
            role=(order.role or self.base.role) if order.method == "full" else None,
            dataset=card.id,
            base=self.base.id,
            base_name=self.base.name,
            base_files=base_files,
            recipe=recipe,
            backend=order.backend,
            overrides=overrides(recipe, order.backend),
            job=elsewhere_job(card, self.base, recipe, order.backend, order.format),
            evaluation_set=self.evaluation_set.id if self.evaluation_set else None,
            python=_PYTHON,
            platform=f"{platform.system().lower()}-{platform.machine()}",
            needs=needs,
            files=entries_of(self.folder),
        )
