"""Conversion of a GGUF file to a base in Hugging Face layout.

The weights are stored as float32: a dequantised weight is scale x level + offset with 11-bit scales and 4 to 8-bit
levels, which float32 holds exactly as llama.cpp computes it, while bfloat16 (8 bits) would round it to a different
base.
"""

from pathlib import Path
from typing import Any

from models.errors import UsageError
from training.quiet import quiet_libraries

EMBEDDED = "embedded"
"""In place of a path: the embedded model's own file."""


def convert(source: Path, target: Path) -> None:
    """Write a GGUF file in Hugging Face layout into `target`.

    Raises UsageError for an unsupported architecture or pre-tokeniser.
    """
    with quiet_libraries(errors=True):  # one of their progress bars cannot be switched off otherwise
        _convert_tokenizer(source, target)
        _convert_weights(source, target)


def gguf_file(source: Path) -> Path:
    """The GGUF file of a source: that of the embedded model for `embedded`. Raises UsageError if it is not one."""
    if str(source) == EMBEDDED:
        from llm.embedded import weights

        source = weights()
    if not source.is_file():
        raise UsageError(f"{source}: no such file; give a GGUF file, or `embedded` for the embedded model")
    if source.open("rb").read(4) != b"GGUF":
        raise UsageError(f"{source}: not a GGUF file")
    return source


def _convert_weights(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            str(source.parent), gguf_file=source.name, dtype=torch.float32, local_files_only=True
        )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise UsageError(f"{source}: cannot be converted ({str(error).splitlines()[0]})") from error
    config = loaded.config
    # Saving the loaded model directly fails, because it counts as quantised.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = type(loaded)(config)
    fresh.config._name_or_path = ""
    fresh.load_state_dict(loaded.state_dict())
    chat = _chat(target)
    for part in (fresh.config, fresh.generation_config):
        part.eos_token_id, part.pad_token_id = chat.end_id, chat.pad_id
    fresh.save_pretrained(str(target), max_shard_size="100GB")


def _chat(target: Path) -> Any:
    from training.bases.chat_format import ChatFormat

    return ChatFormat.load(target)


def _convert_tokenizer(source: Path, target: Path) -> None:
    """The tokenizer with its chat template; it ends a turn with its own token and pads with another."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name, local_files_only=True)
    tokenizer.backend_tokenizer.pre_tokenizer = _pre_tokenizer(source)
    tokenizer.save_pretrained(str(target))
    chat = _chat(target)
    chat.tokenizer.save_pretrained(str(target))


def _pre_tokenizer(source: Path) -> Any:
    """The pre-tokeniser of the GGUF file: the library's conversion knows only one, which is not SmolLM2's."""
    from gguf import GGUFReader
    from tokenizers import Regex, pre_tokenizers

    field = GGUFReader(str(source)).fields.get("tokenizer.ggml.pre")
    name = field.contents() if field else "default"
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name in ("default", "gpt-2"):
        return plain
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain])
    if name == "qwen2":
        cut = pre_tokenizers.Split(Regex(_QWEN2), behavior="isolated")
        return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    raise UsageError(f"{source}: its pre-tokeniser {name!r} is not supported; use the base in Hugging Face layout")


_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
