"""A base with a smaller context window: its position limit and its rotary base changed together, its weights unchanged.

The rotary base fits the window by the scaling law of Liu et al. 2024, "Scaling Laws of RoPE-based Extrapolation" (arXiv
2310.05209): a base theta and a window T belong to theta' = theta^(ln(T'/2pi) / ln(T/2pi)) for T', so that the
dimensions that go round once within the window stay the same ones. The position limit alone changes nothing that a
model computes. The weights are to be trained on afterwards: they were learnt with the old rotary base.
"""

import hashlib
import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import RegistryError, UsageError
from training.bases.bases import MANIFEST, Base
from training.bases.files import clone_file, hash_file, hash_files, read_facts, read_json

SMALLEST_WINDOW = 256
"""Tokens; fewer hold no prompt of any stage with its answer."""
_CONFIG, _TOKENIZER = "config.json", "tokenizer_config.json"


class Rotary(NamedTuple):
    """What a base's configuration says of positions: its window in tokens, and its rotary base."""

    window: int
    theta: float


def rotary_base(theta: float, window: int, smaller: int) -> float:
    """The rotary base for a window of `smaller` tokens, of a model with `theta` for a window of `window` tokens."""
    return float(theta ** (math.log(smaller / (2 * math.pi)) / math.log(window / (2 * math.pi))))


def read_rotary(config: dict[str, Any], name: str) -> Rotary:
    """Window and rotary base of a configuration, in the form of transformers 5 (`rope_parameters`) or before it.

    Raises UsageError, which names the base, if it has no rotary embeddings, scales them, or has several.
    """
    window = config.get("max_position_embeddings")
    rope = config.get("rope_parameters") or {}
    theta = rope.get("rope_theta", config.get("rope_theta"))
    if any(isinstance(value, dict) for value in rope.values()):
        raise UsageError(
            f"base {name}: its rotary embeddings differ by kind of layer ({', '.join(sorted(rope))}); "
            "its window cannot be reduced, use it as it is"
        )
    scaling = {**(config.get("rope_scaling") or {}), **rope}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind != "default":
        raise UsageError(
            f"base {name}: its rotary embeddings are scaled ({kind}), which stretches them over a larger window; "
            "reduce the window of the base that it was made from"
        )
    if not isinstance(theta, int | float) or not isinstance(window, int) or theta <= 1 or window <= 2 * math.pi:
        raise UsageError(
            f"base {name}: {_CONFIG} ({config.get('model_type', 'no model type')}) names no rotary embeddings "
            "(max_position_embeddings with rope_theta); only the window of a base with them can be reduced"
        )
    return Rotary(window, float(theta))


def reduced_config(config: dict[str, Any], window: int, name: str) -> dict[str, Any]:
    """A configuration with a smaller window and the rotary base that fits it. Raises UsageError.

    The rotary base is written in the form of transformers 5, and also at the top, where older readers look for it (they
    compute with 10,000 where there is none).
    """
    known = read_rotary(config, name)
    if not SMALLEST_WINDOW <= window < known.window:
        raise UsageError(
            f"--window {window}: base {name} has a window of {known.window} tokens; "
            f"give at least {SMALLEST_WINDOW} and fewer than that"
        )
    theta = rotary_base(known.theta, known.window, window)
    rope = {**(config.get("rope_parameters") or {}), "rope_theta": theta, "rope_type": "default"}
    return {**config, "rope_theta": theta, "max_position_embeddings": window, "rope_parameters": rope}


def reduced(base: Base, window: int, folder: Path) -> Path:
    """Write the base's files with a smaller window, and the rotary base that fits it, into `folder`; returns it.

    Weights are the same bytes (tied ones too); the tokenizer's own limit is lowered as well, as servers take the
    smaller of the two. A statement about the base is left out, as it is about other files. A folder that holds them
    already, to the byte, is returned as it is. Raises UsageError for a base without rotary embeddings or with scaled
    ones, a window that is not smaller, and a folder with other files; RegistryError for a base with an altered file.
    """
    _written(base, window, folder)
    return folder


def reduced_base(base: Base, window: int, folder: Path) -> Base:
    """The reduced base in `folder`, written there if it is not yet; it is not registered. Raises as `reduced`."""
    hashes = _written(base, window, folder)
    return Base(hash_files(hashes), f"{base.name}-{window}", folder, base.role, None, read_facts(folder))


def _written(base: Base, window: int, folder: Path) -> dict[str, str]:
    """The hashes of the reduced base's files, all of which are read from `folder` and compared."""
    texts = _texts(base, window)
    known = {name: str(entry["sha256"]) for name, entry in read_json(base.path / MANIFEST).items()}
    expected = known | {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    if folder.is_dir() and any(folder.iterdir()):
        if wrong := _differing(folder, expected):
            raise UsageError(
                f"{folder} holds other files ({wrong} is not that of base {base.name} with a window of {window}); "
                "give a folder that is empty or does not exist"
            )
        return expected
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".reducing-", dir=folder.parent))
        try:
            for name in expected:
                if name in texts:
                    (staging / name).write_text(texts[name], encoding="utf-8")
                else:
                    clone_file(base.path / name, staging / name)
            if wrong := _differing(staging, expected):
                raise RegistryError(
                    f"base {base.name}: {base.path / wrong} is altered; restore it or add the base again"
                )
            staging.chmod(0o755)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; free some space or give another") from error
    return expected


def _texts(base: Base, window: int) -> dict[str, str]:
    """The files that a smaller window changes."""
    texts = {_CONFIG: _as_text(reduced_config(read_json(base.path / _CONFIG), window, base.name))}
    if (base.path / _TOKENIZER).is_file():
        tokenizer = read_json(base.path / _TOKENIZER)
        if tokenizer.get("model_max_length", 0) > window:
            tokenizer["model_max_length"] = window
        texts[_TOKENIZER] = _as_text(tokenizer)
    return texts


def _differing(folder: Path, expected: dict[str, str]) -> str:
    """The first file that is missing, altered or too many; "" for none."""
    there = {str(file.relative_to(folder)): file for file in folder.rglob("*") if not file.is_dir()}
    for name in sorted(there.keys() | expected.keys()):
        if name not in there or name not in expected or hash_file(there[name]) != expected[name]:
            return name
    return ""


def _as_text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def has_smaller_window(base: Base, than: Base) -> bool:
    """Whether a base's window is known to be smaller than another's."""
    sizes = (base.facts.get("window"), than.facts.get("window"))
    return isinstance(sizes[0], int) and isinstance(sizes[1], int) and sizes[0] < sizes[1]
