"""Keeping within the disk: what goes before a round, recorded before it goes, and nothing that lineage needs."""

import shutil
from collections.abc import Callable
from pathlib import Path

from host.throwaway import discard
from models.operation_settings import OperationSettings
from models.plans import Frozen
from models.settings import Settings
from runtime.environments.store import EnvironmentStore, disk_usage
from training.cycle.context import TrainingContext
from training.operation.inventory import (
    ENVIRONMENTS_FOLDER,
    RetentionItem,
    RetentionKind,
    find_superfluous,
)

GIB = 2**30


class DiskState(Frozen):
    """Bytes that the data and cache directories take, and those free on their disks (the smaller of two)."""

    used: int
    free: int

    def excess(self, limits: OperationSettings) -> int:
        """Bytes that must go to keep within the budget and to have enough free."""
        over = 0 if limits.disk_budget_gib is None else self.used - int(limits.disk_budget_gib * GIB)
        return max(0, over, int(limits.least_free_gib * GIB) - self.free)


class RetentionPlan(Frozen):
    """What would go and what may stay for now, in order; `excess` are the bytes that must go, `short` those of them
    that cannot be freed without what lineage needs."""

    disk: DiskState
    excess: int
    going: tuple[RetentionItem, ...]
    staying: tuple[RetentionItem, ...]

    @property
    def freed(self) -> int:
        """Bytes of what goes."""
        return sum(item.bytes for item in self.going)

    @property
    def short(self) -> int:
        """Bytes that are still missing when all of it is gone."""
        return max(0, self.excess - self.freed)


def disk_state(settings: Settings) -> DiskState:
    """The disk as it is now."""
    places = [path.resolve() for path in (settings.data_dir, settings.cache_dir)]
    outer = [path for path in dict.fromkeys(places) if not any(path.is_relative_to(o) for o in places if o != path)]
    there = [next(each for each in (path, *path.parents) if each.exists()) for path in outer]
    return DiskState(
        used=sum(disk_usage(path) for path in outer if path.is_dir()),
        free=min(shutil.disk_usage(path).free for path in there),
    )


def plan_retention(context: TrainingContext, idle: bool) -> RetentionPlan:
    """What would go now: checkpoints of ended trainings in any case, then as much as is needed, cheapest first.

    If not even all of it suffices, only the checkpoints go: the rest would be deleted in vain. Raises RegistryError
    for an adapter whose lineage cannot be read.
    """
    disk = disk_state(context.settings)
    excess = disk.excess(context.settings.operation)
    found = find_superfluous(context, idle)
    always = [item for item in found if item.kind is RetentionKind.CHECKPOINTS]
    rest = [item for item in found if item.kind is not RetentionKind.CHECKPOINTS]
    going, freed = list(always), sum(item.bytes for item in always)
    if freed + sum(item.bytes for item in rest) >= excess:
        for item in rest:
            if freed >= excess:
                break
            going.append(item)
            freed += item.bytes
    return RetentionPlan(
        disk=disk, excess=excess, going=tuple(going), staying=tuple(item for item in found if item not in going)
    )


def apply_retention(
    plan: RetentionPlan, settings: Settings, record: Callable[[RetentionItem], None]
) -> list[RetentionItem]:
    """Delete what a plan says; `record` is called with each item before it goes. Returns what is gone: an environment
    in use is passed over."""
    gone = []
    for item in plan.going:
        if not item.path.exists():
            continue
        record(item)
        if item.kind is RetentionKind.ENVIRONMENTS:
            if _environments(settings).remove(item.path.name):
                gone.append(item)
            continue
        discard(item.path)
        gone.append(item)
    return gone


def _environments(settings: Settings) -> EnvironmentStore:
    budget = int(settings.environment_budget_gib * GIB)
    return EnvironmentStore(settings.cache_dir / ENVIRONMENTS_FOLDER, budget)


def sizes(data_dir: Path, cache_dir: Path) -> dict[str, int]:
    """Bytes by what lies directly in the data directory, and of the cache."""
    found = {
        path.name: disk_usage(path) if path.is_dir() else path.stat().st_size
        for path in sorted(data_dir.glob("*"))
        if path.resolve() != cache_dir.resolve() and not path.is_symlink()
    }
    return found | {"(cache)": disk_usage(cache_dir) if cache_dir.is_dir() else 0}
