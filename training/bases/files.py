"""Hashes of a base's files, and its metadata, read without loading weights."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from models.errors import UsageError

MERGED = "merged_from"
"""Key in a base's metadata: the adapter that was merged into it."""


def hash_files(hashes: dict[str, str]) -> str:
    """The id of a directory: SHA-256 over its sorted (relative path, SHA-256 of the file) as JSON."""
    return hashlib.sha256(json.dumps(sorted(hashes.items()), separators=(",", ":")).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UsageError if it holds none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{file}: not a JSON object")
    return value


def read_facts(folder: Path) -> dict[str, Any]:
    """The metadata of a base, read from its files without loading weights."""
    from training.bases.chat_format import ChatFormat

    config = read_json(folder / "config.json")
    chat = ChatFormat.load(folder)
    shapes = [tensor for file in sorted(folder.glob("*.safetensors")) for tensor in _tensors(file)]
    merged = {MERGED: config[MERGED]} if MERGED in config else {}
    return merged | {
        "architecture": (config.get("architectures") or [config.get("model_type", "unknown")])[0],
        "parameters": sum(count for _, count in shapes),
        "vocabulary": config.get("vocab_size"),
        "window": config.get("max_position_embeddings"),
        "eos": chat.end,
        "pad": chat.pad,
        "chat_template": chat.template_hash,
        "dtype": "+".join(sorted({dtype for dtype, _ in shapes})),
    }


def _tensors(file: Path) -> list[tuple[str, int]]:
    """(dtype, elements) of every tensor, from the header: 8 bytes of its length, then JSON."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length < 100_000_000:
            raise UsageError(f"{file}: not a safetensors file")
        try:
            header = json.loads(stream.read(length))
        except ValueError as error:
            raise UsageError(f"{file}: not a safetensors file") from error
    counts = []
    for name, entry in header.items():
        if name != "__metadata__":
            count = 1
            for size in entry["shape"]:
                count *= size
            counts.append((entry["dtype"], count))
    return counts


def clone_file(source: Path, target: Path) -> None:
    """Copy a file, by reflink if possible; never by hard link, through which a base could change."""
    import fcntl

    ficlone = 0x40049409
    with source.open("rb") as read, target.open("xb") as write:
        try:
            fcntl.ioctl(write.fileno(), ficlone, read.fileno())
        except OSError:  # no reflinks here, or across file systems
            shutil.copyfileobj(read, write, 1 << 20)
