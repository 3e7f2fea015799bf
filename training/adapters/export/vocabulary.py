"""A byte-level BPE tokenizer, written into a GGUF file: tokens, their kinds, merges, special tokens, chat template."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from training.adapters.export.layout import read_json

_TOKENIZER = "tokenizer."


def add_vocabulary(writer: Any, base: Path, size: int) -> None:
    """Add the tokenizer of a base directory; `size` is the number of rows of its embedding.

    Raises TrainingError for a tokenizer that is not byte-level BPE, or whose pre-tokeniser is unknown to llama.cpp.
    """
    import gguf

    tokenizer = read_json(base / "tokenizer.json")
    model = tokenizer.get("model") or {}
    if model.get("type") != "BPE":
        raise TrainingError(f"{base / 'tokenizer.json'} is {model.get('type')}; only byte-level BPE can be exported")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split_name(tokenizer, base))
    tokens, kinds = _tokens(tokenizer, size, base)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    special = gguf.SpecialVocab(base, load_merges=True, n_vocab=size)
    if special.chat_template is None:
        template = base / "chat_template.jinja"
        special.chat_template = template.read_text(encoding="utf-8") if template.is_file() else None
    special.add_special_token.setdefault("bos", False)
    special.add_to_gguf(writer, quiet=True)


def split_name(tokenizer: dict[str, Any], base: Path) -> str:
    """llama.cpp's name for a tokenizer's pre-tokeniser. Raises TrainingError if it has none."""
    steps = list(_steps(tokenizer.get("pre_tokenizer") or {}))
    kinds = [str(step.get("type")) for step in steps]
    if kinds == ["ByteLevel"]:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    pattern = str(steps[0].get("pattern", {}).get("Regex", "")) if kinds == ["Split", "ByteLevel"] else ""
    if r"\p{N}|" in pattern:
        return "qwen2"
    raise TrainingError(
        f"{base / 'tokenizer.json'} splits texts by {' then '.join(kinds) or 'nothing'}, for which llama.cpp's name is "
        "unknown; give the GGUF from which the base was converted, whose tokenizer is then used"
    )


def _steps(pre_tokenizer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if pre_tokenizer.get("type") == "Sequence":
        for step in pre_tokenizer.get("pretokenizers") or ():
            yield from _steps(step)
    elif pre_tokenizer:
        yield pre_tokenizer


def _tokens(tokenizer: dict[str, Any], size: int, base: Path) -> tuple[list[str], list[int]]:
    import gguf

    words = {int(number): word for word, number in tokenizer["model"]["vocab"].items()}
    added = {int(entry["id"]): entry for entry in tokenizer.get("added_tokens") or ()}
    most = max([*words, *added])
    if most >= size:
        raise TrainingError(f"{base}: the tokenizer has token {most}, the embedding {size} rows; they do not match")
    tokens: list[str] = []
    kinds: list[int] = []
    for number in range(size):
        if number in added:
            entry = added[number]
            tokens.append(str(entry["content"]))
            kinds.append(int(gguf.TokenType.CONTROL if entry.get("special") else gguf.TokenType.USER_DEFINED))
        elif number in words:
            tokens.append(words[number])
            kinds.append(int(gguf.TokenType.NORMAL))
        else:
            tokens.append(f"[PAD{number}]")
            kinds.append(int(gguf.TokenType.UNUSED))
    return tokens, kinds


def copy_vocabulary(writer: Any, original: Path, size: int) -> None:
    """Copy the tokenizer's fields from a base's original GGUF file. Raises TrainingError if it does not fit."""
    import gguf

    try:
        reader = gguf.GGUFReader(original)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{original} is no GGUF file ({error})") from error
    tokens = reader.fields.get("tokenizer.ggml.tokens")
    if tokens is None or len(tokens.data) != size:
        held = 0 if tokens is None else len(tokens.data)
        raise TrainingError(f"{original} has {held} tokens, the base has {size}; give its original GGUF file")
    for name, field in reader.fields.items():
        if name.startswith(_TOKENIZER):
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
