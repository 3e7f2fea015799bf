"""Prompts and answers of a trajectory, and which answers were accepted.

A question may be asked twice, the second time with the error of the first answer. Only the last answer counts, and only
if it could be parsed and its edits, if any, were applied.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.asking import MALFORMED
from models.protocols import FALLBACK, GENERALIST, Stage
from models.training import Provenance
from store.runs.attempts import StoredCall, rejected_edits, stored_calls, stored_decisions
from store.runs.closed_runs import ClosedRun

if TYPE_CHECKING:
    from store.database import Connection


@dataclass(frozen=True)
class Call(StoredCall):
    """A call of a closed run. `fault` is the reason why the answer is unusable; `by_generalist` whether a generalist
    gave it in place of the stage's own model."""

    run: ClosedRun
    fault: str | None
    by_generalist: bool

    @property
    def place(self) -> str:
        """The part and step of the plan that it concerns."""
        return "/".join(each for each in (self.part, self.step) if each)

    @property
    def provenance(self) -> Provenance:
        """Its provenance. What a generalist answered is not under the planner's name, whose own models did not."""
        found = self.run.provenance(self.seq, self.model, self.adapter)
        return found.model_copy(update={"planner": GENERALIST}) if self.by_generalist else found

    @property
    def says(self) -> tuple[str, str | None, str, str | None]:
        """The training content: stage, prompt, answer and reasoning."""
        return (self.stage.value, self.prompt, self.response, self.reasoning)


NO_PROMPT, UNREAD, CUT_OFF, REJECTED, REPEATED = "no prompt", "malformed", "cut off", "edits rejected", "answered again"


def read_calls(connection: "Connection", run: ClosedRun, stages: Collection[Stage]) -> list[Call]:
    """The calls of some stages in the attempt that closed a trajectory, in order."""
    calls = stored_calls(connection, run.key, stages)
    decided = stored_decisions(connection, run.key, stages, [MALFORMED, FALLBACK])
    unread, fallen = (
        _before(calls, [(each.seq, each.stage) for each in decided if each.decision == name])
        for name in (MALFORMED, FALLBACK)
    )
    rejected: set[int] = set()
    if Stage.CODE in stages:
        rejected = _before(calls, [(seq, Stage.CODE) for seq in rejected_edits(connection, run.key)])
    last = {group[-1].seq for group in _questions(calls)}
    return [
        Call(
            **vars(call),
            run=run,
            fault=_fault(call, unread, rejected, call.seq in last),
            by_generalist=call.seq in fallen,
        )
        for call in calls
    ]


def _before(calls: Sequence[StoredCall], events: Sequence[tuple[int, Stage]]) -> set[int]:
    """Positions of the calls that events (position, stage) refer to: the last earlier call of that stage."""
    found = set()
    for stage in {stage for _, stage in events}:
        positions = [call.seq for call in calls if call.stage is stage]
        for seq in (seq for seq, of in events if of is stage):
            index = bisect_left(positions, seq)
            if index:
                found.add(positions[index - 1])
    return found


def _questions(calls: Sequence[StoredCall]) -> list[list[StoredCall]]:
    """Calls by question: a question's later attempts follow its first."""
    groups: dict[tuple[Stage, str | None, str | None], list[list[StoredCall]]] = {}
    for call in calls:
        of = groups.setdefault((call.stage, call.part, call.step), [])
        if call.attempt == 0 or not of:
            of.append([])
        of[-1].append(call)
    return [group for of in groups.values() for group in of]


def _fault(call: StoredCall, unread: set[int], rejected: set[int], last: bool) -> str | None:
    if call.prompt is None:
        return NO_PROMPT
    if call.seq in unread:
        return UNREAD
    if call.finish_reason == "length":
        return CUT_OFF
    if call.seq in rejected:
        return REJECTED
    return None if last else REPEATED
