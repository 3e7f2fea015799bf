"""The servers that `cra serve` runs for a base of the registry and its active adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm.serving import commands
from llm.serving.commands import AdapterSpec, ListenAddress, ServerLaunch
from llm.serving.llama import DEFAULT_WINDOW
from models.errors import RegistryError, SettingsError
from models.settings import Settings
from training.adapters.export.exporting import embed
from training.adapters.export.ollama import write_modelfile
from training.adapters.export.sources import active_on, of_embedded, rank, ranks_on, trained
from training.adapters.export.weights import to_gguf

if TYPE_CHECKING:
    from store.database import Engine
    from training.adapters.registry import AdapterVersion
    from training.bases.bases import Base

ServingBackend = Literal["vllm", "llama", "ollama"]
ADAPTERS = "adapters-gguf"
"""Folder under the data directory with adapters in GGUF, for the embedded model and llama.cpp."""


@dataclass(frozen=True)
class Serving:
    """A base to be served by a kind of server. With `ready`, the files that the server needs are written; else only
    their paths are computed."""

    curated: "Engine"
    settings: Settings
    base: "Base"
    backend: ServingBackend

    def active(self) -> "list[AdapterVersion]":
        """The active adapters to serve."""
        return active_on(self.curated, self.settings.data_dir, self.base)

    def wanted(self, ready: bool = True) -> list[AdapterSpec]:
        """The active adapters in the form that the server loads."""
        return [AdapterSpec(each.served, self._place(each, ready), rank(each.path)) for each in self.active()]

    def launch(self, place: ListenAddress, ready: bool = True) -> ServerLaunch:
        """The server's command, with the base's window at most. Raises ServingError, SettingsError, TrainingError."""
        settings, base = self.settings.serving.model_copy(update={"window": self._window()}), self.base
        wanted = self.wanted(ready)
        if self.backend == "vllm":
            ranks = ranks_on(self.curated, self.settings.data_dir, base)
            return commands.vllm(settings, base.name, base.path, wanted, ranks, place)
        if self.backend == "llama":
            return commands.llama(settings, base.name, self._base_gguf(ready), wanted, place)
        models = [(base.name, self._modelfile("base", None, ready)), *((each.name, each.path) for each in wanted)]
        return commands.ollama(models, place)

    def _window(self) -> int | None:
        """The context that the server is told to have; None: its default, which the base's window allows.

        vLLM is always told. llama.cpp's default is below a large window, and above a reduced one, past which it would
        answer all the same. Raises SettingsError if the settings ask for more than the base was made for.
        """
        asked, known = self.settings.serving.window, self.base.facts.get("window")
        if known is None:
            return asked
        if asked is not None and asked > known:
            raise SettingsError(
                f"serving.window is {asked}, and base {self.base.name} has a window of {known}; lower or unset it"
            )
        return asked or (known if self.backend == "vllm" or known < DEFAULT_WINDOW else None)

    def _place(self, version: "AdapterVersion", ready: bool) -> Path:
        """The path from which the server loads an adapter."""
        if self.backend == "vllm":
            return version.path
        source = trained(version, self.base)
        if self.backend == "llama":
            folder = self.settings.data_dir / ADAPTERS
            return embed(source, folder) if ready else folder / f"{version.served}.gguf"
        if ready:
            embed(source, self._ollama)
        return self._modelfile(version.served, f"{version.served}.gguf", ready)

    @property
    def _ollama(self) -> Path:
        return self.settings.cache_dir / "ollama" / self.base.id

    def _modelfile(self, name: str, adapter: str | None, ready: bool) -> Path:
        """A Modelfile of the base, or of an adapter on it; all share one copy of the base."""
        path, gguf = self._ollama / f"{name}.Modelfile", self._ollama / "base.gguf"
        if ready and not gguf.is_file():
            self._write_base(gguf)
        return write_modelfile(self.base.path, path, gguf.name, adapter) if ready else path

    def _base_gguf(self, ready: bool) -> Path:
        if of_embedded(self.base):
            from llm.embedded import weights

            return weights()
        path = self.settings.cache_dir / "gguf" / f"{self.base.id}.gguf"
        if ready and not path.is_file():
            self._write_base(path)
        return path

    def _write_base(self, path: Path) -> None:
        part = path.with_suffix(".part")
        to_gguf(self.base.path, part)
        part.replace(path)


def make_ready(curated: "Engine", settings: Settings, version: "AdapterVersion", base: "Base") -> Path | None:
    """Have an adapter ready for the embedded model before it is asked, if it is of its base; None if it is not.

    Done once per adapter; takes as long as an export with its check. Raises TrainingError if the export differs.
    """
    if version.base != base.id:
        raise RegistryError(f"{version.name} is of base {version.base_name}, not of {base.name}")
    return embed(trained(version, base), settings.data_dir / ADAPTERS) if of_embedded(base) else None


def router_view(active: "Sequence[AdapterVersion]") -> list[tuple[str, str | None]]:
    """(stage, served name; None: the base alone) for every stage."""
    from models.protocols import Stage

    by_stage = {stage: each.served for each in active for stage in each.target.stages}
    return [(stage.value, by_stage.get(stage)) for stage in Stage]
