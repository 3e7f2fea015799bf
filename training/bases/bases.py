"""Frozen bases: directories of weights by the hash of their files, copied once and never written again.

A base is in Hugging Face layout: config.json, safetensors, tokenizer.json and a chat template. Files that could
run code or are not needed are not copied: pickled weights, Python files, other formats. Its id is the SHA-256 over its
sorted (relative path, SHA-256 of the file); `manifest.json`, which does not count, holds sizes and hashes, by which a
base is checked by size at every use and in full on request.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host.private import private_directory
from models.errors import RegistryError, UsageError
from models.llm_settings import EMBEDDED
from store.learning.bases import Base as Base
from store.learning.bases import list_bases as list_bases
from store.learning.bases import record_base
from training.bases.files import clone_file, hash_file, hash_files, read_facts, read_json

if TYPE_CHECKING:
    from models.training import Role
    from store.database import Engine

MANIFEST = "manifest.json"
PARENT = "parent"
"""Key in a tuned base's metadata: the base (hash) that it was tuned from."""
ROLE_NAMES = ("reasoning", "coding")
"""Names that stand for the base that a role uses."""
KEPT = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "model.safetensors.index.json",
)
"""Files copied in addition to `*.safetensors`; all others are left out."""
LEAST_PREFIX = 8
"""Fewest characters of an id by which a base may be named."""
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def add_base(
    curated: "Engine",
    data_dir: Path,
    source: Path,
    name: str,
    *,
    role: "Role | None" = None,
    gguf: bool = False,
    version: int | None = None,
    seal: Callable[[Path, Base], Base] | None = None,
) -> Base:
    """Copy a base into `{data_dir}/bases/{id}` and register it under `name`. Idempotent for the same files.

    source: a directory in Hugging Face layout, or a GGUF file with `gguf`, which is converted. seal: adds a statement
    to the directory before it is in its place, and returns the base to record. Raises UsageError if the source is
    neither, holds pickles only, needs its own code, lacks a chat template, or the name is taken.
    """
    if not name or not all(char.isalnum() or char in "._-" for char in name):
        raise UsageError(f"base name {name!r}: letters, digits, dot, dash and underscore only")
    if name in ROLE_NAMES:
        raise UsageError(f"base name {name!r} stands for the base that the role uses; choose another")
    origin = ""
    if gguf:
        from training.bases.gguf import convert, gguf_file

        source = gguf_file(source)
        origin = hash_file(source)
        if (known := _converted_before(curated, origin, name)) is not None:
            return known
    with _staging(data_dir / "bases") as staging:
        if gguf:
            convert(source, staging)
        else:
            _copy(source, staging)
        manifest = {str(file.relative_to(staging)): _entry(file) for file in _files(staging)}
        base_id = hash_files({path: entry["sha256"] for path, entry in manifest.items()})
        try:
            facts = read_facts(staging) | {"source": origin}
        except UsageError as error:  # its files are named as they were given
            raise UsageError(str(error).replace(str(staging), str(source))) from error
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        target = data_dir / "bases" / base_id
        made = Base(base_id, name, target, role, version, facts)
        if target.exists() and not _is_intact(made):
            shutil.rmtree(target)  # damaged, and the same files are at hand
        if seal is not None:
            made = seal(staging, made)
        if not target.exists():
            staging.chmod(0o755)
            staging.rename(target)
    return record_base(curated, made)


def find_base(curated: "Engine", name: str, *, full: bool = False) -> Base:
    """The base with that name or id prefix. Its files are compared with the manifest: by size, and by hash if
    `full` (about 1 s per GB). Raises RegistryError if there is none, or a file is missing or altered."""
    bases = list_bases(curated)
    found = [base for base in bases if base.name == name] or [
        base for base in bases if len(name) >= LEAST_PREFIX and base.id.startswith(name)
    ]
    if not name or len(found) != 1:
        known = ", ".join(base.name for base in bases) or "none"
        raise RegistryError(f"no base {name!r} (known: {known}); add one with `cra bases add PATH --name {name}`")
    verify_base(found[0], full=full)
    return found[0]


def free_name(curated: "Engine", role: "Role", window: int | None = None) -> tuple[str, int]:
    """The name and number of the next tuned base of a role: `{role}-base-v{N}`, or with a smaller window
    `{role}-{window}-base-v{N}`, the window in tokens or, where it is a multiple of 1024, in k."""
    version = 1 + max((base.version or 0 for base in list_bases(curated) if base.role == role), default=0)
    if window is None:
        return f"{role}-base-v{version}", version
    size = f"{window // 1024}k" if window % 1024 == 0 else str(window)
    return f"{role}-{size}-base-v{version}", version


def verify_base(base: Base, *, full: bool = False) -> None:
    """Raises RegistryError naming the first file that is missing, resized or (if `full`) altered."""
    try:
        manifest = json.loads((base.path / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise RegistryError(f"base {base.name}: {base.path} has no readable manifest; add the base again") from error
    if hash_files({path: entry["sha256"] for path, entry in manifest.items()}) != base.id:
        raise RegistryError(f"base {base.name}: the manifest in {base.path} is not the one recorded; add it again")
    for path, entry in manifest.items():
        file = base.path / path
        altered = not file.is_file() or file.stat().st_size != entry["bytes"]
        if altered or (full and hash_file(file) != entry["sha256"]):
            raise RegistryError(f"base {base.name}: {file} is missing or altered; restore it or add the base again")


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A staging directory next to the bases, removed at the end unless it was renamed into place."""
    try:
        private_directory(folder)
        staging = Path(tempfile.mkdtemp(prefix=".adding-", dir=folder))
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}; make it writable or set data_dir") from error
    try:
        yield staging
    except OSError as error:
        raise UsageError(f"base could not be copied to {folder}: {error}; free some space and try again") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _converted_before(curated: "Engine", origin: str, name: str) -> Base | None:
    """The base converted from a GGUF file with this hash, if intact. Raises UsageError if it has another name."""
    known = next((base for base in list_bases(curated) if base.facts.get("source") == origin), None)
    if known is None:
        return None
    if known.name != name:
        raise UsageError(f"these weights are already registered as base {known.name}; use that name")
    return known if _is_intact(known) else None


def _is_intact(base: Base) -> bool:
    """Whether every byte of a base is unchanged; checked when it could be replaced by the same files."""
    try:
        verify_base(base, full=True)
    except RegistryError:
        return False
    return True


def _copy(source: Path, staging: Path) -> None:
    """Copy the files of a base."""
    if not source.is_dir():
        what = "the embedded model" if str(source) == EMBEDDED else "a GGUF file" if source.suffix == ".gguf" else ""
        hint = f"; {what} needs --gguf" if what else ""
        raise UsageError(f"{source}: no directory in Hugging Face layout{hint}")
    weights = sorted(source.glob("*.safetensors"))
    if not weights:
        pickles = sorted(file.name for file in source.iterdir() if file.suffix in _PICKLES)
        found = f"only pickled weights ({pickles[0]}), which can run code; convert them" if pickles else "no weights"
        raise UsageError(f"{source}: {found}; a base needs *.safetensors")
    for needed in ("config.json", "tokenizer.json"):
        if not (source / needed).is_file():
            raise UsageError(f"{source}: {needed} is missing; a base is a directory in Hugging Face layout")
    _refuse_code(source)
    for file in [*weights, *(source / kept for kept in KEPT)]:
        if file.is_file():
            clone_file(file.resolve(), staging / file.name)


def _refuse_code(source: Path) -> None:
    for name in ("config.json", "tokenizer_config.json"):
        file = source / name
        if file.is_file() and "auto_map" in read_json(file):
            raise UsageError(f"{file}: needs its own Python code (auto_map), which is never run; use another base")


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)


def _entry(file: Path) -> dict[str, Any]:
    file.chmod(0o444)
    return {"bytes": file.stat().st_size, "sha256": hash_file(file)}
