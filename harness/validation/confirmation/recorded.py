"""The twins of an instance with their observations on the gold patch: recorded once, kept in the cache directory.

A twin is kept if two runs of the gold patch, with different hash seeds, agree in its observations and end without an
error, and if the parent differs. The package's manifest has no part in this: twins depend on the commit's own tests
only.
"""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from harness.packages.package import write_atomically
from harness.validation.confirmation.twins import Twin, twin_module
from models.manifest import Instance
from models.plans import Frozen
from repos.syntax import parse_python
from runtime.testing import Seen, file_of

TWINS_VERSION = 2
"""Raised whenever other twins could be recorded; those of older versions are recorded again."""

MOST_TRIED = 64
"""Most twins of an instance that are tried on the gold patch."""
MOST_KEPT = 32
"""Most twins of an instance that judge candidates."""


class Module(Frozen):
    """A twin module: its path in a work tree, and its text."""

    path: str
    source: str


class KeptTwin(Frozen):
    """A twin that judges: its variation, and the observations of each run on the gold patch."""

    id: str
    origin: str
    line: int
    before: str
    value: str
    gold: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.origin} with {self.value} in place of {self.before} (line {self.line})"


class TwinSet(Frozen):
    """All twins of an instance, `tried` of which some are kept; `reason` says why there are none."""

    modules: tuple[Module, ...] = ()
    kept: tuple[KeptTwin, ...] = ()
    tried: int = 0
    reason: str = ""


def modules_of(instance: Instance, sources: dict[str, str]) -> tuple[list[Module], list[Twin]]:
    """The twin modules of an instance's FAIL_TO_PASS tests; `sources` are test modules' texts by path."""
    modules: list[Module] = []
    twins: list[Twin] = []
    paths = sorted(path for path in {file_of(test) for test in instance.fail_to_pass} if path in sources)
    for index, path in enumerate(paths):
        tests = [test for test in instance.fail_to_pass if file_of(test) == path]
        remaining = (MOST_TRIED - sum(not twin.is_base for twin in twins)) // (len(paths) - index)
        if made := twin_module(path, sources[path], tests, remaining):
            modules.append(Module(path=made.path, source=made.source))
            twins += made.twins
    return modules, twins


def choose(twins: list[Twin], gold: dict[str, Seen], again: dict[str, Seen], parent: dict[str, Seen]) -> list[KeptTwin]:
    """The twins that can judge, from the observations of two runs of the gold patch and one of the parent."""
    bases = {twin.origin: gold.get(twin.id, Seen()) for twin in twins if twin.is_base}
    kept = []
    for twin in twins:
        seen = gold.get(twin.id, Seen())
        steady = seen.whole and again.get(twin.id) == seen
        if twin.is_base or not steady or parent.get(twin.id) == seen or _only_expected(twin, seen, bases[twin.origin]):
            continue
        kept.append(
            KeptTwin(
                id=twin.id, origin=twin.origin, line=twin.line, before=twin.before, value=twin.value, gold=tuple(seen)
            )
        )
    return _spread(kept)


def _spread(kept: list[KeptTwin]) -> list[KeptTwin]:
    """At most MOST_KEPT, taken from each test in turn."""
    by_test: dict[str, list[KeptTwin]] = {}
    for twin in kept:
        by_test.setdefault(twin.origin, []).append(twin)
    chosen: list[KeptTwin] = []
    while len(chosen) < MOST_KEPT and any(by_test.values()):
        for twins in by_test.values():
            if twins and len(chosen) < MOST_KEPT:
                chosen.append(twins.pop(0))
    return sorted(chosen, key=lambda twin: twin.id)


def _only_expected(twin: Twin, seen: Seen, base: Seen) -> bool:
    """Whether the varied literal is the expected answer and not an input: it is the only difference."""
    return all(any(_differ_in_expected(twin, one, other) for other in base) for one in seen)


def _differ_in_expected(twin: Twin, one: str, other: str) -> bool:
    """Whether two runs differ, and only in one side of an equality, which is the varied literal itself."""
    varied, unvaried = json.loads(one)[1], json.loads(other)[1]
    if len(varied) != len(unvaried):
        return False
    found = False
    for now, before in zip(varied, unvaried, strict=True):
        if now == before or (now[0] == before[0] == "truth" and now[1] == before[1]):
            continue
        if now[0] != "equal" or before[0] != "equal":
            return False
        changed = [side for side in (3, 4) if now[side] != before[side]]
        if len(changed) != 1 or now[changed[0]] != _encoded(twin.value):
            return False
        found = True
    return found


def _encoded(literal: str) -> Any:
    """A literal in the observer's encoding."""
    (statement,) = parse_python(literal).body
    assert isinstance(statement, ast.Expr)
    value = ast.literal_eval(statement.value)
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, str):
        return ["str", value]
    if isinstance(value, float):
        return int(value) if value == int(value) else ["float", repr(value)]
    return value


class GoldGuardEvents(Frozen):
    """Events that the watcher reports for the commit's own code, by place, and faults of the sentinels there."""

    places: tuple[tuple[str, str, str], ...]
    forged: tuple[str, ...]


Recorded = TypeVar("Recorded", TwinSet, GoldGuardEvents)


def read_recorded(kind: type[Recorded], folder: Path, key: str) -> Recorded | None:
    """The record under a key, or None. A file that cannot be read is recorded anew."""
    try:
        return kind.model_validate_json((folder / _name(kind, key)).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def keep_recorded(folder: Path, key: str, recorded: Recorded) -> Recorded:
    """Store a record under a key. Raises InfrastructureError."""
    write_atomically(folder / _name(type(recorded), key), recorded.model_dump_json())
    return recorded


def _name(kind: type[Frozen], key: str) -> str:
    return f"{key}.json" if kind is TwinSet else f"{key}.usual.json"


def twins_key(instance: Instance, environment: str, conditions: dict[str, Any]) -> str:
    """Key of everything twins depend on: the instance with its tests, the environment's content, limits, sandbox."""
    parts = [TWINS_VERSION, instance.model_dump(mode="json"), environment, conditions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
