"""Whether whole runs of the student succeed steadily: preferences about plans are made from them."""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from harness.store.rows import reading, table_of
from models.tables import CampaignRun, InstanceRow, TaskRun

if TYPE_CHECKING:
    from sqlalchemy import Engine

_RUNS, _TRAJECTORIES, _INSTANCES = table_of(CampaignRun), table_of(TaskRun), table_of(InstanceRow)
STUDENT = "student"


class Steadiness(NamedTuple):
    """The pass rate of the last campaign and of the one before, on the `instances` that both ran."""

    before: float
    now: float
    instances: int

    def holds(self, margin: float, least: int) -> bool | None:
        """Whether runs pass at all and no less often than before by more than `margin`; None where fewer than `least`
        instances were run twice, which shows nothing."""
        return None if self.instances < least else self.now > 0 and self.now >= self.before - margin


def steadiness(raw: "Engine", held_out: Collection[str] = ()) -> Steadiness:
    """How the student did in its last campaign and in the latest before it that shares instances with it.

    Repositories that are `held_out` do not count: challengers that a gate then turns down run on them. Trajectories
    without a verdict do not either. Without two such campaigns there are no instances.
    """
    first, *earlier = _campaigns(raw, held_out) or [{}]
    for other in earlier:
        if shared := sorted(set(first) & set(other)):
            before, now = (sum(each[name] for name in shared) / len(shared) for each in (other, first))
            return Steadiness(before, now, len(shared))
    return Steadiness(0.0, 0.0, 0)


def _campaigns(raw: "Engine", held_out: Collection[str]) -> list[dict[str, float]]:
    """The pass rate of each instance in each campaign of the student, the latest campaign first."""
    latest = func.max(_RUNS.c.started_at)
    order = select(_RUNS.c.campaign_id).group_by(_RUNS.c.campaign_id).order_by(latest.desc(), _RUNS.c.campaign_id)
    rates = (
        select(_TRAJECTORIES.c.campaign_id, _TRAJECTORIES.c.instance_id, _TRAJECTORIES.c.success)
        .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
        .where(
            _TRAJECTORIES.c.planner == STUDENT,
            _TRAJECTORIES.c.success.is_not(None),
            _INSTANCES.c.repository.not_in(sorted(held_out)),
        )
    )
    passed: dict[str, dict[str, list[bool]]] = {}
    with reading(raw) as connection:
        for campaign, instance, success in connection.execute(rates):
            passed.setdefault(campaign, {}).setdefault(instance, []).append(success)
        found = [campaign for campaign in connection.scalars(order) if campaign in passed]
    return [{name: sum(each) / len(each) for name, each in passed[campaign].items()} for campaign in found]
