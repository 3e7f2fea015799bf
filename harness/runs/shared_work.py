"""A campaign's open trajectories, of which each process that works on it takes one after another."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from harness.runs.campaign_context import Assignment
from models.errors import DatabaseError
from store.runs import RawStore
from store.runs.claims import Claims

_WINDOW = 32
"""Trajectories that one claim looks at."""
_POLL_SECONDS = 1.0
"""Between looks at trajectories that other processes hold."""
_RETRY_SECONDS = (1.0, 5.0)
"""Before a claim that the database broke off is made again."""


class SharedWork(Iterator[Assignment]):
    """Claims assignments in order, each once: an iterator that may go on after it stopped, as leases fall free.

    Trajectories of an instance on which another process works are left for the end, for their prompts share a prefix,
    and their questions about relevance are the same. `over` says whether nothing more is wanted. `elsewhere` is told of
    each trajectory that another process has closed, or that ended in a fault there; the latter are in `ended`.
    """

    def __init__(
        self,
        store: RawStore,
        todo: Sequence[Assignment],
        attempts: dict[str, int],
        over: Callable[[], bool],
        elsewhere: Callable[[Assignment], None],
    ) -> None:
        self._store, self._over, self._elsewhere = store, over, elsewhere
        self._ahead = {each.key: each for each in todo}
        self._behind: dict[str, Assignment] = {}
        self._known = attempts
        self._looked = float("-inf")
        self.ended: list[Assignment] = []

    @property
    def left(self) -> list[str]:
        """The keys of trajectories that are neither taken nor known to be finished."""
        return [*self._ahead, *self._behind]

    def __next__(self) -> Assignment:
        """The next trajectory, leased to this process; StopIteration while none is free."""
        while self._ahead and not self._over():
            if taken := self._claim(self._ahead):
                return taken
        now = time.monotonic()
        if self._behind and not self._over() and now - self._looked > _POLL_SECONDS:
            waiting, self._behind = self._behind, {}
            while waiting:
                if taken := self._claim(waiting):
                    self._behind.update(waiting)
                    return taken
            self._looked = now
        raise StopIteration

    def _claim(self, queue: dict[str, Assignment]) -> Assignment | None:
        """Claim the first free one of a window; what was found of the others leaves the queue."""
        window = list(islice(queue, _WINDOW))
        claims = self._claims(window)
        self.ended += [queue[key] for key in claims.ended]
        for key in claims.closed | claims.ended:
            self._elsewhere(queue.pop(key))
        busy = {queue[key].instance_key for key in claims.held}
        for key in [key for key, each in queue.items() if each.instance_key in busy and key not in claims.taken]:
            self._behind[key] = queue.pop(key)
        return queue.pop(claims.taken[0]) if claims.taken else None

    def _claims(self, window: list[str]) -> Claims:
        """Claim one of `window`. Raises DatabaseError if that fails again and again."""
        known = {key: self._known[key] for key in window}
        for seconds in _RETRY_SECONDS:
            try:
                return self._store.claim(known, 1)
            except DatabaseError as error:
                logging.getLogger(__name__).warning("nothing was claimed: %s", error)
            time.sleep(seconds)
            with contextlib.suppress(DatabaseError):  # of a claim that was stored before the connection broke
                self._store.release(window)
        return self._store.claim(known, 1)
