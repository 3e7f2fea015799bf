"""The layout of a model's weights in GGUF: names of tensors, and the order of rows that llama.cpp expects."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError

Array = NDArray[Any]

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
"""Hugging Face's architectures that can be exported, by GGUF's name. Their rotary embeddings limit the
list: llama.cpp pairs neighbours for `llama` and halves for the others, so only there rows are permuted."""
_PERMUTED = {"llama": ("q_proj", "k_proj")}


@dataclass(frozen=True)
class Layout:
    """The fields of config.json that determine the weights' layout. `heads` and `kv_heads` count attention heads."""

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    config: dict[str, Any]

    @cached_property
    def _names(self) -> Any:
        import gguf

        kinds = {word: kind for kind, word in gguf.MODEL_ARCH_NAMES.items()}
        return gguf.get_tensor_name_map(kinds[self.architecture], self.layers)

    def tensor_name(self, name: str) -> str:
        """GGUF's name, without suffix, of a tensor such as `model.layers.0.self_attn.q_proj.weight`.

        Raises TrainingError if GGUF has no such tensor.
        """
        found = self._names.get_name(name.removesuffix(".weight").removesuffix(".bias"))
        if found is None:
            raise TrainingError(
                f"tensor {name} has no place in GGUF's {self.architecture} with {self.layers} layers; "
                "export it as merged weights instead"
            )
        return str(found)

    def ordered(self, name: str, rows: Array) -> Array:
        """Output rows of a Hugging Face tensor (a weight, a bias, or LoRA's B) in llama.cpp's order."""
        module = name.split(".")[-2]
        if module not in _PERMUTED.get(self.architecture, ()):
            return rows
        heads = self.heads if module == "q_proj" else self.kv_heads
        halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
        return halves.swapaxes(1, 2).reshape(rows.shape)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file. Raises TrainingError if it is missing or holds none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainingError(f"{path} does not exist; give a directory in Hugging Face's layout") from error
    except (ValueError, OSError) as error:
        raise TrainingError(f"{path} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise TrainingError(f"{path} holds no JSON object")
    return value


def read_layout(base: Path) -> Layout:
    """The layout of a base directory. Raises TrainingError for an architecture that cannot be exported."""
    config = read_json(base / "config.json")
    named = (config.get("architectures") or ["none"])[0]
    if named not in ARCHITECTURES:
        raise TrainingError(
            f"{base} is a {named}; GGUF export knows {', '.join(sorted(ARCHITECTURES))}; export it as merged weights"
        )
    try:
        heads = int(config["num_attention_heads"])
        kv_heads = int(config.get("num_key_value_heads") or heads)
        return Layout(ARCHITECTURES[named], int(config["num_hidden_layers"]), heads, kv_heads, config)
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{base / 'config.json'} is incomplete ({error!r})") from error


def float32(tensor: Any) -> Array:
    """A torch tensor (bfloat16 included) as a NumPy array of float32."""
    return np.ascontiguousarray(tensor.to("cpu").float().numpy())
