"""Installations that were built before, kept by the content that they depend on.

Those of commits are found again by the files that packaging reads, so that most commits, and most candidates, need no
build. Those of candidates are found by the content of the whole tree only: any file of a candidate may have taken part
in its build, and what it made must not be used for another tree.
"""

import contextlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from models.errors import InfrastructureError
from runtime.environments.installation import Files, Installation, packaging_key, still_holds, tree_key

_FACTS = "installation.json"
_SCHEMA = 4
"""Raised whenever the same wheel would be laid out otherwise; installations of older schemas are not used."""


class KeptInstallations:
    """Installations under `root`; `builder` names everything besides the tree that a build depends on."""

    def __init__(self, root: Path, builder: str) -> None:
        self._commits = root / f"{_SCHEMA}" / builder / "commits"
        self._candidates = root / f"{_SCHEMA}" / builder / "candidates"

    def find(self, tree: Mapping[str, bytes]) -> Installation | None:
        """The installation that a build of a tree would give, if one like it was built."""
        for path in sorted((self._commits / packaging_key(tree)).glob("*.zip")):
            found = _read(path)
            if found is not None and still_holds(found, tree):
                return replace(found, of_commit=True)
        return _read(self._candidates / f"{tree_key(tree)}.zip")

    def keep(self, tree: Mapping[str, bytes], installation: Installation, *, of_commit: bool) -> None:
        """Keep what a build of a tree gave. Raises InfrastructureError if it cannot be written."""
        whole = f"{tree_key(tree)}.zip"
        _write(self._commits / packaging_key(tree) / whole if of_commit else self._candidates / whole, installation)


def _write(path: Path, installation: Installation) -> None:
    facts = asdict(installation) | {"additions": None, "site": None}
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = file.name
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.writestr(_FACTS, json.dumps(facts))
                for kind in ("additions", "site"):
                    for name, content in getattr(installation, kind).items():
                        archive.writestr(f"{kind}/{name}", content[0])
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InfrastructureError(
            f"{path} cannot be written: {error.strerror}; free disk space or correct its permissions"
        ) from error


def _read(path: Path) -> Installation | None:
    """An installation that was kept; None if there is none. A file that is damaged or cannot be read counts as none."""
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(archive.read(_FACTS))
            overlays: dict[str, Files] = {"additions": {}, "site": {}}
            for name in archive.namelist():
                kind, _, inner = name.partition("/")
                if kind in overlays and inner:
                    overlays[kind][inner] = (archive.read(name), False)
        with contextlib.suppress(PermissionError):  # another user's: it is used, and removed sooner
            os.utime(path)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, ValueError):
        return None
    return Installation(
        import_roots=tuple(facts["import_roots"]),
        scripts=facts["scripts"],
        modules=tuple(facts["modules"]),
        inputs=facts["inputs"],
        namespaces=facts["namespaces"],
        additions=overlays["additions"],
        site=overlays["site"],
    )
