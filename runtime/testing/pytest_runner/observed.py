"""Running twins of tests and reading their observations."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.limits import Limits
from models.suite import SuiteReport
from runtime.sandbox import Sandbox
from runtime.testing.base import Plugin, Selection, SuiteSetup, without_parameters
from runtime.testing.channel import Received
from runtime.testing.pytest_runner.runs import run_suite
from runtime.testing.results import Seen

_PLUGIN = Path(__file__).with_name("_observer_plugin.py")


def run_observed(
    sandbox: Sandbox,
    workdir: Path,
    setup: SuiteSetup,
    modules: Sequence[str],
    observer: str,
    limits: Limits,
    seconds: int,
    hash_seed: int = 0,
    *,
    only: Collection[str] = (),
    states: bool = False,
) -> tuple[SuiteReport, dict[str, Seen]]:
    """Run the twins in some modules of a work tree, or `only` some; observations by node id without parameters.

    `seconds` is the limit of each twin. The twins import the observer as a module named `observer`. Twins that did not
    run are not in the result. With `states`, the state of objects is recorded in addition to their declared fields.
    """
    found: dict[str, Seen] = {}

    def collect(results: Path, received: Received) -> None:
        found.clear()
        found.update(_read(received.lines))

    plugin = Plugin(
        _PLUGIN, "observer", {"name": observer, "seconds": seconds, "only": sorted(only), "states": states}, collect
    )
    seeded = replace(setup, hash_seed=hash_seed)
    report = run_suite(sandbox, workdir, seeded, Selection(only=tuple(modules)), limits, [plugin])
    return report, found


def _read(lines: Sequence[list[Any]]) -> dict[str, Seen]:
    by_twin: dict[str, list[str]] = {}
    for line in lines:
        match line:
            case [str(node), str(end), list(seen)] if _well_formed(seen):
                texts = by_twin.setdefault(without_parameters(node), [])
                texts.append(json.dumps([end, seen], sort_keys=True))
    return {node: Seen(texts) for node, texts in by_twin.items()}


def _well_formed(seen: list[Any]) -> bool:
    """Whether observations have the form that the observer writes: [what, place, ...]."""
    return all(isinstance(each, list) and len(each) > 2 for each in seen)
