"""A module of ours that is loaded into a repository's pytest, with a folder for what it reports.

What such a module is told lies in a file beside it. It reads that file and then removes it and itself, before any
code of the repository runs: nothing of the runner's own is left to be read by what it runs.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.throwaway import throwaway
from runtime.sandbox import Mount, Sandbox
from runtime.testing.base import Plugin
from runtime.testing.channel import Channel

_TOLD = "told.json"
_CHANNEL = Path(__file__).with_name("_channel.py")


@dataclass(frozen=True)
class InstalledPlugin:
    """A plugin's folders and its channel for one run. `module` is its random name."""

    module: str
    channel: Channel
    folder: Mount
    results: Mount


@contextmanager
def laid_out(sandbox: Sandbox, plugin: Plugin) -> Iterator[InstalledPlugin]:
    """Lay out a plugin for one start of the runner."""
    with throwaway(f"cra-{plugin.purpose}-") as root:
        inside = Path("/cra") / plugin.purpose
        folder = Mount(root / "plugin", inside / "plugin", writable=True)
        results = Mount(root / "results", inside / "results", writable=True)
        for mount in (folder, results):
            mount.source.mkdir()
        module, channel = f"plugin_{secrets.token_hex(8)}", Channel()  # nothing in the tree can bear its name
        told = {
            **plugin.told,
            "results": str(sandbox.path_of(results)),
            "channel": channel.descriptor,
            "secret": channel.secret.hex(),
        }
        (folder.source / _TOLD).write_text(json.dumps(told), encoding="utf-8")
        (folder.source / f"{module}.py").write_bytes(plugin.source.read_bytes())
        (folder.source / f"{module}_channel.py").write_bytes(_CHANNEL.read_bytes())
        try:
            yield InstalledPlugin(module, channel, folder, results)
        finally:
            channel.finish()
