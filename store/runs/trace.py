"""Traces: everything that was stored under one trajectory, in the order it happened."""

from typing import Any

from sqlalchemy import Connection, RowMapping, select

from models.errors import UsageError
from models.outcomes import Validation
from models.plans import Frozen
from store.runs.attributions import read_attribution
from store.runs.events import (
    CallEvent,
    DecisionEvent,
    EditEvent,
    Event,
    OutcomeEvent,
    PlanEvent,
    ReopeningEvent,
    TestEvent,
    Trace,
)
from store.runs.measurements import own_quality
from store.runs.voiding import voided
from store.tables import (
    EditRow,
    EvidenceColumns,
    InstanceRow,
    OutcomeRow,
    PlanRow,
    Reopening,
    RetrievalDecision,
    RetrievalLlmCall,
    TaskRun,
    TestRun,
    ValidationRow,
    table_of,
)
from store.texts import read_texts

_TRAJECTORIES = table_of(TaskRun)
_HEX = frozenset("0123456789abcdef")


def read_trace(connection: Connection, prefix: str, *, prompts: bool = False) -> Trace:
    """The trace of the one trajectory whose key begins with `prefix`, with the texts of its prompts on request."""
    run = _resolve(connection, prefix)
    instances = table_of(InstanceRow)
    instance = connection.execute(select(instances).where(instances.c.id == run["instance_id"])).mappings().one()
    return Trace(
        id=run["id"],
        campaign=run["campaign_id"],
        repository=instance["repository"],
        instance=instance["instance_id"],
        commit=instance["commit"],
        base_commit=instance["base_commit"],
        package=instance["package_id"],
        planner_identity=read_texts(connection, [run["planner_hash"]])[run["planner_hash"]],
        outcome=run["outcome"],
        events=tuple(_events(connection, run, prompts)),
        outcomes=tuple(_outcomes(connection, run)),
        reopenings=tuple(ReopeningEvent(**_fields(row, ReopeningEvent)) for row in _rows(connection, Reopening, run)),
        **_pick(
            run,
            "planner",
            "temperature",
            "sample",
            "source",
            "attempts",
            "closed_attempt",
            "opened_at",
            "closed_at",
        ),
    )


def _resolve(connection: Connection, prefix: str) -> RowMapping:
    wanted = prefix.strip().lower()
    if not wanted or not set(wanted) <= _HEX:
        raise UsageError(f"{prefix!r} is not a trajectory id; give its first hexadecimal digits")
    # A range, not LIKE, which uses no index under most collations; "g" follows all hexadecimal digits.
    query = (
        select(_TRAJECTORIES)
        .where(_TRAJECTORIES.c.id >= wanted, _TRAJECTORIES.c.id < wanted + "g")
        .order_by(_TRAJECTORIES.c.id)
        .limit(6)
    )
    rows = connection.execute(query).mappings().all()
    if not rows:
        latest = connection.scalars(
            select(_TRAJECTORIES.c.id).order_by(_TRAJECTORIES.c.opened_at.desc(), _TRAJECTORIES.c.id).limit(3)
        ).all()
        hint = f"the latest are {', '.join(latest)}" if latest else "the database holds none yet"
        raise UsageError(f"no trajectory begins with {prefix!r}; {hint}")
    if len(rows) > 1:
        names = ", ".join(row["id"] for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
        raise UsageError(f"{prefix!r} is ambiguous; it begins {names}")
    return rows[0]


def _rows(
    connection: Connection, model: type[EvidenceColumns] | type[OutcomeRow] | type[Reopening], run: RowMapping
) -> list[RowMapping]:
    table = table_of(model)
    query = select(table).where(table.c.campaign_id == run["campaign_id"], table.c.task_run_id == run["id"])
    return list(connection.execute(query.order_by(*table.primary_key)).mappings())


def _events(connection: Connection, run: RowMapping, prompts: bool) -> list[Event]:
    calls = _rows(connection, RetrievalLlmCall, run)
    plans = _rows(connection, PlanRow, run)
    edits = _rows(connection, EditRow, run)
    texts = read_texts(
        connection,
        [row["response_hash"] for row in calls]
        + [row["reasoning_hash"] for row in calls if row["reasoning_hash"]]
        + [row["prompt_hash"] for row in calls if row["prompt_hash"] and prompts]
        + [row["plan_hash"] for row in plans]
        + [row["edit_hash"] for row in edits],
    )
    void = voided(connection, {row["answer_id"] for row in calls} - {None})
    events: list[Event] = [
        DecisionEvent(**_fields(row, DecisionEvent)) for row in _rows(connection, RetrievalDecision, run)
    ]
    events += [
        CallEvent(
            stage=row["call_type"],
            response=texts[row["response_hash"]],
            reasoning=texts[row["reasoning_hash"]] if row["reasoning_hash"] else "",
            prompt=texts.get(row["prompt_hash"]),
            void=row["answer_id"] in void,
            **_fields(row, CallEvent),
        )
        for row in calls
    ]
    events += [PlanEvent(plan=texts[row["plan_hash"]], **_fields(row, PlanEvent)) for row in plans]
    events += [EditEvent(edit=texts[row["edit_hash"]], **_fields(row, EditEvent)) for row in edits]
    events += [TestEvent(**_fields(row, TestEvent)) for row in _rows(connection, TestRun, run)]
    return sorted(events, key=lambda event: (event.attempt, event.seq))


def _outcomes(connection: Connection, run: RowMapping) -> list[OutcomeEvent]:
    rows = _rows(connection, OutcomeRow, run)
    table = table_of(ValidationRow)
    wanted = {row["validation_id"] for row in rows} - {None}
    verdicts = {
        verdict["id"]: verdict for verdict in connection.execute(select(table).where(table.c.id.in_(wanted))).mappings()
    }
    hashes = [verdict["result_hash"] for verdict in verdicts.values()] + [row["patch_hash"] for row in rows]
    texts = read_texts(connection, hashes)
    outcomes = []
    for row in rows:
        verdict = verdicts.get(row["validation_id"])
        result = Validation.model_validate_json(texts[verdict["result_hash"]]) if verdict else None
        outcomes.append(
            OutcomeEvent(
                patch=texts[row["patch_hash"]],
                validation=result,
                attribution=read_attribution(connection, run["campaign_id"], run["id"], row["attempt"]),
                own_tests=own_quality(connection, run["campaign_id"], run["id"], row["attempt"]),
                report_hash=verdict["report_hash"] if verdict else None,
                **_fields(row, OutcomeEvent),
            )
        )
    return outcomes


def _fields(row: RowMapping, model: type[Frozen]) -> dict[str, Any]:
    """The columns of a row that are named like a field of the model."""
    return {name: row[name] for name in model.model_fields if name in row}


def _pick(row: RowMapping, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
