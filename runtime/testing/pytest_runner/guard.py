"""Tampering with a judged run by the tested code, as reported by the run's watcher."""

import os
from collections.abc import Sequence
from pathlib import Path

from runtime.sandbox import Sandbox
from runtime.testing.base import Plugin
from runtime.testing.channel import Received
from runtime.testing.results import GuardEvent

_PLUGIN = Path(__file__).with_name("_guard_plugin.py")


class Guard:
    """Watches one judged run. `hidden` are the paths of its hidden tests with their data, relative to the tree."""

    def __init__(self, sandbox: Sandbox, tree: Path, hidden: Sequence[str]) -> None:
        root = sandbox.workdir_path(tree)
        self._seen: list[GuardEvent] | None = None
        payload = {"root": str(root), "hidden": sorted(os.path.normpath(root / path) for path in hidden)}
        self.plugin = Plugin(_PLUGIN, "guard", payload, self._collect)

    @property
    def seen(self) -> list[GuardEvent] | None:
        """The events; None if the watcher did not report to its end, although a run that ended by itself does."""
        return self._seen

    def _collect(self, results: Path, received: Received) -> None:
        seen, ended = [], False
        for line in received.lines:
            match line:
                case ["seen", str(kind), str(what), str(file)]:
                    seen.append(GuardEvent(kind=kind, what=what, file=file))
                case ["end"]:
                    ended = True
        if received.forged:
            seen.append(GuardEvent(kind="report", what="something else wrote to the watcher's channel", file=""))
        self._seen = seen if ended else None
