"""A full fine-tune's result in the precision of its base, and the share of weights that differ from the base's."""

from collections import Counter
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from training.bases.bases import Base
from training.fit.recipe import Masters

_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def stored_dtype(base: Path) -> Any:
    """The dtype (of torch) that most of a base's weights are stored in; float32 for one without 16-bit floats."""
    import torch
    from safetensors import safe_open

    sizes: Counter[str] = Counter()
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(str(file), "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - not a mapping
                part = tensors.get_slice(name)
                count = 1
                for size in part.get_shape():
                    count *= size
                sizes[part.get_dtype()] += count
    most = max(sizes, key=sizes.__getitem__, default="F32")
    return getattr(torch, _DTYPES.get(most, "float32"))


def changed_share(base: Base, result: Path, masters: Masters = "backend") -> float:
    """The share of a result's weights that differ from the base's.

    Old weights are rounded to the precision that they were trained in (`masters`) and then to the result's, as the new
    ones were, so that a difference is learned and none is rounding. Raises TrainingError if none differs, as such a
    training taught nothing, and if the two have no weights of one name and shape.
    """
    import torch

    trained = torch.bfloat16 if masters == "bf16" else None
    before, after = _files(base.path), _files(result)
    total = changed = 0
    for name in sorted(before.keys() & after.keys()):
        old, new = _tensor(before[name], name), _tensor(after[name], name)
        if old.shape == new.shape:
            total += new.numel()
            changed += int((old.to(trained or new.dtype).to(new.dtype) != new).sum())
    if not total:
        raise TrainingError(
            f"{result} has no weight of the name and shape of one of base {base.name} ({_first(after)} there, "
            f"{_first(before)} here), so what changed cannot be said; add the base again as transformers saves it"
        )
    if not changed:
        raise TrainingError(
            f"{result}: none of the base's {total} weights changed; raise training.full_learning_rate, or set "
            "training.full_masters to fp32"
        )
    return changed / total


def _first(files: dict[str, Path]) -> str:
    return min(files, default="none")


def _files(folder: Path) -> dict[str, Path]:
    """The file of each tensor."""
    from safetensors import safe_open

    found: dict[str, Path] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(str(file), "pt") as tensors:
            found |= dict.fromkeys(tensors.keys(), file)
    return found


def _tensor(file: Path, name: str) -> Any:
    from safetensors import safe_open

    with safe_open(str(file), "pt") as tensors:
        return tensors.get_tensor(name)
