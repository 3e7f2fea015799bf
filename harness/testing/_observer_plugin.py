"""The part of a run of twins that lies inside the repository's pytest: what their checks saw, written down, not judged.

It is copied into the sandbox, so it imports nothing of ours and keeps to Python 3.7 and pytest 4. A twin calls `equal`,
`truth`, `passes` and `expects` where its original would assert. Nothing here knows what the right answer is: that is
compared outside.

A value is written down as far as an equality test would tell: numbers by value, texts, sequences, sets and mappings by
their members, declared fields of data classes; of any other object that it is one.

PYTEST_DONT_REWRITE: there is no assertion here.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from os import O_APPEND, O_CREAT, O_WRONLY, write
from os import open as open_descriptor
from pathlib import Path
from typing import Any

import pytest

_TOLD = Path(__file__).with_name("told.json")
_WANTED = json.loads(_TOLD.read_text(encoding="utf-8"))
_TOLD.unlink()
Path(__file__).unlink()
_SECONDS = int(_WANTED["seconds"])
_OUT = open_descriptor(str(Path(_WANTED["results"]) / "observations.jsonl"), O_WRONLY | O_CREAT | O_APPEND, 0o600)
_MOST = 200  # observations of one test
_DEEP, _LONG, _WIDE = 6, 2000, 500  # nesting, characters, members that are written down of a value
_TWIN = re.compile(r"_twin\d+(?:\[.*)?$", re.DOTALL)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_PLAIN = {"datetime", "decimal", "fractions", "uuid", "pathlib", "ipaddress", "zoneinfo"}
_NOW = {"test": "", "seen": []}  # type: dict[str, Any]


def _text(value: str) -> str:
    return _ADDRESS.sub("0x", value if len(value) <= _LONG else f"{value[:_LONG]}... {len(value)} {hash_of(value)}")


def hash_of(value: str) -> str:
    """A digest of a long text."""
    import hashlib

    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _number(value: Any) -> Any:
    if isinstance(value, complex):
        return ["complex", _number(value.real), _number(value.imag)]
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return ["float", str(value)]
        return int(value) if value == int(value) and abs(value) < 1e15 else ["float", f"{value:.9g}"]
    return int(value) if abs(value) < 1 << 62 else ["int", _text(hex(value))]


def _fields(value: Any) -> list[str]:
    """Names of the declared fields of a data class, of whichever make; private ones left out."""
    kind = type(value)
    names = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "model_fields", None)
    if names is None:
        names = [getattr(field, "name", "") for field in getattr(kind, "__attrs_attrs__", ())]
    return sorted(name for name in names if isinstance(name, str) and name and not name.startswith("_"))


def _told(value: Any, deep: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return ["str", _text(str.__str__(value))]
    if isinstance(value, (int, float, complex)):
        return _number(value)
    if isinstance(value, (bytes, bytearray)):
        return ["bytes", _text(bytes(value).hex())]
    if deep <= 0:
        return ["..."]
    if isinstance(value, tuple):
        return ["tuple", [_told(each, deep - 1) for each in tuple.__iter__(value)][:_WIDE]]
    if isinstance(value, list):
        return ["list", [_told(each, deep - 1) for each in list.__iter__(value)][:_WIDE]]
    if isinstance(value, (set, frozenset)):
        return ["set", sorted(json.dumps(_told(each, deep - 1)) for each in value)[:_WIDE]]
    if isinstance(value, dict):
        pairs = [[json.dumps(_told(key, deep - 1)), _told(each, deep - 1)] for key, each in dict.items(value)]
        return ["dict", sorted(pairs, key=lambda pair: pair[0])[:_WIDE]]
    if type(value).__module__.split(".")[0] in _PLAIN:
        return ["value", _text(repr(value))]
    if not isinstance(value, type) and (fields := _fields(value)):
        return ["fields", [[name, _told(getattr(value, name, None), deep - 1)] for name in fields]]
    return ["object"]


def _written(value: Any) -> Any:
    """A value as far as it can be told; reading it may fail, since it is strangers' code that answers."""
    try:
        return _told(value, _DEEP)
    except Exception as error:  # noqa: BLE001
        return ["unreadable", type(error).__name__]


def _see(*what: Any) -> None:
    if len(_NOW["seen"]) < _MOST:
        _NOW["seen"].append(what)


def equal(place: int, left: Any, right: Any) -> Any:
    """What `left == right` gives; both sides are written down, and whether they were equal."""
    same = left == right
    try:
        told = bool(same)
    except Exception:  # noqa: BLE001 - such as an array of several truths
        told = None
    _see("equal", place, told, _written(left), _written(right))
    return same


def truth(place: int, value: Any) -> None:
    """What would have been asserted."""
    _see("truth", place, bool(value))


def passes(place: int, check: Callable[[], Any]) -> Any:
    """Whether a check of the test's own passes."""
    try:
        result = check()
    except AssertionError:
        _see("passes", place, False)
        return None
    _see("passes", place, True)
    return result


class expects:
    """A context manager that expects an exception or a warning, and whether that came."""

    def __init__(self, place: int, inner: Any) -> None:
        self._place, self._inner = place, inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
        try:
            handled = self._inner.__exit__(kind, value, trace)
        except (AssertionError, pytest.fail.Exception):
            _see("expects", self._place, "not" if kind is None else "differs")
            return True
        _see("expects", self._place, "came" if handled or kind is None else "other")
        return handled


def _late(number: int, frame: Any) -> None:
    raise TimeoutError("a twin takes too long")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what is no twin: the tests that a twin's module was copied with."""
    others = [item for item in items if not _TWIN.search(item.nodeid)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if _TWIN.search(item.nodeid)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    """Bound the time of one twin."""
    _NOW.update(test=item.nodeid, seen=[])
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pytest_runtest_logreport(report: Any) -> None:
    """Write down what one test saw, and how it ended."""
    if report.when == "call" or report.outcome != "passed":
        seen = _NOW["seen"] if _NOW["test"] == report.nodeid and report.when == "call" else []
        line = json.dumps([report.nodeid, f"{report.when} {report.outcome}", seen], sort_keys=True)
        write(_OUT, (line + "\n").encode("ascii"))


sys.modules[_WANTED["name"]] = sys.modules[__name__]
