"""The two folders of a training elsewhere: what is packed, and what is returned. Each has a manifest of all its files.

Manifests are JSON in one spelling (sorted, without dates and paths of a machine), so that the same inputs give the same
bytes, and a manifest in another spelling is not one of these.
"""

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from exchange.folders import SHA256, FileEntry
from models.errors import UsageError
from models.plans import Frozen
from models.targets import Role, TrainingTarget
from training.bases.files import hash_file
from training.fit.recipe import BackendOverride, Method, Recipe, TrainingBackend

PackFormat = Literal["cra", "llamafactory"]

MANIFEST = "manifest"
"""The signed folder: the pack's manifest and its signature."""
PACK, RETURNED = "pack.json", "returned.json"
RUN, REQUIREMENTS, QUESTIONS, GUIDE = "run.py", "requirements.txt", "questions.jsonl", "README.md"
CODE, DATA, BASE, WHEELS, LLAMAFACTORY = "code", "data", "base", "wheels", "llamafactory"
SAVED = "saved"
MADE = ("env", "work", "returned", f"{LLAMAFACTORY}/{SAVED}")
"""Folders that `run.py` or another trainer makes in a pack; they are no part of it."""
ANSWERS, PROBES, FIT, LOSSES = "answers.jsonl", "probes.jsonl", "fit.json", "losses.jsonl"
ADAPTER, GGUF = "adapter", "model.gguf"


class Needs(Frozen):
    """What the training takes: bytes of disk, memory and GPU memory (0: no GPU), tokens trained on, and seconds. Rough
    figures, from the numbers of parameters and tokens."""

    disk: int
    memory: int
    gpu_memory: int
    tokens: int
    seconds: int


class PackManifest(Frozen):
    """A training to be done elsewhere. `job` is its identity here; dataset, base and evaluation set are hashes.

    `python` and `platform` are those that the wheels, or the hashes of them, are for. base_files: of the base, whether
    it is in the pack or not. overrides: what the back end changes of the recipe.
    """

    version: Literal[1] = 1
    format: PackFormat
    target: TrainingTarget
    method: Method
    role: Role | None
    dataset: str = Field(pattern=SHA256)
    base: str = Field(pattern=SHA256)
    base_name: str
    base_files: dict[str, FileEntry]
    recipe: Recipe
    backend: TrainingBackend
    overrides: tuple[BackendOverride, ...]
    job: str = Field(pattern=SHA256)
    evaluation_set: str | None
    python: str
    platform: str
    needs: Needs
    files: dict[str, FileEntry]

    @property
    def id(self) -> str:
        """SHA-256 of the manifest's bytes."""
        return hashlib.sha256(spelled(self).encode()).hexdigest()

    @property
    def adapter(self) -> bool:
        """Whether an adapter comes back, and not a base."""
        return self.method != "full"


class ReturnManifest(Frozen):
    """What comes back of a pack (its id): every file but this one. `seal` is the SHA-256 of the rest of the manifest,
    so that a changed byte of it shows."""

    version: Literal[1] = 1
    pack: str = Field(pattern=SHA256)
    files: dict[str, FileEntry]
    seal: str = ""

    def sealed(self) -> "ReturnManifest":
        """The manifest with its seal."""
        bare = spelled(self.model_copy(update={"seal": ""}))
        return self.model_copy(update={"seal": hashlib.sha256(bare.encode()).hexdigest()})


M = TypeVar("M", PackManifest, ReturnManifest)


def spelled(manifest: PackManifest | ReturnManifest) -> str:
    """The one text of a manifest."""
    return json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def read_manifest(content: bytes, kind: type[M], name: str) -> M:
    """A manifest from its bytes. Raises UsageError, with `name`, if they are none or spelled otherwise."""
    try:
        found = kind.model_validate_json(content)
    except ValidationError as error:
        raise UsageError(
            f"{name} cannot be read as a manifest ({first_fault(error)}); copy the folder again"
        ) from error
    if spelled(found).encode() != content or (isinstance(found, ReturnManifest) and found.sealed() != found):
        raise UsageError(f"{name} was altered after it was written; copy the folder again")
    return found


def entry_of(file: Path) -> FileEntry:
    """The entry of a file."""
    return FileEntry(bytes=file.stat().st_size, sha256=hash_file(file))


def entries_of(root: Path, leave_out: tuple[str, ...] = ()) -> dict[str, FileEntry]:
    """The entries of all files below a folder of our own, by path; without what lies in the folders or files named."""
    found = (file for file in sorted(root.rglob("*")) if file.is_file())
    paths = ((file, file.relative_to(root)) for file in found)
    return {path.as_posix(): entry_of(file) for file, path in paths if path.parts[0] not in leave_out}


def plain_path(path: str) -> bool:
    """Whether a path of a manifest stays below its folder: relative, of plain names, printable, and not long."""
    parts = PurePosixPath(path).parts
    return (
        0 < len(path) <= 300
        and path.isprintable()
        and "\\" not in path
        and not path.startswith("/")
        and "/".join(parts) == path
        and ".." not in parts
    )


def first_fault(error: ValidationError) -> str:
    """The first fault, on one line, without the value."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'text'}: {fault['msg']}"
