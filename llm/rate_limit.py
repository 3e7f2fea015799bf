"""Rate limit of an endpoint: additive increase, multiplicative decrease (AIMD, as in TCP), and a circuit breaker.

Both live on one event loop and need no locks.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FAILED_CALLS = 3
"""Failed calls in a row after which an endpoint counts as down."""


class AimdLimiter:
    """Allows at most `limit` concurrent calls: halved when the endpoint is overloaded, raised by one per round of good
    answers, always between one and `ceiling`."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self._out = 0
        self._round = 0
        self._not_before = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Wait for a slot; yields the round, to be passed to `slow_down`."""
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
        """Count a successful answer."""
        self.limit = min(self.ceiling, self.limit + 1 / self.limit)
        self._wake()

    def slow_down(self, round_: int, pause: float = 0.0) -> None:
        """A call of that round was throttled or timed out; calls in flight at the same time count as one."""
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
    """Stops calls to an endpoint after consecutive failures; after a pause one trial call is allowed."""

    def __init__(self) -> None:
        self._failed = 0
        self._open_until = 0.0
        self._why = ""

    def refusal(self) -> str | None:
        """Why calls are refused now, or None if they are not. After the pause the next caller is let through."""
        left = self._open_until - time.monotonic()
        if left <= 0:
            return None
        return f"{self._why}; not asked again for {left:.0f} s"

    @property
    def on_trial(self) -> bool:
        """Whether the next call is a trial (half-open): one attempt is enough."""
        return self._failed >= FAILED_CALLS

    def good(self) -> None:
        """Count a successful call."""
        self._failed, self._open_until = 0, 0.0

    def bad(self, why: str, pause: float, *, at_once: bool = False) -> None:
        """Count a failed call; at the third in a row (or `at_once`) calls are refused for `pause` seconds."""
        self._failed += 1
        self._why = why
        if at_once or self._failed >= FAILED_CALLS:
            self._open_until = time.monotonic() + pause
