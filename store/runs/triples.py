"""The results of a campaign in a form in which two runs can be compared."""

import hashlib
from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection, literal, select, union_all

from models.plans import Frozen
from store.tables import OutcomeRow, PlanRow, RetrievalLlmCall, TaskRun, same_attempt, table_of

_TRAJECTORIES = table_of(TaskRun)
_CALLS = table_of(RetrievalLlmCall)
_PLANS = table_of(PlanRow)
_OUTCOMES = table_of(OutcomeRow)
_READ_AHEAD = 1000


class Triple(Frozen):
    """(context, plan, outcome) of a closed trajectory, of the attempt that closed it.

    `context` is the hash of all requests to the planner with what they showed, `plan` of all plans parsed from its
    answers, `patch` the SHA-256 of the patch.
    """

    trajectory: str
    context: str
    plan: str
    patch: str
    outcome: str


def read_triples(connection: Connection, campaign_id: str) -> Iterator[Triple]:
    """Triples in key order, in one pass: memory use does not grow with the campaign."""
    questions = select(
        _CALLS.c.task_run_id.label("run"),
        literal("context").label("part"),
        _CALLS.c.seq.label("seq"),
        _CALLS.c.request_hash.label("first"),
        _CALLS.c.prompt_hash.label("second"),
    )
    plans = select(_PLANS.c.task_run_id, literal("plan"), _PLANS.c.seq, _PLANS.c.plan_hash, literal(None))
    outcomes = select(_OUTCOMES.c.task_run_id, literal("outcome"), literal(0), _OUTCOMES.c.kind, _OUTCOMES.c.patch_hash)
    counted = [
        query.join(
            _TRAJECTORIES,
            same_attempt(table),
        ).where(_TRAJECTORIES.c.campaign_id == campaign_id)
        for query, table in ((questions, _CALLS), (plans, _PLANS), (outcomes, _OUTCOMES))
    ]
    rows = connection.execution_options(yield_per=_READ_AHEAD).execute(
        union_all(*counted).order_by("run", "part", "seq")
    )
    for trajectory, group in groupby(rows, key=lambda row: str(row[0])):
        hashes = {"context": hashlib.sha256(), "plan": hashlib.sha256()}
        outcome, patch = "", ""
        for _, part, _, first, second in group:
            if part == "outcome":
                outcome, patch = first, second
            else:
                hashes[part].update(f"{first} {second}\n".encode())
        yield Triple(
            trajectory=trajectory,
            context=hashes["context"].hexdigest(),
            plan=hashes["plan"].hexdigest(),
            patch=patch,
            outcome=outcome,
        )
