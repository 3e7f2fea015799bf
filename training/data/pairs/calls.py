"""What was asked and answered in a trajectory, and which answers stood.

A question may be asked twice: the second time with what was wrong with the first answer. Only the last answer counts,
and that only if it could be read and, where it holds edits, if these were applied.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, select

from agent.asking import MALFORMED
from models.protocols import Stage
from store.rows import table_of
from store.tables import EditRow, RetrievalDecision, RetrievalLlmCall
from training.data.pairs.runs import ClosedRun

_CALLS, _DECISIONS, _EDITS = table_of(RetrievalLlmCall), table_of(RetrievalDecision), table_of(EditRow)


@dataclass(frozen=True)
class Call:
    """One question and its answer, by the hashes of their texts. `fault` says why the answer is worth nothing."""

    run: ClosedRun
    seq: int
    stage: Stage
    place: str
    attempt: int
    request: str
    prompt: str | None
    response: str
    reasoning: str | None
    model: str
    adapter: str | None
    fault: str | None

    @property
    def says(self) -> tuple[str, str | None, str, str | None]:
        """What is learned: stage, prompt, answer and reasoning."""
        return (self.stage.value, self.prompt, self.response, self.reasoning)


NO_PROMPT, UNREAD, CUT_OFF, REJECTED, REPEATED = "no prompt", "malformed", "cut off", "edits rejected", "answered again"


def read_calls(connection: Connection, run: ClosedRun, stages: Collection[Stage]) -> list[Call]:
    """The calls of some stages in the attempt that closed a trajectory, in order."""
    names = [stage.value for stage in stages]
    rows = _of_run(connection, _CALLS, run, _CALLS.c.call_type.in_(names))
    unread = _before(
        rows,
        [
            (row["seq"], row["stage"])
            for row in _of_run(
                connection, _DECISIONS, run, _DECISIONS.c.stage.in_(names) & (_DECISIONS.c.decision == MALFORMED)
            )
        ],
    )
    rejected: set[int] = set()
    if Stage.CODE in stages:
        edits = _of_run(connection, _EDITS, run, _EDITS.c.error.is_not(None))
        rejected = _before(rows, [(row["seq"], Stage.CODE.value) for row in edits])
    last = {id(group[-1]) for group in _questions(rows)}
    return [_call(run, row, _fault(row, unread, rejected, id(row) in last)) for row in rows]


def _of_run(
    connection: Connection, table: Table, run: ClosedRun, condition: ColumnElement[bool]
) -> Sequence[RowMapping]:
    query = (
        select(table)
        .where(
            table.c.campaign_id == run.campaign,
            table.c.task_run_id == run.trajectory,
            table.c.attempt == run.attempt,
            condition,
        )
        .order_by(table.c.seq)
    )
    return connection.execute(query).mappings().all()


def _before(calls: Sequence[RowMapping], events: Sequence[tuple[int, str]]) -> set[int]:
    """Positions of the calls that events, each a position and a stage, are about: the last of that stage before."""
    found = set()
    for stage in {stage for _, stage in events}:
        positions = [row["seq"] for row in calls if row["call_type"] == stage]
        for seq in (seq for seq, of in events if of == stage):
            index = bisect_left(positions, seq)
            if index:
                found.add(positions[index - 1])
    return found


def _questions(rows: Sequence[RowMapping]) -> list[list[RowMapping]]:
    """Calls by question: a question's later attempts follow its first."""
    groups: dict[tuple[str, str | None, str | None], list[list[RowMapping]]] = {}
    for row in rows:
        of = groups.setdefault((row["call_type"], row["part_id"], row["step_id"]), [])
        if row["step_attempt"] == 0 or not of:
            of.append([])
        of[-1].append(row)
    return [group for of in groups.values() for group in of]


def _fault(row: RowMapping, unread: set[int], rejected: set[int], last: bool) -> str | None:
    if row["prompt_hash"] is None:
        return NO_PROMPT
    if row["seq"] in unread:
        return UNREAD
    if row["finish_reason"] == "length":
        return CUT_OFF
    if row["seq"] in rejected:
        return REJECTED
    return None if last else REPEATED


def _call(run: ClosedRun, row: RowMapping, fault: str | None) -> Call:
    return Call(
        run=run,
        seq=row["seq"],
        stage=Stage(row["call_type"]),
        place="/".join(each for each in (row["part_id"], row["step_id"]) if each),
        attempt=row["step_attempt"],
        request=row["request_hash"],
        prompt=row["prompt_hash"],
        response=row["response_hash"],
        reasoning=row["reasoning_hash"],
        model=row["model"],
        adapter=row["adapter"],
        fault=fault,
    )
