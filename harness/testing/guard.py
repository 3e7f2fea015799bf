"""What a judged run's watcher saw the tested code do to the run itself."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.sandbox import Sandbox
from harness.testing.plugin import Plugin
from harness.testing.records import read_left
from models.plans import Frozen

_PLUGIN = Path(__file__).with_name("_guard_plugin.py")


class Sighting(Frozen):
    """Something that tested code did to its own judging: the kind, what exactly, and which file did it, if known."""

    kind: str
    what: str
    file: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}" + (f" by {self.file}" if self.file else "")

    @property
    def place(self) -> tuple[str, str, str]:
        """What makes it the same as another: the commit's own code may do this too, in the same file.

        Of the runner it is the part that was replaced, since the file that did it is not known.
        """
        return self.kind, self.file, self.what if self.kind == "runner" else ""


class _Record(Frozen):
    nonce: str
    seen: tuple[tuple[str, str, str], ...]
    hidden: dict[str, str]


_RECORD = TypeAdapter(_Record)


class Guard:
    """Watches one judged run. `hidden` are the paths of its hidden test files, relative to the work tree at `tree`."""

    def __init__(self, sandbox: Sandbox, tree: Path, hidden: Sequence[str]) -> None:
        root = sandbox.workdir_path(tree)
        inside = {os.path.normpath(root / path): tree / path for path in hidden}
        self._written = {path: _digest(there) for path, there in inside.items()}
        self._seen: list[Sighting] | None = None
        told = {"root": str(root), "hidden": sorted(inside)}
        self.plugin = Plugin(_PLUGIN, "guard", told, self._collect)

    @property
    def seen(self) -> list[Sighting] | None:
        """What was seen; None if the watcher did not report, although a run that ended by itself does."""
        return self._seen

    def _collect(self, results: Path, nonce: str) -> None:
        self._seen = None
        try:
            record = _RECORD.validate_json(read_left(results / "guard.json") or b"")
        except ValidationError:
            return
        if record.nonce != nonce:
            return
        changed = sorted(path for path, digest in self._written.items() if record.hidden.get(path) != digest)
        self._seen = [Sighting(kind=kind, what=what, file=file) for kind, what, file in record.seen]
        self._seen += [Sighting(kind="tests", what=f"{path} was rewritten", file="") for path in changed]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
