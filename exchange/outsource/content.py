"""What a returned folder holds, against the pack's base and recipe: weights, GGUF file, figures of the training."""

import json
import math
import tempfile
from pathlib import Path

from pydantic import ValidationError

from exchange.outsource import layout
from exchange.outsource.layout import PackManifest
from exchange.outsource.probes import open_trained
from models.errors import UsageError
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.fit.class_bias import bias_after
from training.fit.data import supervised_rows
from training.fit.result import Fit
from training.fit.returned import check_returned_adapter, check_returned_base, require_same_gguf, write_gguf


def check_content(pack: PackManifest, base: Base, staged: Path) -> Fit:
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
    return _read_fit(pack, staged / layout.FIT).model_copy(update={"adapter_dir": trained})


def trained_in(pack: PackManifest, folder: Path) -> Path:
    """The folder of what was trained, in a returned folder."""
    return folder / (layout.ADAPTER if pack.adapter else layout.BASE)


def _read_fit(pack: PackManifest, file: Path) -> Fit:
    try:
        fit = Fit.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{file.name} is no result of a training; let run.py write it again") from error
    if fit.backend != pack.backend or fit.overrides != pack.overrides:
        raise UsageError(f"{file.name}: trained by back end {fit.backend}, and the pack asks for {pack.backend}")
    numbers = [fit.seconds, *fit.losses, *(loss for _, loss in fit.eval_losses)]
    numbers += [value for kind in fit.margins.values() for value in kind.values()]
    if not all(map(math.isfinite, numbers)) or min(fit.steps, fit.tokens, fit.rows) < 0 or fit.seconds < 0:
        raise UsageError(f"{file.name} holds figures that no training has (NaN, infinite or negative)")
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
    except ValueError as error:
        raise UsageError(f"{file.name}: not JSON lines ({error}); let run.py write it again") from error
    for number, row in enumerate(rows, 1):
        values = row.values() if isinstance(row, dict) and isinstance(row.get("step"), int) else [math.nan]
        if not all(each is None or (isinstance(each, int | float) and math.isfinite(each)) for each in values):
            raise UsageError(f"{file.name}, line {number}: no row of finite losses; let run.py write it again")
