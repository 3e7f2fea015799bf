"""The layout of a bundle, and its manifest in the one spelling that it has.

    DIR/manifest/bundle.json      every file by path, size and hash; every chunk by hash and part; sorted, without dates
    DIR/manifest/signing-key.pub  the public key; its fingerprint is compared with one that came another way
    DIR/manifest/statement.sig    model-signing's signature over the folder manifest/
    DIR/install.py, README.md ... the plain files: read before anything is unpacked, listed by hash as well
    DIR/part-0001/<aa>/<sha256>   chunks: content-addressed, the same content once

A bundle's id is the SHA-256 of bundle.json. With a limit on the size of parts each part folder has copies of manifest/
and of the plain files, so that it can be verified on a medium of its own. A chunk whose part is null is not in this
bundle: the bundle that it is a differential to (`base`), or one before that, holds it.
"""

import hashlib
import json
import re
from typing import Literal

from pydantic import Field, ValidationError

from exchange.bundle.installer.faults import InstallError
from exchange.bundle.installer.manifest import read_manifest as read_as_installer
from exchange.folders import SHA256, FileEntry
from models.errors import UsageError
from models.plans import Frozen

MANIFEST, BUNDLE, KEY = "manifest", "bundle.json", "signing-key.pub"
INSTALL, GUIDE, SBOM = "install.py", "README.md", "sbom.json"
CHUNK_BYTES = 256 << 20
"""The most bytes of a chunk."""
MANIFEST_BYTES = 256 << 20
"""The most bytes of a manifest that is read."""
Category = Literal[
    "code", "wheel", "interpreter", "model", "adapter", "corpus", "database", "evaluation", "key", "document"
]
PART = re.compile(r"part-([0-9]{4,})")
"""The name of a part's folder."""


class BundledFile(Frozen):
    """A file that the installer lays at a path below the prefix. Its chunks, in order, are its content."""

    category: Category
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=SHA256)
    executable: bool = False
    chunks: tuple[str, ...]


class ChunkEntry(Frozen):
    """A chunk. `part`: the number of the part that it is in; None: an earlier bundle holds it."""

    bytes: int = Field(ge=1, le=CHUNK_BYTES)
    part: int | None = Field(default=None, ge=1)


class BundleManifest(Frozen):
    """A bundle. `python` and `platform` are those that its wheels are for; `folders` are empty folders, which a git
    clone needs; `part_bytes` is the most bytes of a part's folder (None: one part of any size)."""

    version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9._+-]{1,100}$")
    base: str | None = Field(default=None, pattern=SHA256)
    python: str = Field(pattern=r"^3\.[0-9]{1,2}$")
    platform: str = Field(pattern=r"^[a-z0-9_-]{1,60}$")
    extras: tuple[str, ...]
    part_bytes: int | None = Field(default=None, ge=1)
    files: dict[str, BundledFile]
    folders: tuple[str, ...] = ()
    chunks: dict[str, ChunkEntry]
    plain: dict[str, FileEntry]

    @property
    def id(self) -> str:
        """SHA-256 of the manifest's bytes."""
        return hashlib.sha256(spelled(self)).hexdigest()

    @property
    def parts(self) -> list[int]:
        """The numbers of the parts, from 1."""
        return sorted({chunk.part for chunk in self.chunks.values() if chunk.part is not None})

    def in_part(self, number: int) -> dict[str, ChunkEntry]:
        """The chunks of a part, by hash."""
        return {name: chunk for name, chunk in self.chunks.items() if chunk.part == number}


def part_name(number: int) -> str:
    """The name of a part's folder."""
    return f"part-{number:04d}"


def chunk_path(sha256: str) -> str:
    """The path of a chunk in its part's folder."""
    return f"{sha256[:2]}/{sha256}"


def spelled(manifest: BundleManifest) -> bytes:
    """The one spelling of a manifest."""
    value = manifest.model_dump(mode="json")
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")


def read_manifest(content: bytes, name: str) -> BundleManifest:
    """A manifest from its bytes. Raises UsageError, with `name`, if they are none, are spelled otherwise, or contradict
    themselves."""
    try:
        found = BundleManifest.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"])) or "text"
        raise UsageError(f"{name} is no manifest of a bundle ({where!a}: {fault['msg']}); copy it again") from error
    if spelled(found) != content:
        raise UsageError(f"{name} was altered after it was written; copy it again")
    try:
        read_as_installer(content)  # as the installer reads it: what is made can be installed
    except InstallError as error:
        raise UsageError(f"{name}: {error}") from error
    return found
