"""A training job: dataset, base, recipe, and identity."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.errors import TrainingError
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from training.adapters.registry.weights import CONFIG, content_hash
from training.bases.bases import Base
from training.bases.files import hash_file, hash_files
from training.data.curation import Card
from training.fit.recipe import Method, Recipe, job_id, overrides, recipe_for

if TYPE_CHECKING:
    from training.fit.fitting import Fit, ReportProgress

FIT_VERSION = "2"
"""Part of the identity of all trainings: raised when the same data, base and recipe would give another adapter.
Trainings of another version are not reused. The first version was a hash of source files, and fitted no class bias."""

Technique = Literal["auto", "sft", "dpo", "sft+dpo"]


@dataclass(frozen=True)
class TrainingJob:
    """One training. `start` is the directory of the adapter that it starts from, None: a new one."""

    target: TrainingTarget
    dataset: Path
    card: Card
    base: Base
    recipe: Recipe
    backend: str
    start: Path | None = None

    @property
    def dataset_id(self) -> str:
        """The dataset's id."""
        return self.card.id

    @property
    def source(self) -> str:
        """The sources of the dataset, as in its row."""
        return "+".join(sorted(self.card.sources))

    @cached_property
    def config(self) -> dict[str, Any]:
        """The recipe, and the back end's overrides."""
        from training.fit.backends import choose_backend

        backend = choose_backend(self.backend)
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "backend": backend,
            "overrides": [change._asdict() for change in overrides(self.recipe, backend)],
            "start": self._start,
            "code": FIT_VERSION,
        }

    @cached_property
    def id(self) -> str:
        """The job's identity: the same data, base, recipe, back end, start and code give the same adapter."""
        return job_id(
            dataset=self.card.id,
            base=self.base.id,
            recipe=self.recipe,
            backend=self.config["backend"],
            start=self._start,
            code=FIT_VERSION,
        )

    @property
    def _start(self) -> str | None:
        return None if self.start is None else content_hash(self.start)

    def fit(self, out: Path, report: "ReportProgress") -> "Fit":
        """Run the training. Raises TrainingError."""
        from training.fit.fitting import fit_dpo, fit_full, fit_sft

        if self.recipe.method == "full":
            return fit_full(self.dataset, self.base, out, self.recipe, report, backend=self.backend)
        if self.recipe.method == "dpo":
            return fit_dpo(self.dataset, self.base, out, self.recipe, self.start, report, backend=self.backend)
        return fit_sft(self.dataset, self.base, out, self.recipe, report, backend=self.backend)

    def is_result(self, directory: Path) -> bool:
        """Whether a directory holds a result of such a training."""
        return (directory / ("config.json" if self.recipe.method == "full" else CONFIG)).is_file()

    def result_hash(self, directory: Path) -> str:
        """The hash of the result: an adapter's registry hash, or a base's hash over its weights."""
        if self.recipe.method != "full":
            return content_hash(directory)
        return hash_files({file.name: hash_file(file) for file in sorted(directory.glob("*.safetensors"))})


def methods(card: Card, technique: Technique = "auto") -> list[Method]:
    """The trainings of a dataset, in order. Raises TrainingError if it lacks what a technique needs.

    With `auto`: supervised if there are pairs, then preferences for code; for planning preferences only, because the
    base's full fine-tune teaches planning.
    """
    pairs, preferences = card.examples["sft"], card.examples["dpo"]
    if technique == "auto":
        wanted: list[Method] = ["dpo"] if card.target is TrainingTarget.PLANNING and preferences else ["sft"]
        if card.target is TrainingTarget.CODE and preferences:
            wanted.append("dpo")
    else:
        wanted = [each for each in ("sft", "dpo") if each in technique.split("+")]
    for method, count, what in (("sft", pairs, "pairs"), ("dpo", preferences, "preferences")):
        if method in wanted and not count:
            raise TrainingError(
                f"dataset {card.id[:12]} has no {what}, which {method} needs; run more campaigns and curate again"
            )
    return wanted


def job_for(
    card: Card, dataset: Path, base: Base, method: Method, settings: TrainingSettings, start: Path | None = None
) -> TrainingJob:
    """The training of a dataset by a method, with the settings' recipe."""
    recipe = recipe_for(card.target, method, settings)
    return TrainingJob(card.target, dataset, card, base, recipe, settings.backend, start)
