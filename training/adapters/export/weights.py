"""Conversion of a whole model from Hugging Face's layout to one GGUF file in float16 or float32."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from host.private import make_directory
from models.errors import TrainingError
from training.adapters.export.layout import Array, Layout, float32, read_layout
from training.adapters.export.vocabulary import add_vocabulary, copy_vocabulary

Precision = Literal["f16", "f32"]


def to_gguf(model_dir: Path, out: Path, *, precision: Precision = "f16", original: Path | None = None) -> Path:
    """Write the model in `model_dir` (Llama, Qwen2 or Qwen3) as the GGUF file `out`; returns `out`.

    `original` is the model's original GGUF file, whose tokenizer is copied. Matrices get `precision`, vectors stay
    float32. Raises TrainingError for what GGUF cannot express, or float16 cannot hold.
    """
    import gguf

    layout = read_layout(model_dir)
    make_directory(out.parent)
    writer = gguf.GGUFWriter(out, layout.architecture, use_temp_file=True)
    writer.add_type("model")
    writer.add_name(model_dir.name)
    kind = gguf.LlamaFileType.MOSTLY_F16 if precision == "f16" else gguf.LlamaFileType.ALL_F32
    writer.add_file_type(kind)
    _add_shape(writer, layout, model_dir)
    size = int(layout.config["vocab_size"])
    if original is None:
        add_vocabulary(writer, model_dir, size)
    else:
        copy_vocabulary(writer, original, size)
    tied = bool(layout.config.get("tie_word_embeddings"))
    for name, tensor in _tensors(model_dir):
        if "rotary_emb" in name or (tied and name == "lm_head.weight"):
            continue
        writer.add_tensor(*_placed(layout, name, tensor, precision))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def _placed(layout: Layout, name: str, tensor: Array, precision: Precision) -> tuple[str, Array]:
    suffix = "bias" if name.endswith(".bias") else "weight"
    rows = np.ascontiguousarray(layout.ordered(name, tensor))
    if rows.ndim > 1 and precision == "f16":
        with np.errstate(over="ignore"):
            narrow = rows.astype(np.float16)
        if not np.isfinite(narrow).all():
            raise TrainingError(f"{name} has values that float16 cannot hold; export with --precision f32")
        rows = narrow
    return f"{layout.tensor_name(name)}.{suffix}", rows


def _tensors(model_dir: Path) -> Iterator[tuple[str, Array]]:
    from safetensors import SafetensorError, safe_open

    files = sorted(model_dir.glob("*.safetensors"))
    if not files:
        raise TrainingError(f"{model_dir} holds no safetensors; give a directory in Hugging Face's layout")
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  a handle, not a dict
                    yield name, float32(file.get_tensor(name))
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{path} cannot be read ({error})") from error


def _add_shape(writer: Any, layout: Layout, model_dir: Path) -> None:
    config = layout.config
    width = int(config["hidden_size"])
    head = int(config.get("head_dim") or width // layout.heads)
    writer.add_block_count(layout.layers)
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(layout.heads)
    writer.add_head_count_kv(layout.kv_heads)
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_vocab_size(int(config["vocab_size"]))
    _add_rope(writer, config, model_dir)


def _add_rope(writer: Any, config: dict[str, Any], model_dir: Path) -> None:
    import gguf

    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0))
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return
    scalings = {"linear": gguf.RopeScalingType.LINEAR, "yarn": gguf.RopeScalingType.YARN}
    if kind not in scalings:
        known = ", ".join(["default", *sorted(scalings)])
        raise TrainingError(f"{model_dir} scales its positions by {kind!r}; GGUF export knows {known}")
    writer.add_rope_scaling_type(scalings[kind])
    writer.add_rope_scaling_factor(float(rope["factor"]))
    if "original_max_position_embeddings" in rope:
        writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))
