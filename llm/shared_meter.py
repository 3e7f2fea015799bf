"""Usage of a run that several processes share: its caps hold for all of them together, by the database."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from llm.meter import Meter, Spent
from models.errors import CapReached

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 120.0
"""How long a call that does not fit waits for reservations of other processes to be settled."""


class Budgets(Protocol):
    """The budgets of the database (`store.runs.RawStore`)."""

    def reserve(self, key: str, cost: float, tokens: int) -> bool:
        """Count the most that a call can use, unless that would exceed a cap."""
        ...

    def settle(self, key: str, cost: float, tokens: int) -> None:
        """Correct a reservation."""
        ...


class SharedMeter(Meter):
    """A meter whose caps are those of a budget in the database.

    A call reserves the most it can use there, and settles it when it has ended. The reservation of a process that dies
    is never settled: what it asked was probably paid.
    """

    def __init__(self, budgets: Budgets, key: str, max_tokens: int | None, max_cost: float | None) -> None:
        super().__init__(max_tokens, max_cost)
        self._budgets, self._key = budgets, key
        self._in_flight = 0
        self._guard = threading.Lock()

    def add(self, spent: Spent) -> None:
        """Count the usage of a call, here and for all."""
        super().add(spent)
        self._budgets.settle(self._key, spent.cost, spent.tokens)

    @contextmanager
    def aside(self, tokens: int, cost: float) -> Iterator[None]:
        """Reserve the most that a call can use while it is in flight. Raises CapReached if that exceeds a cap."""
        self._reserve(tokens, cost)
        try:
            yield
        finally:
            with self._guard:  # first: a database that is away must not leave this process waiting for itself
                self._in_flight -= 1
            self._budgets.settle(self._key, -cost, -tokens)

    def _reserve(self, tokens: int, cost: float) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._budgets.reserve(self._key, cost, tokens):
            with self._guard:
                mine = self._in_flight
            if not mine and time.monotonic() > deadline:
                caps = ", ".join(f"{name} {value:g}" for name, value in self.caps if value is not None)
                raise CapReached(
                    f"the cap that all processes of this run share ({caps}) is reached: the next call may take "
                    f"{tokens} tokens and cost {cost:.4f}; what is done is kept, raise the cap for the rest"
                )
            time.sleep(_POLL_SECONDS)
        with self._guard:
            self._in_flight += 1
