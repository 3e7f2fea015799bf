"""Shared context of the learning loop's steps: settings, both databases, the registry, and a progress callback."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evals.sets import reserved
from harness.packages.package import MANIFEST, read_package
from host.locks import process_lock
from models.contenders import ItemClassifier
from models.errors import EvaluationError, GuardrailError
from models.evaluation import Subject
from models.settings import Settings
from models.training import TrainingTarget
from store.database import open_database
from store.runs import RawStore, open_raw_store
from store.runs.packages import package_paths
from training.adapters.registry import AdapterVersion, Registry
from training.bases.bases import Base
from training.cycle import guardrails
from training.cycle.classifier import RankedItems, RankedPrecision, RankedScope, RelevanceContender

if TYPE_CHECKING:
    from store.database import Engine

ProgressCallback = Callable[[str, int, int | None], None]
"""Called with the name of the work, the units done, and their total (None: unknown)."""


def _silent(what: str, done: int, total: int | None) -> None:
    """A callback that ignores progress."""


@dataclass(frozen=True)
class TrainingContext:
    """Settings, the raw and the curated database, the registry of adapters; `notify` reports progress."""

    settings: Settings
    raw: RawStore
    curated: "Engine"
    registry: Registry
    notify: ProgressCallback = _silent
    classifiers: Mapping[TrainingTarget, ItemClassifier] = field(default_factory=dict)
    """What an adapter's answers must beat or add to, by target."""
    in_process: bool = False
    """Whether evaluations run in this process whatever endpoint there is: two bases are then measured alike."""

    @property
    def raw_engine(self) -> "Engine":
        """The raw database."""
        return self.raw.engine

    @contextmanager
    def device(self) -> Iterator[None]:
        """Lock the machine's accelerator (or its processor) for one step at a time."""

        def wait(holder: str) -> None:
            self.notify(f"waiting for the device, locked by process {holder}", 0, None)

        with process_lock(self.settings.cache_dir / "device.lock", wait):
            yield

    def packages_of(self, repositories: Sequence[str]) -> list[Path]:
        """Directories of the packages of repositories, from the campaigns that ran on them last.

        Raises EvaluationError if one is unknown or no longer exists.
        """
        places = {read_package(path).manifest.name: path for path in self.known_packages()}
        if missing := sorted(set(repositories) - set(places)):
            raise EvaluationError(f"the packages of {', '.join(missing)} are unknown; run a gold campaign on them")
        return [places[name] for name in repositories]

    def known_packages(self) -> list[Path]:
        """Existing packages that campaigns ran on, those of the latest runs last."""
        return _known_packages(self.raw_engine)

    def require_reserved(self, repositories: Sequence[str]) -> None:
        """Raise GuardrailError if a repository is not reserved for evaluation."""
        if loose := sorted(set(repositories) - set(reserved(self.curated))):
            raise GuardrailError(
                guardrails.HELD_OUT,
                f"{', '.join(loose)} is not reserved for evaluation; whole runs are judged on reserved repositories: "
                f"cra eval-sets reserve {loose[0]} --reason TEXT",
            )

    def require_reserved_packages(self, packages: Sequence[Path]) -> None:
        """Raise GuardrailError if a package's repository is not reserved for evaluation."""
        self.require_reserved([read_package(path).manifest.name for path in packages])

    def alike(self, thinking: bool | None) -> "TrainingContext":
        """A context in which any bases answer in this process, with the same thinking."""
        training = self.settings.training.model_copy(update={"thinking": thinking, "endpoint": ""})
        settings = self.settings.model_copy(update={"training": training})
        return replace(self, settings=settings, in_process=True)

    def subject(self, base: Base, adapter: AdapterVersion | None) -> Subject:
        """The subject of an evaluation: a base, with an adapter or alone."""
        if adapter is None:
            return Subject(name=base.name, base=base.id)
        bias = adapter.class_bias
        return Subject(
            name=adapter.name, base=base.id, adapter=adapter.id, class_bias="" if bias is None else bias.identity
        )


def open_context(settings: Settings, notify: ProgressCallback = _silent) -> TrainingContext:
    """The databases and the registry that the settings name, opened."""
    curated, raw = open_database(settings.curated_url, "curated"), open_raw_store(settings.raw_url)
    items = RankedItems(partial(_known_packages, raw.engine), settings.cache_dir / "index")
    registry = Registry(curated, settings.data_dir)
    classifiers: dict[TrainingTarget, ItemClassifier] = {
        TrainingTarget.SCOPE: RankedScope(RelevanceContender(), items),
        TrainingTarget.PRECISION: RankedPrecision(items),
    }
    return TrainingContext(settings, raw, curated, registry, notify, classifiers)


def _known_packages(raw: "Engine") -> list[Path]:
    return [path for path in map(Path, package_paths(raw)) if (path / MANIFEST).exists()]
