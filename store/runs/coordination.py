"""Coordination of the processes that share a campaign: claims, questions that one of them asks, budgets."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Literal

from sqlalchemy import select

from models.protocols import Answer, Stage
from store.database import chunks, reading
from store.leases import give_back, live_holders, renewing, take
from store.rows import add, writing
from store.runs.answers import AnswerSlot, answer_row, read_slot
from store.runs.budgets import BudgetState, budget_state, open_budget, reserve, settle
from store.runs.claims import Claims, claim_trajectories
from store.runs.questions import RawReader
from store.tables import TaskRun, table_of
from store.texts import Texts

_TRAJECTORIES = table_of(TaskRun)


class RawCoordination(RawReader):
    """The part of the raw store by which processes share work."""

    def attempts(self, keys: Collection[str]) -> dict[str, int]:
        """The attempts begun at the open trajectories among `keys`."""
        found: dict[str, int] = {}
        query = select(_TRAJECTORIES.c.id, _TRAJECTORIES.c.attempts).where(_TRAJECTORIES.c.closed_at.is_(None))
        with reading(self._engine) as connection:
            for part in chunks(keys):
                found.update(connection.execute(query.where(_TRAJECTORIES.c.id.in_(part))).all())
        return found

    def claim(self, known: Mapping[str, int], most: int) -> Claims:
        """Lease at most `most` of the trajectories in `known`, a small number, to this process.

        `known` maps their keys to the attempts that the caller knows of: see `claim_trajectories`.
        """
        with writing(self._engine) as connection:
            return claim_trajectories(connection, known, most)

    def release(self, names: Collection[str]) -> None:
        """Give back this process's leases on `names`."""
        with writing(self._engine) as connection:
            give_back(connection, names)

    def answer_slot(self, question: str) -> AnswerSlot:
        """The place of a question's current answer, with the answer if there is one."""
        with reading(self._engine) as connection:
            return read_slot(connection, question)

    def claim_answer(self, question: str) -> AnswerSlot | None:
        """Lease a question without an answer to this process; None while another one asks it.

        The returned slot holds the answer if there is one by now, and then nothing is leased.
        """
        with writing(self._engine) as connection:
            slot = read_slot(connection, question)
            if slot.answer is not None:
                return slot
            if not take(connection, [slot.lease]):
                return None
            now = read_slot(connection, question)  # another process may have answered before the lease was taken
            if now.answer is not None or now.id != slot.id:
                give_back(connection, [slot.lease])
                return now if now.answer is not None else None
            return now

    def keep_answer(self, slot: AnswerSlot, stage: Stage | Literal["audit"], answer: Answer) -> str:
        """Store the answer to a question, unless one is stored, and give back the lease; the hash of its text."""
        texts = Texts()
        row = answer_row(slot, stage, answer, texts)
        with writing(self._engine, texts) as connection:
            add(connection, row)
            give_back(connection, [slot.lease])
        return row.text_hash

    def renewing(self) -> AbstractContextManager[None]:
        """A context within which a thread renews the leases of this process."""
        return renewing(self._engine)

    def holders(self, names: Collection[str]) -> dict[str, str]:
        """The processes that hold the leases in force among `names`."""
        return live_holders(self._engine, names)

    def open_budget(self, key: str, max_cost: float | None, max_tokens: int | None) -> None:
        """Create a budget, unless it exists."""
        with writing(self._engine) as connection:
            open_budget(connection, key, max_cost, max_tokens)

    def reserve(self, key: str, cost: float, tokens: int) -> bool:
        """Count the most that a call can use; returns False, and counts nothing, if that would exceed a cap."""
        with writing(self._engine) as connection:
            return reserve(connection, key, cost, tokens)

    def settle(self, key: str, cost: float, tokens: int) -> None:
        """Correct a reservation by the difference between what a call used and what was reserved."""
        with writing(self._engine) as connection:
            settle(connection, key, cost, tokens)

    def budget(self, key: str) -> BudgetState:
        """The state of a budget that was opened."""
        with reading(self._engine) as connection:
            return budget_state(connection, key)
