"""Checks that a directory is an adapter that servers accept and that fits its base, from headers, without loading it.

A server does not always refuse an adapter that does not fit: it may silently answer as the base does.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import RegistryError
from training.bases.bases import Base
from training.bases.files import hash_file, hash_files

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FILES = (CONFIG, WEIGHTS)
MAX_RANK = 512
_MOST = 1 << 48
"""The largest size or place in a header."""
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_PREFIX = "base_model.model."
_REFUSED = (
    "modules_to_save", "use_dora", "lora_bias", "use_qalora", "trainable_token_indices", "target_parameters",
    "layer_replication", "alora_invocation_tokens", "rank_pattern", "alpha_pattern",
)  # fmt: skip
"""Options that vLLM refuses or silently ignores."""
_CHANGES_BASE = ("pissa", "olora", "loftq", "corda")
"""Initialisations that change the base's own weights: such an adapter fits no frozen base."""


class Tensor(NamedTuple):
    """A tensor in a safetensors header; `start` and `end` are bytes from the beginning of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def content_hash(directory: Path) -> str:
    """The id of an adapter: SHA-256 over the sorted (name, SHA-256) of its two files. Raises RegistryError."""
    try:
        return hash_files({name: hash_file(directory / name) for name in FILES})
    except OSError as error:
        raise RegistryError(
            f"adapter {directory}: {error.filename}: {error.strerror}; it needs {CONFIG}, {WEIGHTS}"
        ) from error


def check_adapter(directory: Path, base: Base) -> None:
    """Raise RegistryError, naming the first fault, unless the directory holds a plain LoRA adapter of this base: what
    its configuration asks for, undamaged weights of the right shapes, and only finite numbers."""
    config = _config(directory / CONFIG, base)
    file = directory / WEIGHTS
    tensors = header(file)
    if not tensors:
        raise RegistryError(f"{file}: there are no tensors in it")
    _check_tensors(file, tensors, config, _base_shapes(base))
    _check_finite(file, tensors)


def _config(file: Path, base: Base) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RegistryError(f"{file}: not readable as JSON ({error}); a PEFT adapter needs it") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise RegistryError(f"{file}: peft_type is not LORA; only LoRA adapters are served")
    named = config.get("base_model_name_or_path")
    if named != base.name:
        raise RegistryError(f"{file}: trained on base {named!r}, not on {base.name!r}; give its own base")
    for name in _REFUSED:
        if config.get(name):
            raise RegistryError(f"{file}: {name} is set, which servers do not support; train without it")
    if config.get("bias", "none") != "none":
        raise RegistryError(f"{file}: bias is {config['bias']!r}, which servers do not support; train with bias = none")
    begun = config.get("init_lora_weights")
    if isinstance(begun, str) and begun.lower().startswith(_CHANGES_BASE):
        raise RegistryError(
            f"{file}: init_lora_weights = {begun!r} changes the base's own weights; train from it frozen"
        )
    rank = config.get("r")
    if not isinstance(rank, int) or not 1 <= rank <= MAX_RANK:
        raise RegistryError(f"{file}: rank r is {rank!r}; servers support 1 to {MAX_RANK}")
    return config


def header(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, from its header. Raises RegistryError if it is not such a file, or its
    header and length do not match."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(size - 8, 100_000_000):
                raise RegistryError(f"{file}: not a safetensors file, or truncated")
            entries = json.loads(stream.read(length))
        entries.pop("__metadata__", None)
        begin = 8 + length
        found = {name: _tensor(entry, begin) for name, entry in entries.items()}
    except OSError as error:
        raise RegistryError(f"{file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(f"{file}: its safetensors header cannot be read ({error})") from error
    at = 8 + length
    for name, tensor in sorted(found.items(), key=lambda entry: (entry[1].start, entry[1].end)):
        if tensor.start != at or tensor.end < at:
            raise RegistryError(f"{file}: tensor {name} does not begin where the one before it ends")
        at = tensor.end
    if at != size:
        raise RegistryError(f"{file}: {size} bytes long, but its header says {at}; it is truncated or altered")
    return found


def _tensor(entry: dict[str, Any], begin: int) -> Tensor:
    """A tensor of a header whose numbers begin at byte `begin`. Raises KeyError, TypeError, ValueError for none."""
    dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    numbers = [*shape, start, end]
    if not isinstance(dtype, str) or not isinstance(shape, list):
        raise TypeError("a type is a name, and a shape a list")
    if not all(type(each) is int and 0 <= each <= _MOST for each in numbers):
        raise ValueError("sizes and places are whole numbers from 0")
    return Tensor(dtype, tuple(shape), begin + start, begin + end)


def _base_shapes(base: Base) -> dict[str, tuple[int, ...]]:
    files = sorted(base.path.glob("*.safetensors"))
    if not files:
        raise RegistryError(f"base {base.name}: no weights in {base.path}; add the base again")
    return {name: tensor.shape for file in files for name, tensor in header(file).items()}


def _check_tensors(
    file: Path, tensors: dict[str, Tensor], config: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = name.removesuffix(".weight")
        module, _, side = part.rpartition(".")
        if not name.endswith(".weight") or not module.startswith(_PREFIX) or side not in ("lora_A", "lora_B"):
            raise RegistryError(f"{file}: tensor {name} does not belong to a plain LoRA (lora_A and lora_B only)")
        if tensor.dtype not in _BYTES or tensor.end - tensor.start != math.prod(tensor.shape) * _BYTES[tensor.dtype]:
            raise RegistryError(
                f"{file}: tensor {name} has {tensor.end - tensor.start} bytes, which does not match its shape"
            )
        modules.setdefault(module.removeprefix(_PREFIX), {})[side] = tensor
    for module, sides in modules.items():
        shape = shapes.get(f"{module}.weight")
        if shape is None or len(shape) != 2:
            raise RegistryError(f"{file}: the base has no matrix {module}; the adapter is of another model")
        rank = config["r"]
        wanted = {"lora_A": (rank, shape[1]), "lora_B": (shape[0], rank)}
        for side, expected in wanted.items():
            found = sides[side].shape if side in sides else None
            if found != expected:
                raise RegistryError(f"{file}: {module}.{side} has shape {found}, its base and rank need {expected}")
    targets = config.get("target_modules")
    if isinstance(targets, list):  # a string is a pattern over names, which is not checked here
        for module in modules:
            if not any(module == target or module.endswith(f".{target}") for target in targets):
                raise RegistryError(f"{file}: {module} is not among target_modules of {CONFIG}")
        for target in targets:
            if not any(module == target or module.endswith(f".{target}") for module in modules):
                raise RegistryError(f"{file}: no tensor for {target}, which {CONFIG} names among target_modules")


def _check_finite(file: Path, tensors: dict[str, Tensor]) -> None:
    import numpy as np

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    moved = False
    with file.open("rb") as stream:
        for name, tensor in tensors.items():
            stream.seek(tensor.start)
            values = np.frombuffer(stream.read(tensor.end - tensor.start), dtype=kinds[tensor.dtype])
            brain = tensor.dtype == "BF16"  # all exponent bits set: NaN or infinite
            finite = bool(np.all((values & 0x7F80) != 0x7F80)) if brain else bool(np.all(np.isfinite(values)))
            if not finite:
                raise RegistryError(f"{file}: tensor {name} holds NaN or infinite values")
            if ".lora_B." in name:
                moved = moved or bool(np.any(values & 0x7FFF if brain else values))
    if not moved:
        raise RegistryError(f"{file}: every lora_B is zero, so the adapter has no effect; train it first")
