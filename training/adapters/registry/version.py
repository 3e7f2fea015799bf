"""An adapter as the registry knows it."""

from datetime import datetime
from pathlib import Path
from typing import Any

from models.plans import Frozen
from models.training import TrainingTarget
from store.active_adapters import served_name
from store.tables import AdapterMetadata


class AdapterVersion(Frozen):
    """A registered adapter. `id` is the hash of its two files, `base` that of its base; `path` its directory."""

    id: str
    target: TrainingTarget
    version: int
    base: str
    base_name: str
    path: Path
    dataset_id: str
    plan_id: str
    metrics: dict[str, Any]
    active: bool
    trained_at: datetime
    created_at: datetime

    @property
    def name(self) -> str:
        """The name for people, `{target}-v{N}`."""
        return f"{self.target.value}-v{self.version}"

    @property
    def served(self) -> str:
        """The name that servers know it by, which carries its hash."""
        return served_name(self.target, self.version, self.id)


def version_of(row: AdapterMetadata, base_name: str) -> AdapterVersion:
    """The adapter of a row."""
    return AdapterVersion(
        id=row.id,
        target=TrainingTarget(row.stage),
        version=row.version,
        base=row.base,
        base_name=base_name,
        path=Path(row.path),
        dataset_id=row.dataset_id,
        plan_id=row.plan_id,
        metrics=row.metrics,
        active=row.active,
        trained_at=row.trained_at,
        created_at=row.created_at,
    )
