"""Keeping a server up to date: watched, started again, and given every adapter that is promoted meanwhile."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

from llm.serving.commands import AdapterSpec, ServerLaunch
from llm.serving.process import ServerProcess
from llm.serving.server import Loaded, Server, sync
from models.errors import CleanRoomError, ServingError

_SICK = 3
"""Times in a row that a server may fail to say that it is well before it is started again."""


@dataclass
class ServerSupervisor:
    """A server with its process. `wanted` asks who is to be served now; `report` is told what happens, in a line.

    `relaunch` makes the command anew, for a server that takes adapters at its start only.
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
        """Start, warm up, load and prove. Raises ServingError. `close` it in any case."""
        seconds = self.process.start()
        warm = self.server.warm()
        self.report(f"up after {seconds:.1f} s, first answer after {warm:.1f} s")
        self.update()

    def update(self) -> None:
        """Load what was promoted since, and prove it."""
        wanted = self.wanted()
        if self.relaunch and not self.process.launch.runtime and not {each.name for each in wanted} <= {*self._there()}:
            self.report("an adapter was promoted that this server takes at its start only; it is started again")
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
            self.report(f"{name}: {why}; it is tried again")

    def _there(self) -> dict[str, str]:
        return self.server.names() | self.failed

    def state(self, name: str) -> str:
        """How an adapter stands: `serving`, `failed` or `not loaded`."""
        return "serving" if name in self.proven else "failed" if name in self.failed else "not loaded"

    def tend(self) -> None:
        """One look: is it there, is it well, is anything new. Raises ServingError once it is given up."""
        if self.process.ensure():
            self._again()
        self._sick = 0 if self.server.healthy() else self._sick + 1
        if self._sick >= _SICK:
            self.report("the server does not say that it is well; it is started again")
            self._sick = 0
            self.process.stop()
            self.process.ensure()
            self._again()
        try:
            self.update()
        except CleanRoomError as error:  # of this look: the next one tries again, and the process is watched anyway
            self.report(str(error))

    def _again(self) -> None:
        """After a new start nothing is loaded."""
        self.proven.clear()
        self.failed.clear()
        try:
            self.server.warm()
        except ServingError as error:
            self.report(str(error))

    def keep(self, stop: Event, every: float = 0.5) -> None:
        """Tend it every so many seconds until told to stop. Raises ServingError once it is given up."""
        while not stop.wait(every):
            self.tend()

    def close(self) -> None:
        """Stop the process, if it was started."""
        began = time.monotonic()
        self.process.stop()
        self.report(f"stopped in {time.monotonic() - began:.1f} s")
