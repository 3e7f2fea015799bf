"""Supervision of a server: health checks, restarts, and loading of each newly promoted adapter."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

from llm.serving.commands import AdapterSpec, ServerLaunch
from llm.serving.process import ServerProcess
from llm.serving.server import Loaded, Server, sync
from models.errors import CleanRoomError, ServingError

_SICK = 3
"""Failed health checks in a row after which a server is restarted."""


@dataclass
class ServerSupervisor:
    """A server with its process. `wanted` returns the adapters to serve; `report` is called with one line per event.

    `relaunch` builds the command again, for a server that loads adapters at its start only.
    """

    process: ServerProcess
    server: Server
    wanted: Callable[[], Sequence[AdapterSpec]]
    report: Callable[[str], None]
    relaunch: Callable[[], ServerLaunch] | None = None
    proven: dict[str, Loaded] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    _sick: int = 0

    def bring_up(self) -> None:
        """Start, warm up, load and check. Raises ServingError. Call `close` in any case."""
        seconds = self.process.start()
        warm = self.server.warm()
        self.report(f"up after {seconds:.1f} s, first answer after {warm:.1f} s")
        self.update()

    def update(self) -> None:
        """Load adapters promoted since, and check them."""
        wanted = self.wanted()
        if self.relaunch and not self.process.launch.runtime and not {each.name for each in wanted} <= {*self._there()}:
            self.report("an adapter was promoted, which this server loads at its start only; it is restarted")
            self.process.stop()
            self.process.launch = self.relaunch()
            self.process.start()
            self._again()
        done = sync(self.server, [each for each in wanted if each.name not in self.failed], tuple(self.proven))
        for each in done.loaded:
            self.proven[each.name] = each
            self.report(
                f"{each.name}: loaded in {each.load_seconds:.2f} s, probed in {each.probe_seconds:.2f} s, "
                f"effect {each.effect:.4f}"
            )
        for name, why in done.failed.items():
            self.failed[name] = why
            self.report(why)
        for name, why in done.unanswered.items():
            self.report(f"{name}: {why}; it is retried")

    def _there(self) -> dict[str, str]:
        return self.server.names() | self.failed

    def state(self, name: str) -> str:
        """State of an adapter: `serving`, `failed` or `not loaded`."""
        return "serving" if name in self.proven else "failed" if name in self.failed else "not loaded"

    def tend(self) -> None:
        """One check: process, health, new adapters. Raises ServingError once the restart limit is reached."""
        if self.process.ensure():
            self._again()
        self._sick = 0 if self.server.healthy() else self._sick + 1
        if self._sick >= _SICK:
            self.report("the server fails its health checks; it is restarted")
            self._sick = 0
            self.process.stop()
            self.process.ensure()
            self._again()
        try:
            self.update()
        except CleanRoomError as error:  # of this check: the next one retries, and the process is supervised anyway
            self.report(str(error))

    def _again(self) -> None:
        """Reset the state after a restart: nothing is loaded."""
        self.proven.clear()
        self.failed.clear()
        try:
            self.server.warm()
        except ServingError as error:
            self.report(str(error))

    def keep(self, stop: Event, every: float = 0.5) -> None:
        """Check it every `every` seconds until stopped. Raises ServingError once the restart limit is reached."""
        while not stop.wait(every):
            self.tend()

    def close(self) -> None:
        """Stop the process, if it was started."""
        began = time.monotonic()
        self.process.stop()
        self.report(f"stopped in {time.monotonic() - began:.1f} s")
