"""Export of an adapter: write it in a format, verify it, and only then move it into place."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import CleanRoomError, RegistryError, TrainingError, UsageError
from training.adapters.export.adapter import adapter_to_gguf
from training.adapters.export.compare import Comparison, Reference, open_reference
from training.adapters.export.llama import LlamaTrial, available
from training.adapters.export.merge import merge
from training.adapters.export.ollama import MODELFILE, write_modelfile
from training.adapters.export.weights import Precision, to_gguf
from training.quiet import quiet_libraries

Format = Literal["gguf", "ollama", "merged"]
_DRAFT = ".export-"
"""Prefix of directories of unfinished exports; a killed export leaves one behind."""
_BFLOAT16 = 0.1
"""Allowed mean difference due to weights rounded to bfloat16."""


@dataclass(frozen=True)
class ExportSource:
    """An adapter to export: its directory and that of its base, under a served name. `original` is the GGUF file from
    which the base was converted, if any."""

    name: str
    base_dir: Path
    adapter_dir: Path
    original: Path | None = None


@dataclass(frozen=True)
class Exported:
    """The written export; `comparison` is None if it was not checked."""

    directory: Path
    files: tuple[str, ...]
    comparison: Comparison | None


def export(
    trained: ExportSource,
    form: Format,
    out: Path,
    *,
    check: bool = True,
    precision: Precision = "f16",
    overwrite: bool = False,
) -> Exported:
    """Write an adapter as a GGUF adapter (`gguf`), GGUF base and adapter with a Modelfile (`ollama`), or merged weights
    in Hugging Face's layout (`merged`) into the directory `out`.

    It is written next to `out` first, and moved there once its token probabilities match PEFT's (if `check`). Raises
    TrainingError if they do not, or if the format cannot hold it, UsageError if `out` is not empty and `overwrite` is
    false.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be made a directory: {error.strerror}; give another") from error
    if not overwrite and any(not each.name.startswith(_DRAFT) for each in out.iterdir()):
        raise UsageError(f"{out} is not empty; give another directory with --out, or --overwrite")
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix=_DRAFT, dir=out) as name:
        draft = Path(name) / "draft"
        draft.mkdir()
        comparison = _write(trained, form, draft, check, precision)
        files = tuple(sorted(path.name for path in draft.iterdir()))
        for file in files:
            (draft / file).chmod(0o644)
            (draft / file).replace(out / file)
    return Exported(out, files, comparison)


def _write(trained: ExportSource, form: Format, draft: Path, check: bool, precision: Precision) -> Comparison | None:
    base_dir, adapter_dir = trained.base_dir, trained.adapter_dir
    if form == "merged":
        merge(base_dir, adapter_dir, draft)
        return check_merged(open_reference(base_dir, adapter_dir), draft) if check else None
    adapter = adapter_to_gguf(base_dir, adapter_dir, draft / f"{trained.name}.gguf")
    if form == "ollama":
        base = to_gguf(base_dir, draft / "base.gguf", precision=precision, original=trained.original)
        write_modelfile(base_dir, draft / MODELFILE, base.name, adapter.name)
        return check_gguf(trained, adapter, base) if check else None
    return check_gguf(trained, adapter, None) if check else None


def check_gguf(trained: ExportSource, adapter: Path, base: Path | None) -> Comparison:
    """Compare a GGUF adapter, on the GGUF file `base` (None: one is converted for this), with PEFT.

    Raises TrainingError if they differ, or llama.cpp is not installed, RegistryError for an adapter without effect.
    """
    if not available():
        raise TrainingError(
            "llama.cpp is not installed, so the export cannot be checked: run `uv sync --inexact --extra local`, "
            "or give --no-check"
        )
    with tempfile.TemporaryDirectory(prefix="cra-export-") as scratch:
        model = base or to_gguf(trained.base_dir, Path(scratch) / "base.gguf", original=trained.original)
        try:
            trial = LlamaTrial(model, adapter)
            trial.check_tokens(trained.base_dir)
        except TrainingError:
            raise
        except CleanRoomError as error:
            raise TrainingError(f"llama.cpp does not load the export of {trained.name} ({error})") from error
        comparison = open_reference(trained.base_dir, trained.adapter_dir).compare(trial.adapted, trial.plain)
    return _judged(trained.name, comparison)


def check_merged(reference: Reference, merged: Path) -> Comparison:
    """Compare merged weights with PEFT. Raises TrainingError if they differ."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32, local_files_only=True).eval()

    def asked(ids: object) -> dict[int, float]:
        with torch.no_grad():
            scores = model(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1)
        best = scores.topk(10)
        return {int(token): float(score) for token, score in zip(best.indices, best.values, strict=True)}

    return _judged(str(merged.name), reference.compare(asked), allowed=_BFLOAT16)


def _judged(name: str, comparison: Comparison, allowed: float | None = None) -> Comparison:
    if comparison.without_effect:
        raise RegistryError(
            f"{name}: the adapter has no effect on the trial prompts, so that it cannot be verified; nothing was "
            "written: train it for longer, or with a higher training.learning_rate"
        )
    refusal = comparison.refusal() if allowed is None else comparison.refusal(allowed)
    if refusal:
        raise TrainingError(f"{name}: {refusal}; nothing was written")
    return comparison


def embed(trained: ExportSource, folder: Path, *, check: bool = True) -> Path:
    """Export an adapter for the embedded model to `{folder}/{served name}.gguf`, unless it exists.

    Raises TrainingError if that fails, or the export differs from what was trained, RegistryError for an adapter that
    has no effect.
    """
    place = folder / f"{trained.name}.gguf"
    if not place.is_file():
        with tempfile.TemporaryDirectory(prefix="cra-embed-") as scratch:
            export(trained, "gguf", Path(scratch), check=check and available())
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f".{trained.name}.part"
            shutil.copyfile(Path(scratch) / place.name, part)
            part.replace(place)
    return place
