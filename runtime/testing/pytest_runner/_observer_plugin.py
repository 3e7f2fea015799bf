"""The part of a run of twins inside the repository's pytest: records what their checks saw, without judging it.

It is copied into the sandbox, so it imports nothing of ours and keeps to Python 3.7 and pytest 4. A twin calls `equal`,
`truth`, `passes` and `expects` where its original would assert. The right answer is not known here: it is compared
outside.

A value is recorded as far as an equality test would distinguish it, not by its implementation: numbers by value, texts,
sequences, sets and mappings by their members, whatever their classes; for any other object the declared fields that are
compared. An object that declares none is just an object. A candidate's objects are recorded with their state as well,
where the gold patch's have fields: another class may keep the same under other names.

PYTEST_DONT_REWRITE: there is no assertion here.
"""

from __future__ import annotations

import datetime
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from importlib import import_module
from itertools import islice
from typing import Any

import pytest

_WANTED, _send = import_module(f"{__name__}_channel").opened()
_SECONDS = int(_WANTED["seconds"])
_MOST = 200  # most observations of one test
_DEEP, _LONG, _WIDE, _MUCH = 6, 2000, 500, 5000  # most nesting, characters, members and parts of a value
_MOST_STATE = 40  # most attributes of an object
_TWIN = re.compile(r"_twin\d+$")
_ONLY = frozenset(_WANTED["only"])  # node ids without parameters; all twins if there are none
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_BY_TEXT = {"datetime", "uuid", "pathlib", "ipaddress", "zoneinfo"}
_NUMERIC = {"decimal", "fractions"}
_OWN = {"builtins", "collections"} | _BY_TEXT | _NUMERIC
_NOW = {"test": "", "seen": []}  # type: dict[str, Any]


def _text(value: str) -> str:
    return _ADDRESS.sub("0x", value if len(value) <= _LONG else f"{value[:_LONG]}... {len(value)} {hash_of(value)}")


def hash_of(value: str) -> str:
    """A digest of a long text."""
    import hashlib

    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _number(value: Any) -> Any:
    if issubclass(type(value), complex):
        real, imaginary = complex.__getattribute__(value, "real"), complex.__getattribute__(value, "imag")
        return _number(real) if imaginary == 0 else ["complex", _number(real), _number(imaginary)]
    if issubclass(type(value), int):
        whole = int.__add__(value, 0)
        return whole if abs(whole) < 1 << 62 else ["int", _text(hex(whole))]
    broken = float.__add__(value, 0.0) if issubclass(type(value), float) else float(value)
    if broken != broken or broken in (float("inf"), float("-inf")):
        return ["float", str(broken)]
    return int(broken) if broken == int(broken) and abs(broken) < 1e15 else ["float", repr(broken)]


def _standard(value: Any, modules: set[str]) -> Any:
    """The most general class of some standard library modules that a value is an instance of, or None."""
    return next((kind for kind in type(value).__mro__[::-1] if kind.__module__.split(".")[0] in modules), None)


def _fields(value: Any) -> list[str]:
    """Names of the declared fields that an equality test compares, of any kind of class; private ones left out."""
    kind = type(value)
    declared = getattr(kind, "__dataclass_fields__", None)
    if declared is not None:
        names = [name for name, field in declared.items() if getattr(field, "compare", True)]
    elif getattr(kind, "__attrs_attrs__", None) is not None:
        names = [getattr(field, "name", "") for field in kind.__attrs_attrs__ if getattr(field, "eq", True)]
    else:
        names = list(getattr(kind, "model_fields", None) or getattr(kind, "_fields", None) or ())
    return sorted(name for name in names if isinstance(name, str) and name and not name.startswith("_"))


def _state(value: Any) -> dict[str, Any]:
    """The state of an object: its attributes, those in slots, and the values of its properties."""
    found = dict(getattr(value, "__dict__", None) or {})
    for kind in type(value).__mro__[:-1]:
        for name, attribute in list(vars(kind).items()):
            slot = type(attribute).__name__ == "member_descriptor"
            shown = isinstance(attribute, property) or type(attribute).__name__ == "cached_property"
            if slot or (shown and not name.startswith("_")):
                try:
                    found.setdefault(name, getattr(value, name) if shown else attribute.__get__(value))
                except Exception:  # noqa: BLE001, S112 - a slot that is empty, a property that does not apply
                    continue
    return {name: found[name] for name in sorted(found)[:_MOST_STATE] if isinstance(name, str)}


class _Encoder:
    """Encodes one value, with a limit on its parts."""

    def __init__(self) -> None:
        self._left = _MUCH

    def encode(self, value: Any, deep: int) -> Any:
        """A value as a structure of plain ones."""
        self._left -= 1
        if self._left < 0:
            return ["..."]
        kind = type(value)
        if value is None:
            return None
        plain = self._plain(value, deep)
        if plain is not None and kind.__module__.split(".")[0] in _OWN:
            return plain
        return self._instance(value, plain, deep)

    def _instance(self, value: Any, plain: Any, deep: int) -> Any:
        names = [] if deep <= 0 or issubclass(type(value), type) else _fields(value)
        fields = [[name, self.encode(getattr(value, name, None), deep - 1)] for name in names] or None
        if not _WANTED["states"]:
            return ["is", plain, fields]
        state = {} if deep <= 0 or issubclass(type(value), type) else _state(value)
        return ["is", plain, fields, [[name, self.encode(each, min(deep - 1, 2))] for name, each in state.items()]]

    def _plain(self, value: Any, deep: int) -> Any:
        """The encoding of a value of a built-in type; None for any other."""
        if issubclass(type(value), str):
            return ["str", _text(str.__str__(value))]
        if issubclass(type(value), (int, float, complex)) or _standard(value, _NUMERIC):
            return _number(value)
        if issubclass(type(value), (bytes, bytearray, memoryview)):
            return ["bytes", _text(bytes(value).hex())]
        if (standard := _standard(value, _BY_TEXT)) is not None:
            return ["value", standard.__name__, _text(self._as_text(value))]
        if deep <= 0:
            return ["..."] if issubclass(type(value), (tuple, list, Set, Mapping)) else None
        if issubclass(type(value), tuple):
            return ["tuple", self._each(tuple.__iter__(value), deep)]
        if issubclass(type(value), list):
            return ["list", self._each(list.__iter__(value), deep)]
        if issubclass(type(value), Set):
            return ["set", sorted(self._each(iter(value), deep), key=json.dumps)]
        if issubclass(type(value), Mapping):
            items = dict.items(value) if issubclass(type(value), dict) else ((key, value[key]) for key in value)
            pairs = [[self.encode(key, deep - 1), self.encode(each, deep - 1)] for key, each in islice(items, _WIDE)]
            return ["dict", sorted(pairs, key=json.dumps)]
        return None

    def _each(self, values: Iterator[Any], deep: int) -> list[Any]:
        return [self.encode(each, deep - 1) for each in islice(values, _WIDE)]

    @staticmethod
    def _as_text(value: Any) -> str:
        if issubclass(type(value), datetime.datetime) and value.utcoffset() is not None:
            return datetime.datetime.isoformat(value.astimezone(datetime.timezone.utc))  # noqa: UP017
        kind = next(kind for kind in type(value).__mro__ if kind.__module__.split(".")[0] in _BY_TEXT)
        return str(vars(kind).get("__str__", kind.__str__)(value))


def _written(value: Any) -> Any:
    """A value encoded as far as possible; reading it may fail, since that runs untrusted code."""
    try:
        return _Encoder().encode(value, _DEEP)
    except Exception as error:  # noqa: BLE001
        return ["unreadable", type(error).__name__]


def _see(*what: Any) -> None:
    if len(_NOW["seen"]) < _MOST:
        _NOW["seen"].append(what)


def equal(place: int, left: Any, right: Any) -> Any:
    """The result of `left == right`; records both sides, and whether they were equal."""
    same = left == right
    try:
        result = bool(same)
    except Exception:  # noqa: BLE001 - such as an array of several truths
        result = None
    _see("equal", place, result, _written(left), _written(right))
    return same


def truth(place: int, value: Any) -> None:
    """Records the value that would have been asserted."""
    _see("truth", place, bool(value))


def passes(place: int, check: Callable[[], Any]) -> Any:
    """Records whether a check of the test's own passes."""
    try:
        result = check()
    except AssertionError:
        _see("passes", place, False)
        return None
    _see("passes", place, True)
    return result


class expects:
    """A context manager that expects an exception or a warning, and records whether it came."""

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
    """Deselect tests that are not twins: those copied with a twin's module, and twins that do not judge."""
    kept: list[Any] = []
    others: list[Any] = []
    for item in items:
        name = item.nodeid.partition("[")[0]
        (kept if _TWIN.search(name) and (not _ONLY or name in _ONLY) else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = kept


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    """Limit the time of one twin."""
    _NOW.update(test=item.nodeid, seen=[])
    before = [(number, signal.signal(number, _late)) for number in (signal.SIGALRM, signal.SIGVTALRM)]
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)  # CPU time, so that load on the machine does not count
    signal.alarm(2 * _SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        for number, handler in before:
            signal.signal(number, handler)


def pytest_runtest_logreport(report: Any) -> None:
    """Record what one test saw, and how it ended."""
    if report.when == "call" or report.outcome != "passed":
        seen = _NOW["seen"] if _NOW["test"] == report.nodeid and report.when == "call" else []
        _send(report.nodeid, f"{report.when} {report.outcome}", seen)


sys.modules[_WANTED["name"]] = sys.modules[__name__]
