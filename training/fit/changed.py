"""A full fine-tune's result in the precision of its base, and the share of weights that differ from the base's."""

from collections import Counter
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from training.bases.bases import Base

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


def changed_share(base: Base, result: Path) -> float:
    """The share of a result's weights that differ from the base's, in the result's precision. Raises TrainingError if
    none does: such a training taught nothing."""
    before, after = _files(base.path), _files(result)
    total = changed = 0
    for name in sorted(before.keys() & after.keys()):
        old, new = _tensor(before[name], name), _tensor(after[name], name)
        if old.shape == new.shape:
            total += new.numel()
            changed += int((old.to(new.dtype) != new).sum())
    if not changed:
        raise TrainingError(
            f"{result}: none of the base's {total} weights changed; raise training.full_learning_rate, or set "
            "training.full_masters to fp32"
        )
    return changed / total


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
