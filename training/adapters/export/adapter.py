"""Conversion of a PEFT LoRA to a GGUF adapter, which llama.cpp and Ollama load with their own copy of the base.

llama.cpp computes W x + (alpha / rank) B A x with one alpha for the whole file; PEFT's settings per module (ranks,
alphas, the square root of rank-stabilised LoRA) are folded into B.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.private import make_directory
from models.errors import TrainingError
from training.adapters.export.layout import Array, float32, read_json, read_layout

_PLAIN = {"use_dora": "DoRA", "modules_to_save": "modules_to_save", "fan_in_fan_out": "fan_in_fan_out",
          "lora_bias": "lora_bias", "alora_invocation_tokens": "aLoRA", "trainable_token_indices": "trained tokens",
          "target_parameters": "target_parameters", "layer_replication": "layer_replication"}  # fmt: skip
_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")


@dataclass(frozen=True)
class Lora:
    """One module's pair. `a` is (rank, in), `b` is (out, rank), in Hugging Face's order; `scale` multiplies B A."""

    module: str
    a: Array
    b: Array
    scale: float


def read_adapter(directory: Path) -> list[Lora]:
    """The pairs of a PEFT adapter, by module.

    Raises TrainingError for anything but plain LoRA (DoRA, saved modules, biases), a missing half, or no tensors.
    """
    config = read_json(directory / "adapter_config.json")
    if config.get("peft_type") != "LORA":
        raise TrainingError(f"{directory} is a {config.get('peft_type')} adapter; only LORA can be exported")
    for key, name in _PLAIN.items():
        if config.get(key):
            raise TrainingError(
                f"{directory} uses {name}, which GGUF adapters cannot hold; export it as merged weights"
            )
    if config.get("bias", "none") != "none":
        raise TrainingError(f"{directory} trains biases, which GGUF adapters cannot hold; export it as merged weights")
    halves = _halves(directory)
    loras = []
    for module, sides in sorted(halves.items()):
        if set(sides) != {"A", "B"} or sides["A"].shape[0] != sides["B"].shape[1]:
            raise TrainingError(f"{directory}: the pair of {module} is incomplete; train the adapter again")
        loras.append(Lora(module, sides["A"], sides["B"], _scale(config, module, sides["A"].shape[0])))
    return loras


def _halves(directory: Path) -> dict[str, dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    path = directory / "adapter_model.safetensors"
    halves: dict[str, dict[str, Array]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  a handle, not a dict
                found = _TENSOR.fullmatch(name)
                if found is None:
                    raise TrainingError(f"{path} holds {name}, which is no LoRA of a linear layer")
                halves.setdefault(found["module"], {})[found["side"]] = float32(file.get_tensor(name))
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read ({error}); see `cra adapters verify`") from error
    if not halves:
        raise TrainingError(f"{path} holds no tensors; train the adapter again")
    return halves


def _scale(config: dict[str, Any], module: str, rank: int) -> float:
    """PEFT's factor for B A: alpha / rank, or alpha / sqrt(rank) if rank-stabilised."""
    alpha = float(config["lora_alpha"])
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.search(rf"(^|\.)({pattern})$", module):
            alpha = float(value)
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def adapter_to_gguf(base_dir: Path, adapter_dir: Path, out: Path) -> Path:
    """Write a PEFT adapter of the base in `base_dir` as the GGUF file `out` (float32). Returns `out`.

    Raises TrainingError if it is not a plain LoRA, or its shapes are not those of the base.
    """
    import gguf

    layout = read_layout(base_dir)
    alpha = float(read_json(adapter_dir / "adapter_config.json").get("lora_alpha") or 1)
    loras = read_adapter(adapter_dir)
    shapes = _shapes(base_dir)
    make_directory(out.parent)
    writer = gguf.GGUFWriter(out, layout.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for lora in loras:
        name = f"{lora.module}.weight"
        _fits(lora, shapes.get(name), base_dir)
        inner = lora.scale * lora.a.shape[0] / alpha
        place = f"{layout.tensor_name(name)}.weight"
        writer.add_tensor(f"{place}.lora_a", lora.a)
        writer.add_tensor(f"{place}.lora_b", layout.ordered(name, lora.b) * inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def _shapes(base_dir: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(base_dir.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


def _fits(lora: Lora, shape: tuple[int, ...] | None, base_dir: Path) -> None:
    if lora.module == "lm_head" or "embed" in lora.module:
        raise TrainingError(f"the adapter changes {lora.module}; only linear layers of blocks can be exported")
    if shape != (lora.b.shape[0], lora.a.shape[1]):
        raise TrainingError(
            f"the adapter's {lora.module} is {lora.b.shape[0]} x {lora.a.shape[1]}, the base {base_dir} has "
            f"{shape or 'no such layer'}; export it with the base that it was trained on"
        )
