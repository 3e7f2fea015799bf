"""People's verdicts on plans: added, and counted, the last one of each plan."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, RowMapping, func, select

from models.errors import UsageError
from models.manifest import PlanningType
from models.plan_reviews import PlanName, PlanReview, ReviewVerdict
from models.protocols import Stage
from store.database import reading
from store.rows import writing
from store.tables import PlanReviewRow, PlanRow, RetrievalLlmCall, TaskRun, same_trajectory, table_of

_REVIEWS, _PLANS = table_of(PlanReviewRow), table_of(PlanRow)
_CALLS, _TRAJECTORIES = table_of(RetrievalLlmCall), table_of(TaskRun)


class GivenVerdict(NamedTuple):
    """A verdict to keep on a plan."""

    name: PlanName
    verdict: ReviewVerdict
    note: str


TYPES = {
    Stage.META_PLAN.value: PlanningType.META,
    Stage.PART_PLAN.value: PlanningType.STEP,
    Stage.TEST_PLAN.value: PlanningType.TEST,
}
"""The type of the plans that a stage makes."""


def add_reviews(engine: Engine, reviews: Sequence[GivenVerdict], reviewer: str) -> int:
    """Keep verdicts on plans, all or none; how many are new: one that the plan's last says already is not kept again.

    Raises UsageError if there is no such plan.
    """
    with writing(engine) as connection:
        return sum(_add(connection, each, reviewer) for each in reviews)


def _add(connection: Connection, given: GivenVerdict, reviewer: str) -> bool:
    plan = _plan(connection, given.name)
    row = PlanReviewRow(
        campaign_id=plan["campaign_id"],
        task_run_id=plan["task_run_id"],
        attempt=plan["attempt"],
        plan_seq=plan["seq"],
        type=TYPES[plan["stage"]].value,
        verdict=given.verdict.value,
        note=given.note,
        reviewer=reviewer,
    )
    query = select(_REVIEWS.c.verdict, _REVIEWS.c.note).where(
        *(_REVIEWS.c[name] == getattr(row, name) for name in ("campaign_id", "task_run_id", "attempt", "plan_seq"))
    )
    last = connection.execute(query.order_by(_REVIEWS.c.id.desc()).limit(1)).first()
    if last is not None and tuple(last) == (given.verdict.value, given.note):
        return False
    connection.execute(_REVIEWS.insert().values(row.model_dump(exclude={"id"})))
    return True


def _plan(connection: Connection, name: PlanName) -> RowMapping:
    """The row of a plan. Raises UsageError for one that is not there, or that no type of plan is of."""
    query = select(_PLANS).where(
        _PLANS.c.task_run_id >= name.trajectory,
        _PLANS.c.task_run_id < name.trajectory + "g",  # "g" follows all hexadecimal digits
        _PLANS.c.attempt == name.attempt,
        _PLANS.c.seq == name.seq,
        _PLANS.c.stage.in_(TYPES),
    )
    found = connection.execute(query.limit(2)).mappings().all()
    if len(found) != 1:
        how = "there is no plan" if not found else "there are several plans"
        raise UsageError(f"{how} {name} in this database; copy the name from a page of `cra review planning`")
    return found[0]


def reviews_of(connection: Connection, campaign_id: str) -> list[PlanReview]:
    """The last verdict on each plan of a campaign that has one, in the order in which they were given."""
    last = (
        select(func.max(_REVIEWS.c.id))
        .where(_REVIEWS.c.campaign_id == campaign_id)
        .group_by(_REVIEWS.c.task_run_id, _REVIEWS.c.attempt, _REVIEWS.c.plan_seq)
    )
    query = (
        select(_REVIEWS, _TRAJECTORIES.c.planner)
        .join(_TRAJECTORIES, same_trajectory(_REVIEWS))
        .where(_REVIEWS.c.id.in_(last))
        .order_by(_REVIEWS.c.id)
    )
    return [
        PlanReview(
            name=PlanName(trajectory=row["task_run_id"], attempt=row["attempt"], seq=row["plan_seq"]),
            campaign=row["campaign_id"],
            type=PlanningType(row["type"]),
            planner=row["planner"],
            model=_model(connection, row),
            verdict=ReviewVerdict(row["verdict"]),
            note=row["note"],
            reviewer=row["reviewer"],
            created_at=row["created_at"],
        )
        for row in connection.execute(query).mappings().all()
    ]


def _model(connection: Connection, row: RowMapping) -> str:
    """The model whose answer became the plan, with its adapter: that of the last call before it."""
    query = (
        select(_CALLS.c.model, _CALLS.c.adapter)
        .where(
            _CALLS.c.campaign_id == row["campaign_id"],
            _CALLS.c.task_run_id == row["task_run_id"],
            _CALLS.c.attempt == row["attempt"],
            _CALLS.c.seq < row["plan_seq"],
        )
        .order_by(_CALLS.c.seq.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return "" if found is None else " with ".join(filter(None, found))


def count_reviews(
    reviews: Sequence[PlanReview],
) -> dict[str, dict[str, dict[str, int]]]:
    """How many plans were judged how, by planner and type of plan."""
    counts = Counter((each.planner, each.type.value, each.verdict.value) for each in reviews)
    found: dict[str, dict[str, dict[str, int]]] = {}
    for planner, kind, _ in sorted(counts):
        verdicts = {each.value: counts[planner, kind, each.value] for each in ReviewVerdict}
        found.setdefault(planner, {})[kind] = verdicts
    return found


def campaign_reviews(engine: Engine, campaign_id: str) -> list[PlanReview]:
    """`reviews_of`, in a transaction of its own."""
    with reading(engine) as connection:
        return reviews_of(connection, campaign_id)
