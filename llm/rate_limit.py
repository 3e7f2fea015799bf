"""How fast an endpoint is asked: additive increase, multiplicative decrease (as TCP's AIMD), and a circuit breaker.

Both live on one event loop and need no locks.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FAILED_CALLS = 3
"""Calls given up in a row after which an endpoint counts as down."""


class AimdLimiter:
    """Lets at most `limit` calls out at a time: halved when the endpoint complains, raised by one per round of good
    answers, never above `ceiling` or below one."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self._out = 0
        self._round = 0
        self._not_before = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Wait for a turn; yields the round, to be handed to `slow_down`."""
        while self._out >= int(self.limit):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise
        self._out += 1
        try:
            if (pause := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            yield self._round
        finally:
            self._out -= 1
            self._wake()

    def speed_up(self) -> None:
        """An answer came."""
        self.limit = min(self.ceiling, self.limit + 1 / self.limit)
        self._wake()

    def slow_down(self, round_: int, pause: float = 0.0) -> None:
        """A call of that round was told to wait or timed out; calls that were out at the same time count as one."""
        self._not_before = max(self._not_before, time.monotonic() + pause)
        if round_ == self._round:
            self._round += 1
            self.limit = max(1.0, self.limit / 2)

    def _wake(self) -> None:
        free = int(self.limit) - self._out
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1


class CircuitBreaker:
    """Stops asking an endpoint that failed call after call; after a while one call may try again."""

    def __init__(self) -> None:
        self._failed = 0
        self._open_until = 0.0
        self._why = ""

    def refusal(self) -> str | None:
        """Why the endpoint is not asked now, or None if it is. After the pause the next caller is let through."""
        left = self._open_until - time.monotonic()
        if left <= 0:
            return None
        return f"{self._why}; not asked again for {left:.0f} s"

    @property
    def on_trial(self) -> bool:
        """Whether the next call only tries whether the endpoint is back: one attempt is enough."""
        return self._failed >= FAILED_CALLS

    def good(self) -> None:
        """A call was answered."""
        self._failed, self._open_until = 0, 0.0

    def bad(self, why: str, pause: float, *, at_once: bool = False) -> None:
        """A call was given up; at the third in a row (or at once) nobody asks for `pause` seconds."""
        self._failed += 1
        self._why = why
        if at_once or self._failed >= FAILED_CALLS:
            self._open_until = time.monotonic() + pause
