"""What a change of the base in use ends: adapters that must be trained again, with what that would take."""

from collections.abc import Sequence

from models.plans import Frozen
from models.targets import Role
from models.training import TrainingTarget
from store.learning.trainings import find_training
from training.adapters.registry import AdapterVersion
from training.adapters.registry.base_evidence import targets_of
from training.bases.bases import Base
from training.cycle.context import TrainingContext


class Retraining(Frozen):
    """An adapter of another base than the one in use, and what its training took: rows, tokens and hours as recorded
    (None: not on record). `was_active`: it served until the base changed."""

    adapter: str
    target: TrainingTarget
    base: str
    dataset: str
    rows: int | None
    tokens: int | None
    hours: float | None
    was_active: bool


def invalid_adapters(
    context: TrainingContext, role: Role, base: Base | None, stopped: Sequence[AdapterVersion] = ()
) -> list[Retraining]:
    """The adapters of a role that are of another base than this one, the newest of each target: they cannot be promoted
    while the role uses it. `stopped` are those that a change has just taken out of service. None: any may be used."""
    if base is None:
        return []
    ended = {version.id for version in stopped}
    found = []
    for target in targets_of(role):
        others = [version for version in context.registry.list(target) if version.base != base.id]
        newest = max(others, key=lambda version: version.version, default=None)
        shown = [version for version in others if version.id in ended or version is newest]
        found += [_retraining(context, version, version.id in ended) for version in shown]
    return found


def _retraining(context: TrainingContext, version: AdapterVersion, was_active: bool) -> Retraining:
    done = find_training(context.raw_engine, version.plan_id)
    rows = None if done is None else done.metrics.get("rows")
    return Retraining(
        adapter=version.name,
        target=version.target,
        base=version.base_name,
        dataset=version.dataset_id,
        rows=rows if isinstance(rows, int) else None,
        tokens=None if done is None else done.tokens,
        hours=None if done is None else round(done.seconds / 3600, 2),
        was_active=was_active,
    )
