"""How far the instances of a campaign came: from the repo packages to confirmed passes."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from models.manifest import Manifest
from models.outcomes import OutcomeKind
from models.plans import Frozen
from store.tables import Campaign, EditRow, RepoPackageRow, TaskRun, table_of
from store.texts import read_texts

_TRAJECTORIES = table_of(TaskRun)
_PASSED = (OutcomeKind.PASSED.value, OutcomeKind.PASSED_UNCONFIRMED.value)


class Reached(Frozen):
    """How many trajectories came to a point, and on how many instances at least one did."""

    trajectories: int
    instances: int


class PlannerFunnel(Frozen):
    """How far one planner's trajectories came: chosen for the campaign, attempted, an edit applied (in the attempt that
    counts, else the last), hidden tests passed, and the pass confirmed."""

    planner: str
    chosen: Reached
    attempted: Reached
    edited: Reached
    tests_passed: Reached
    confirmed: Reached


class CampaignFunnel(Frozen):
    """The instances of the campaign's repo packages, those of them that are valid, and how far each planner came.

    The two counts are None where the packages are not in the database.
    """

    instances: int | None
    valid: int | None
    planners: tuple[PlannerFunnel, ...]


def read_funnel(connection: Connection, campaign_id: str) -> CampaignFunnel:
    """The funnel of a campaign."""
    manifests = _manifests(connection, campaign_id)
    known = None if manifests is None else [each for manifest in manifests for each in manifest.instances]
    return CampaignFunnel(
        instances=None if known is None else len(known),
        valid=None if known is None else sum(instance.valid for instance in known),
        planners=tuple(_planners(connection, campaign_id)),
    )


def _manifests(connection: Connection, campaign_id: str) -> list[Manifest] | None:
    campaigns, packages = table_of(Campaign), table_of(RepoPackageRow)
    config: dict[str, Any] = connection.scalar(select(campaigns.c.config).where(campaigns.c.id == campaign_id)) or {}
    wanted = set(config.get("packages", ()))
    rows = select(packages.c.manifest_hash).where(packages.c.id.in_(sorted(wanted)))
    hashes = list(connection.scalars(rows))
    if not wanted or len(hashes) < len(wanted):
        return None
    texts = read_texts(connection, hashes)
    return [Manifest.model_validate_json(texts[key]) for key in hashes]


def _planners(connection: Connection, campaign_id: str) -> list[PlannerFunnel]:
    edits = table_of(EditRow)
    applied = (
        select(edits.c.task_run_id, edits.c.attempt)
        .where(edits.c.campaign_id == campaign_id, edits.c.rung.is_not(None))
        .distinct()
        .subquery()
    )
    points: dict[str, ColumnElement[bool]] = {
        "chosen": _TRAJECTORIES.c.id.is_not(None),
        "attempted": _TRAJECTORIES.c.attempts > 0,
        "edited": applied.c.task_run_id.is_not(None),
        "tests_passed": _TRAJECTORIES.c.outcome.in_(_PASSED),
        "confirmed": _TRAJECTORIES.c.outcome == OutcomeKind.PASSED.value,
    }
    columns: list[ColumnElement[Any]] = [_TRAJECTORIES.c.planner]
    for name, reached in points.items():
        columns.append(func.count(case((reached, _TRAJECTORIES.c.id))).label(f"{name} trajectories"))
        columns.append(func.count(case((reached, _TRAJECTORIES.c.instance_id)).distinct()).label(f"{name} instances"))
    query = (
        select(*columns)
        .outerjoin(
            applied,
            (applied.c.task_run_id == _TRAJECTORIES.c.id)
            & (applied.c.attempt == func.coalesce(_TRAJECTORIES.c.closed_attempt, _TRAJECTORIES.c.attempts)),
        )
        .where(_TRAJECTORIES.c.campaign_id == campaign_id)
        .group_by(_TRAJECTORIES.c.planner)
        .order_by(_TRAJECTORIES.c.planner)
    )
    return [
        PlannerFunnel(
            planner=row["planner"],
            **{
                name: Reached(trajectories=row[f"{name} trajectories"], instances=row[f"{name} instances"])
                for name in points
            },
        )
        for row in connection.execute(query).mappings()
    ]
