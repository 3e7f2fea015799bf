"""What a returned folder holds, against the pack's base and recipe: weights, GGUF file, figures of the training."""

import json
import re
import tempfile
from pathlib import Path

from pydantic import ValidationError

from exchange.outsource import layout
from exchange.outsource.layout import PackManifest, first_fault
from exchange.outsource.probes import open_trained
from models.errors import UsageError
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.data.curation import Card
from training.fit.class_bias import bias_after
from training.fit.data import supervised_rows
from training.fit.result import Fit
from training.fit.returned import check_returned_adapter, check_returned_base, require_same_gguf, write_gguf

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_/ .:+-]{0,79}")
"""A name of a figure."""
_LARGEST = 10**12
"""The largest figure of a training (tokens)."""


def check_content(pack: PackManifest, base: Base, card: Card, staged: Path) -> Fit:
    """The result in a staged folder, after all checks that compute nothing with it. Raises RegistryError for weights
    that are not of this base and recipe, TrainingError for a GGUF file of others, UsageError for damaged figures."""
    trained = trained_in(pack, staged)
    if pack.adapter:
        check_returned_adapter(trained, base, pack.recipe)
    else:
        check_returned_base(trained, base)
    if (staged / layout.GGUF).exists():
        with tempfile.TemporaryDirectory(prefix="cra-gguf-", dir=staged) as scratch:
            made = write_gguf(base.path, trained, Path(scratch) / layout.GGUF, adapter=pack.adapter)
            require_same_gguf(staged / layout.GGUF, made)
    _check_losses(staged / layout.LOSSES)
    return _read_fit(pack, card, staged / layout.FIT).model_copy(update={"adapter_dir": trained})


def trained_in(pack: PackManifest, folder: Path) -> Path:
    """The folder of what was trained, in a returned folder."""
    return folder / (layout.ADAPTER if pack.adapter else layout.BASE)


def _read_fit(pack: PackManifest, card: Card, file: Path) -> Fit:
    try:
        fit = Fit.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UsageError(
            f"{file.name} is no result of a training ({first_fault(error)}); let run.py write it again"
        ) from error
    if fit.backend != pack.backend or fit.overrides != pack.overrides:
        found, asked = (f"{each.backend} with {len(each.overrides)} overrides" for each in (fit, pack))
        raise UsageError(f"{file.name}: trained by {found}, and the pack asks for {asked}; train by the recipe")
    numbers = [fit.seconds, *fit.losses, *(loss for _, loss in fit.eval_losses)]
    numbers += [value for kind in fit.margins.values() for value in kind.values()]
    counts = [fit.steps, fit.best_step, fit.tokens, fit.rows, fit.too_long, fit.micro_batch]
    counts += fit.too_long_by_stage.values()
    measured = [fit.changed, *(each for of in fit.objectives.values() for each in of.model_dump().values())]
    named = {*fit.too_long_by_stage, *fit.margins, *(name for kind in fit.margins.values() for name in kind)}
    losses = [*fit.losses, *(loss for _, loss in fit.eval_losses), *(each for each in measured if each is not None)]
    if strange := [name for name in sorted(named) if not _NAME.fullmatch(name)]:
        raise UsageError(f"{file.name}: {strange[0][:80]!a} is no name of a figure; let run.py write it again")
    bad = [each for each in (*numbers, *counts, *measured) if not _sound(each)]
    bad += [each for each in (*counts, *losses, fit.seconds) if each < 0]
    if bad:
        raise UsageError(f"{file.name}: no training has the figure {bad[0]}; let run.py write it again")
    rows = sum(card.examples.values())
    steps = pack.recipe.max_steps or max(1, pack.recipe.epochs * rows)
    if max(fit.steps, fit.best_step) > steps or max(fit.rows, fit.too_long) > rows:
        raise UsageError(
            f"{file.name}: {fit.steps} steps on {fit.rows} rows, and recipe and dataset give at most {steps} on "
            f"{rows}; train by the recipe"
        )
    return fit.model_copy(update={"class_bias": None})  # what decides is fitted here


def fitted_here(pack: PackManifest, base: Base, fit: Fit, dataset: Path) -> Fit:
    """A result with the class bias that our own validation rows give its weights, as a training here fits it."""
    chat = ChatFormat.load(base.path, pack.recipe.thinking)
    rows = supervised_rows(dataset, chat, pack.recipe) if pack.method == "sft" else None
    if rows is None or not any(row.decisions for row in (*rows.train, *rows.validation)):
        return fit
    bias = bias_after(open_trained(base.path, fit.adapter_dir, adapter=pack.adapter), rows, chat)
    return fit.model_copy(update={"class_bias": bias})


def _check_losses(file: Path) -> None:
    """Raise UsageError unless each line is an object of finite numbers with a step."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file.name}: not JSON lines ({error}); let run.py write it again") from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or type(row.get("step")) is not int or not _sound_row(row):
            raise UsageError(f"{file.name}, line {number}: no row of finite losses; let run.py write it again")


def _sound_row(row: dict[str, object]) -> bool:
    losses = [value for name, value in row.items() if name.endswith("loss") and isinstance(value, int | float)]
    return all(map(_NAME.fullmatch, row)) and all(map(_sound, row.values())) and all(loss >= 0 for loss in losses)


def _sound(value: object) -> bool:
    """Whether a figure is one that a training has: none, or a finite number that a database holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value is None
    return abs(value) <= _LARGEST
