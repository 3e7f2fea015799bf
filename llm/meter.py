"""Usage of a run, and the caps at which it stops."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from pydantic import Field

from models.errors import CapReached
from models.plans import Frozen


class Spent(Frozen):
    """Tokens and cost used; an interrupted answer counts with what had arrived."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and generated tokens together, as the cap counts them."""
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: "Spent") -> "Spent":
        """The sum of both."""
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


class Caps(Frozen):
    """Limits at which a run stops; None is no cap."""

    tokens: int | None = Field(None, ge=0)
    cost: float | None = Field(None, ge=0)


class Meter:
    """Counts usage and refuses calls that could exceed a cap. Thread-safe.

    A call reserves the most it can use. While other calls are in flight, whose actual use will free part of their
    reservation, a call that does not fit waits for them; when none is in flight, it is refused.
    """

    def __init__(self, max_tokens: int | None = None, max_cost: float | None = None) -> None:
        self.caps = Caps(tokens=max_tokens, cost=max_cost)
        self._spent = Spent()
        self._out: dict[object, tuple[int, float]] = {}
        self._change = threading.Condition()

    @property
    def spent(self) -> Spent:
        """Usage so far."""
        with self._change:
            return self._spent

    def add(self, spent: Spent) -> None:
        """Count the usage of a call."""
        with self._change:
            self._spent = self._spent.plus(spent)

    @contextmanager
    def aside(self, tokens: int, cost: float) -> Iterator[None]:
        """Reserve the most that a call can use while it is in flight. Raises CapReached if that exceeds a cap."""
        call = object()
        with self._change:
            while not self._fits(tokens, cost, self._out.values()):
                if not self._out or not self._fits(tokens, cost, ()):
                    raise CapReached(self._refusal(tokens, cost))
                self._change.wait()
            self._out[call] = tokens, cost
        try:
            yield
        finally:
            with self._change:
                del self._out[call]
                self._change.notify_all()

    def _fits(self, tokens: int, cost: float, out: Collection[tuple[int, float]]) -> bool:
        all_tokens = self._spent.tokens + tokens + sum(others for others, _ in out)
        all_cost = self._spent.cost + cost + sum(others for _, others in out)
        caps = self.caps
        return (caps.tokens is None or all_tokens <= caps.tokens) and (caps.cost is None or all_cost <= caps.cost)

    def _refusal(self, tokens: int, cost: float) -> str:
        caps = self.caps
        if caps.tokens is not None and self._spent.tokens + tokens > caps.tokens:
            return (
                f"the cap of {caps.tokens} tokens is reached: {self._spent.tokens} are spent and the next call may "
                f"take {tokens}; what is done is kept, run again with a higher cap for the rest"
            )
        return (
            f"the cap on cost, {caps.cost:g}, is reached: {self._spent.cost:.4f} is spent and the next call may take "
            f"{cost:.4f}; what is done is kept, run again with a higher cap for the rest"
        )
