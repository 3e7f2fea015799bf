"""Checks of trained weights that come from elsewhere, against our own base and recipe: nothing is loaded or run."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import RegistryError, TrainingError, UsageError
from training.adapters.registry.weights import CONFIG, Tensor, check_adapter, header
from training.bases.bases import KEPT, Base
from training.bases.files import hash_file, read_json
from training.fit.recipe import Recipe

INDEX = "model.safetensors.index.json"
_BASE_CONFIG = "config.json"
TRAINED = frozenset({_BASE_CONFIG, INDEX})
"""Files of a base, besides its weights, that a training writes."""
OWN = frozenset(KEPT) - TRAINED
"""Files of a base that a training leaves as they are."""
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,40}")
_DTYPES = ("float32", "bfloat16", "float16", None)
_MAY_DIFFER: dict[str, Callable[[object], bool]] = {
    "dtype": lambda value: value in _DTYPES,
    "torch_dtype": lambda value: value in _DTYPES,
    "transformers_version": lambda value: isinstance(value, str) and _VERSION.fullmatch(value) is not None,
    "use_cache": lambda value: value in (True, False, None),
}
"""Keys of a model's configuration that change no answer, of storage and of the library, and what they may say."""
_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_KINDS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_PIECE = 1 << 23
"""Numbers that are compared at a time."""


def adapter_config(recipe: Recipe, base_name: str) -> dict[str, Any]:
    """The configuration that an adapter of a recipe has in PEFT's layout."""
    from training.fit.backends import lora_config

    config: dict[str, Any] = lora_config(recipe).to_dict()
    config |= {"base_model_name_or_path": base_name, "inference_mode": True}
    config["target_modules"] = sorted(config["target_modules"])
    plain: dict[str, Any] = json.loads(json.dumps(config, sort_keys=True))
    return plain


def check_returned_adapter(folder: Path, base: Base, recipe: Recipe) -> None:
    """Raise RegistryError unless a folder holds an adapter of this base with exactly the configuration that the recipe
    gives: the right shapes, finite weights, an effect."""
    check_adapter(folder, base)
    found, wanted = json.loads((folder / CONFIG).read_text()), adapter_config(recipe, base.name)
    version = found.pop("peft_version", "")
    wanted.pop("peft_version", None)
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise RegistryError(f"{folder / CONFIG}: peft_version is no version")
    for key in sorted(found.keys() | wanted.keys()):
        if key not in wanted or key not in found or found[key] != wanted[key]:
            raise RegistryError(
                f"{folder / CONFIG}: {key} is {_shown(found.get(key))}, and the recipe gives {_shown(wanted.get(key))}"
            )


def check_returned_base(folder: Path, base: Base) -> None:
    """Raise RegistryError unless a folder holds this base with other weights: the same tensors, all finite and not all
    as they were, the same configuration and tokenizer."""
    _check_config(folder, base)
    for file in sorted(folder.iterdir()):
        if file.suffix != ".safetensors" and file.name not in TRAINED:
            own = base.path / file.name
            if not own.is_file() or hash_file(own) != hash_file(file):
                raise RegistryError(f"{file}: not as in base {base.name}; only weights may differ")
    before, after = _tensors(base.path), _tensors(folder)
    if odd := sorted(before.keys() ^ after.keys()):
        raise RegistryError(f"{folder}: tensor {odd[0]} is only in one of it and base {base.name}")
    moved = False
    for name, (file, tensor) in sorted(after.items()):
        own_file, own_tensor = before[name]
        if tensor.shape != own_tensor.shape:
            raise RegistryError(f"{file}: {name} has shape {tensor.shape}, in base {base.name} {own_tensor.shape}")
        moved = _check_values(file, name, tensor, (own_file, own_tensor)) or moved
    if not moved:
        raise RegistryError(f"{folder}: every weight is as in base {base.name}; nothing was trained")
    _check_index(folder, after)


def write_gguf(base_dir: Path, trained: Path, out: Path, *, adapter: bool) -> Path:
    """Write what was trained as a GGUF file, an adapter or a whole model; the same weights give the same bytes.

    Raises TrainingError for an architecture or weights that GGUF cannot hold.
    """
    from training.adapters.export.adapter import adapter_to_gguf
    from training.adapters.export.weights import to_gguf
    from training.quiet import quiet_libraries

    with quiet_libraries():
        return adapter_to_gguf(base_dir, trained, out) if adapter else to_gguf(trained, out)


def _check_config(folder: Path, base: Base) -> None:
    try:
        found, own = read_json(folder / _BASE_CONFIG), read_json(base.path / _BASE_CONFIG)
    except (UsageError, RecursionError) as error:
        raise RegistryError(f"{folder}: {error}") from error
    for key in sorted(found.keys() | own.keys()):
        if found.get(key) != own.get(key) and not (key in _MAY_DIFFER and _MAY_DIFFER[key](found.get(key))):
            there, here = _shown(found.get(key)), _shown(own.get(key))
            raise RegistryError(f"{folder / _BASE_CONFIG}: {key} is {there}, in base {base.name} {here}")


def _tensors(folder: Path) -> dict[str, tuple[Path, Tensor]]:
    found: dict[str, tuple[Path, Tensor]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in header(file).items():
            if name in found:
                raise RegistryError(f"{file}: tensor {name} is in {found[name][0].name} as well")
            found[name] = (file, tensor)
    return found


def _check_values(file: Path, name: str, tensor: Tensor, own: tuple[Path, Tensor]) -> bool:
    """Whether a tensor says other numbers than the base's own, and not the same ones stored in another type. Raises
    RegistryError if a value is not finite, or bytes lack."""
    import numpy as np

    _check_size(file, name, tensor)
    own_file, own_tensor = own
    _check_size(own_file, name, own_tensor)
    moved = False
    with file.open("rb") as stream, own_file.open("rb") as reference:
        stream.seek(tensor.start)
        reference.seek(own_tensor.start)
        for at in range(0, math.prod(tensor.shape), _PIECE):
            count = min(_PIECE, math.prod(tensor.shape) - at)
            found = _numbers(stream.read(count * _BYTES[tensor.dtype]), tensor.dtype)
            if not bool(np.all(np.isfinite(found))):
                raise RegistryError(f"{file}: tensor {name} holds NaN or infinite values")
            before = _numbers(reference.read(count * _BYTES[own_tensor.dtype]), own_tensor.dtype)
            moved = moved or _differ(found, tensor.dtype, before, own_tensor.dtype)
    return moved


def _check_size(file: Path, name: str, tensor: Tensor) -> None:
    if tensor.dtype not in _BYTES or tensor.end - tensor.start != math.prod(tensor.shape) * _BYTES[tensor.dtype]:
        raise RegistryError(f"{file}: tensor {name} is {tensor.dtype} of {tensor.end - tensor.start} bytes")


def _numbers(content: bytes, dtype: str) -> Any:
    """Numbers of a type in float32, which holds all of them."""
    import numpy as np

    values = np.frombuffer(content, dtype=_KINDS[dtype])
    return (values.astype("<u4") << 16).view("<f4") if dtype == "BF16" else values.astype("<f4")


def _rounded(values: Any, dtype: str) -> Any:
    """Numbers in float32 as a type would store them, ties to even."""
    import numpy as np

    if dtype == "BF16":
        bits = values.view("<u4")
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype("<u4").view("<f4")
    with np.errstate(over="ignore"):
        return values.astype(_KINDS[dtype]).astype("<f4")


def _differ(found: Any, found_dtype: str, own: Any, own_dtype: str) -> bool:
    """Whether a number differs from the base's own in the base's type, and is not the base's own in its own type."""
    as_own = _rounded(found, own_dtype) != own
    return bool((as_own & (found != _rounded(own, found_dtype))).any())


def _check_index(folder: Path, tensors: dict[str, tuple[Path, Tensor]]) -> None:
    """Raise RegistryError if the index of several files of weights says anything but where they are."""
    if not (folder / INDEX).is_file():
        return
    try:
        places = read_json(folder / INDEX).get("weight_map")
    except (UsageError, RecursionError) as error:
        raise RegistryError(f"{folder}: {error}") from error
    if places != {name: file.name for name, (file, _) in tensors.items()}:
        raise RegistryError(f"{folder / INDEX}: not where the weights are; export the base again")


def require_same_gguf(file: Path, made: Path) -> None:
    """Raise TrainingError if a GGUF file is not what the weights give that it came with."""
    if hash_file(file) != hash_file(made):
        raise TrainingError(f"{file}: not what the weights beside it give as GGUF; export them again")


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
