"""A module of ours that is loaded into a repository's pytest, with a folder for its reports.

The input of such a module is in a file next to it. It reads that file and then deletes it and itself, before any code
of the repository runs, so that the tested code cannot read them.
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

_INPUT = "told.json"
_HELPERS = ("channel", "options")


@dataclass(frozen=True)
class InstalledPlugin:
    """A plugin's folders and its channel for one run. `module` is its random name."""

    module: str
    channel: Channel
    folder: Mount
    results: Mount


@contextmanager
def laid_out(sandbox: Sandbox, plugin: Plugin) -> Iterator[InstalledPlugin]:
    """Write a plugin's files for one start of the runner."""
    with throwaway(f"cra-{plugin.purpose}-") as root:
        inside = Path("/cra") / plugin.purpose
        folder = Mount(root / "plugin", inside / "plugin", writable=True)
        results = Mount(root / "results", inside / "results", writable=True)
        for mount in (folder, results):
            mount.source.mkdir()
        module, channel = f"plugin_{secrets.token_hex(8)}", Channel()  # no name in the tree can collide
        payload = {
            **plugin.payload,
            "results": str(sandbox.path_of(results)),
            "channel": channel.descriptor,
            "secret": channel.secret.hex(),
        }
        (folder.source / _INPUT).write_text(json.dumps(payload), encoding="utf-8")
        (folder.source / f"{module}.py").write_bytes(plugin.source.read_bytes())
        for name in _HELPERS:
            helper = Path(__file__).with_name(f"_{name}.py")
            (folder.source / f"{module}_{name}.py").write_bytes(helper.read_bytes())
        try:
            yield InstalledPlugin(module, channel, folder, results)
        finally:
            channel.finish()
