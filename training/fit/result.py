"""The result of a training, and its exclusive directory."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from host.private import make_directory
from models.class_bias import ClassBias
from models.errors import TrainingError
from models.objectives import Objective
from models.plans import Frozen
from training.fit.adapter import CONFIG, WEIGHTS
from training.fit.recipe import BackendOverride, TrainingBackend
from training.fit.trainers import unwritable

_FIT, _JOB = "fit.json", "training.json"


class ObjectiveFit(Frozen):
    """An objective of a mixture: its rows, and how often rows of it were trained on in the steps that ran; its share of
    these rows, and of the tokens that were learned in them (those of answers); the mean of its losses in the first and
    in the last tenth of these steps, and its loss on the validation rows at the step whose weights were kept (None:
    none)."""

    rows: int
    drawn: int
    share: float
    token_share: float | None = None
    first: float | None = None
    last: float | None = None
    validation: float | None = None


class Fit(Frozen):
    """The result of a training.

    adapter_dir: the adapter, or the base's files after a full fine-tune. tokens and seconds: of all its runs together,
    padding not counted. losses: of each step. eval_losses: (step, loss on the validation split). best_step: whose
    weights these are. rows, too_long: rows to train on, and rows left out for their length, in all and by stage.
    micro_batch: rows in memory at a time in the end. margins: of preferences before the first step, by kind
    (`training.fit.margins`). class_bias: of a judge's decisions (`training.fit.class_bias`); None for others. changed:
    share of the weights that a full fine-tune changed, as stored. objectives: of a mixture.
    """

    adapter_dir: Path
    backend: TrainingBackend
    steps: int
    best_step: int
    tokens: int
    seconds: float
    rows: int
    too_long: int
    micro_batch: int
    losses: list[float]
    eval_losses: list[tuple[int, float]]
    overrides: tuple[BackendOverride, ...]
    too_long_by_stage: dict[str, int] = Field(default_factory=dict)
    margins: dict[str, dict[str, float]] = Field(default_factory=dict)
    class_bias: ClassBias | None = None
    changed: float | None = None
    objectives: dict[Objective, ObjectiveFit] = Field(default_factory=dict)

    @property
    def tokens_per_second(self) -> float:
        """Tokens learned from per second, evaluations and checkpoints included."""
        return self.tokens / self.seconds if self.seconds else 0.0


def open_place(out: Path, job: dict[str, Any]) -> Fit | None:
    """Claim `out` for this training; returns its result if finished. TrainingError if another training owns it."""
    try:
        make_directory(out)
        file = out / _JOB
        if not file.exists():
            file.write_text(json.dumps(job, indent=1) + "\n")
        elif json.loads(file.read_text()) != job:
            raise TrainingError(f"{out} holds another training (data, base or recipe differ); give another directory")
        if (out / _FIT).exists():
            return Fit.model_validate_json((out / _FIT).read_text())
    except OSError as error:
        raise unwritable(out, error) from error
    return None


def adapter_hash(start: Path | None) -> str | None:
    """Hash of an adapter's two files; None for none. Raises TrainingError if they are missing."""
    if start is None:
        return None
    try:
        files = [(start / name).read_bytes() for name in (CONFIG, WEIGHTS)]
    except OSError as error:
        raise TrainingError(f"{start}: no adapter to start from ({error.strerror})") from error
    return hashlib.sha256(b"".join(hashlib.sha256(file).digest() for file in files)).hexdigest()


def write_fit(out: Path, fit: Fit) -> None:
    """Write the result atomically, which marks the training as finished."""
    part = out / f".{_FIT}"
    part.write_text(fit.model_dump_json(indent=1) + "\n")
    part.replace(out / _FIT)
