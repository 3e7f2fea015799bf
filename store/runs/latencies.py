"""How long calls to models took, by planner and stage."""

from sqlalchemy import ColumnElement, Connection, case, func, select

from models.plans import Frozen
from store.tables import RetrievalLlmCall, TaskRun, same_trajectory, table_of

_TRAJECTORIES = table_of(TaskRun)
_CALLS = table_of(RetrievalLlmCall)


class StageLatency(Frozen):
    """Seconds that the calls of one planner at one stage took, answers that were reused left out.

    `median` and `p90` are the latencies that half and nine tenths of the calls did not exceed (nearest rank).
    """

    planner: str
    stage: str
    calls: int
    median: float
    p90: float
    slowest: float


def read_latencies(connection: Connection, campaign_id: str) -> tuple[StageLatency, ...]:
    """Latencies in a campaign, by planner and stage. The database ranks them, however many there are."""
    stages = _TRAJECTORIES.c.planner, _CALLS.c.call_type
    ranked = (
        select(
            _TRAJECTORIES.c.planner,
            _CALLS.c.call_type.label("stage"),
            _CALLS.c.latency,
            func.row_number().over(partition_by=stages, order_by=_CALLS.c.latency).label("place"),
            func.count().over(partition_by=stages).label("calls"),
        )
        .join(_TRAJECTORIES, same_trajectory(_CALLS))
        .where(_CALLS.c.campaign_id == campaign_id, _CALLS.c.reused.is_(False))
        .subquery()
    )

    def quantile(percent: int) -> ColumnElement[float]:
        return func.min(case((ranked.c.place * 100 >= ranked.c.calls * percent, ranked.c.latency)))

    query = (
        select(
            ranked.c.planner,
            ranked.c.stage,
            func.count().label("calls"),
            quantile(50).label("median"),
            quantile(90).label("p90"),
            func.max(ranked.c.latency).label("slowest"),
        )
        .group_by(ranked.c.planner, ranked.c.stage)
        .order_by(ranked.c.planner, ranked.c.stage)
    )
    return tuple(StageLatency.model_validate(dict(row)) for row in connection.execute(query).mappings())
