"""The part of a judged run that watches for tampering with the run by the tested code.

It is copied into the sandbox, so it imports nothing of ours and keeps to Python 3.7 and pytest 4; audit hooks exist
since Python 3.8. It notes, with the file that did it,

- `runner`: functions of the test runner that were replaced since the start, on classes or on single tests;
- `frames`, `objects`: a stack frame or the garbage collector requested by tested code, which gives access to the tests'
variables;
- `tests`: a hidden test file opened, moved or changed by tested code; `report`: the same for the runner's own folders;
- `trace`, `hook`, `code`, `memory`: tracing, another audit hook, a function's code replaced, raw memory.

A note is no proof of bad intent: the commit's own code may do the same, and is run for comparison. Code in the same
process can undo what this module does if it knows how; docs/sandbox.md says what remains open.

PYTEST_DONT_REWRITE: there is no assertion here.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from importlib import import_module
from os import fspath, getpid, sep, stat
from os.path import abspath, realpath
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest

_WANTED, _send = import_module(f"{__name__}_channel").opened()
_ROOT = _WANTED["root"] + sep
_HIDDEN = frozenset(_WANTED["hidden"])  # the hidden tests with their data, as absolute paths
_SOURCES = frozenset(path for path in _HIDDEN if path.endswith(".py"))
_TRUSTED = tuple({f"{path}{sep}" for each in (sys.prefix, sys.base_prefix) for path in (each, realpath(each))})
_MAIN = get_ident()
_WRITTEN = {}  # type: dict[str, tuple[int, int, int]]
_OURS = ("/cra" + sep, str(Path(_WANTED["results"]).parent) + sep)  # the runner's own folders
_TRUSTED += (*_OURS, "<frozen ")
_RUNNER = ("_pytest", "pluggy", "pytest", "unittest", "builtins", "json", "xml")
_MOST_SEEN = 64
_MOST_CHECKS = 5  # checks of the runner after tests, in addition to the one at the end
_PID = getpid()
_SEEN = set()  # type: set[tuple[str, str, str]]
_STATE = {"on": False, "busy": False, "checks": 0}

_FRAMES = frozenset({"f_code", "tb_frame", "gi_frame", "cr_frame", "ag_frame"})
_COLLECTOR = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents"})
_PATHS = frozenset({"open", "os.rename", "os.remove", "os.truncate", "os.link", "os.symlink", "os.chmod", "os.utime"})
_TRACING = frozenset({"sys.settrace", "sys.setprofile", "sys.monitoring.register_callback"})
_MEMORY = frozenset({"ctypes.cdata", "ctypes.addressof", "ctypes.string_at", "ctypes.call_function", "ctypes.dlsym"})
_SETTERS = frozenset({"object.__setattr__", "object.__delattr__", "code.__new__"})
_INSPECT, _TRACEBACK = sep + "inspect.py", sep + "traceback.py"  # they return frames to their callers


def _is_tested(file: str) -> bool:
    """Whether code of this file name may be the repository's own and not a test: any file not known to be another's.

    Code can choose its file name, so an unknown name is no evidence that it is harmless.
    """
    known = file in _SOURCES or file.startswith(_TRUSTED) or file.rpartition(sep)[2].startswith("conftest.")
    return not known


def _shown(file: str) -> str:
    return file[len(_ROOT) :] if file.startswith(_ROOT) else file[:80]


def _asker() -> str:
    """The file of tested code on the stack that is nearest to an event, relative to the root; "" if there is none.

    A thread started by neither a test nor the runner was started by tested code, whatever it runs.
    """
    frame = sys._getframe(2)
    begun = False
    while frame is not None:
        file = frame.f_code.co_filename
        if _is_tested(file):
            return _shown(file)
        begun = begun or file in _SOURCES or f"{sep}_pytest{sep}" in file
        frame = frame.f_back  # type: ignore[assignment]
    return "" if begun or get_ident() == _MAIN else "a thread"


def _direct(passing_on: tuple[str, ...]) -> bool:
    """Whether tested code requested a frame directly, or through modules that pass frames on."""
    frame = sys._getframe(3)  # past this function, the watcher and the hook
    while frame is not None and frame.f_code.co_filename.endswith(passing_on):
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and _is_tested(frame.f_code.co_filename)


def _is_callers(other: Any) -> bool:
    """Whether an object is the frame of a hidden test that is running, and not one from an exception's traceback."""
    if not isinstance(other, types.FrameType) or other.f_code.co_filename not in _SOURCES:
        return False
    frame = sys._getframe(3)
    while frame is not None and frame is not other:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is other


def _is_of_test(function: Any) -> bool:
    return isinstance(function, types.FunctionType) and function.__code__.co_filename in _SOURCES


def _note(kind: str, what: str, asker: str) -> None:
    """Record an event once for each file; for the runner, once for each replaced part."""
    key = (kind, what if kind in ("runner", "rewritten") else "", asker)
    if key not in _SEEN and len(_SEEN) < _MOST_SEEN:
        _SEEN.add(key)
        _send("seen", kind, what[:200], asker)


def _path(value: Any) -> str:
    try:
        text = fspath(value)
    except TypeError:
        return ""
    return abspath(text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text)  # noqa: PTH100


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _PATHS:
        for path in {_path(value) for value in arguments[:2]}:
            raw = path.startswith("/proc/") and path.endswith("/mem")
            if (path in _SOURCES or path.startswith(_OURS) or raw) and (asker := _asker()):
                kind = "tests" if path in _SOURCES else "memory" if raw else "report"
                _note(kind, f"{event} {path}", asker)
    elif event == "sys._getframe":
        if _direct((_INSPECT, _TRACEBACK)) and (asker := _asker()):
            _note("frames", event, asker)
    elif event == "object.__getattr__":
        if arguments[1] in _FRAMES and (_direct((_INSPECT,)) or _is_callers(arguments[0])) and (asker := _asker()):
            _note("frames", str(arguments[1]), asker)
        elif arguments[1] == "__code__" and _is_of_test(arguments[0]) and _direct(()) and (asker := _asker()):
            _note("code", f"code of the test {arguments[0].__name__}", asker)
    elif event in ("compile", "code.__new__"):
        if str(arguments[1]).startswith(_TRUSTED) and _direct(()) and (asker := _asker()):
            _note("name", f"code that calls itself {arguments[1]}", asker)
    elif event in _COLLECTOR and (asker := _asker()):
        _note("objects", event, asker)
    elif event in _TRACING and (asker := _asker()):
        _note("trace", event, asker)
    elif event == "sys.addaudithook" and (asker := _asker()):
        _note("hook", event, asker)
    elif event in _MEMORY and (asker := _asker()):
        _note("memory", event, asker)
    elif event in _SETTERS and len(arguments) > 1 and arguments[1] == "__code__" and (asker := _asker()):
        _note("code", f"{event} {getattr(arguments[0], '__qualname__', '')}", asker)


_EVENTS = _PATHS | _COLLECTOR | _TRACING | _MEMORY | _SETTERS
_EVENTS |= {"sys._getframe", "object.__getattr__", "sys.addaudithook", "compile"}


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS or not _STATE["on"] or _STATE["busy"]:
        return
    _STATE["busy"] = True
    try:
        _watch(event, arguments)
    finally:
        _STATE["busy"] = False


_AT_START = []  # type: list[tuple[str, Mapping[str, Any], str, Any]]
"""Every callable of the runner: its owner, where it is looked up, its name, and its original value."""


def _held(owner: str, names: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], str, Any]]:
    return [(owner, names, name, value) for name, value in names.items() if callable(value)]


def _remember_runner() -> None:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] not in _RUNNER or not isinstance(module, types.ModuleType):
            continue
        _AT_START.extend(_held(name, vars(module)))
        for value in list(vars(module).values()):
            if isinstance(value, type) and value.__module__ == name != "builtins":
                _AT_START.extend(_held(f"{name}.{value.__name__}", vars(value)))


def _check_runner() -> None:
    """Find replaced functions of the runner; replacing the code object of a function is an event."""
    for owner, names, name, value in _AT_START:
        if names.get(name) is not value and not _is_legacy(owner, names, name):
            _note("runner", f"{owner}.{name}", "")


def _is_legacy(owner: str, names: Mapping[str, Any], name: str) -> bool:
    """Whether pytest itself replaced something by its legacy path support, after the start."""
    legacy = vars(sys.modules.get("_pytest.legacypath", types))
    new = legacy.get(f"{owner.rpartition('.')[2]}_{name}")
    return new is not None and names.get(name) is new and any(value is new for _, _, _, value in _AT_START)


def _function(item: Any) -> Any:
    """The function behind a test, None where it is not known yet."""
    found = vars(item).get("_obj")
    return getattr(found, "__func__", found)


_COLLECTED = {}  # type: dict[int, Any]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: Any) -> None:
    """Remember the function of each test."""
    _COLLECTED.update((id(item), _function(item)) for item in session.items)


def _check_function(item: Any) -> None:
    before, now = _COLLECTED.get(id(item)), _function(item)
    if before is not None and now is not None and now is not before:
        _note("runner", "the function of a test", "")


def _check_item(item: Any) -> None:
    own = {"runtest", "setup", "teardown", "reportinfo", "repr_failure"} & set(vars(item))
    if own:
        _note("runner", f"a test's own {min(own)}", "")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Start watching: plugins are loaded, code of the repository is not."""
    sys.modules.pop(__name__, None)
    _remember_runner()
    _WRITTEN.update((path, _state(path)) for path in _HIDDEN)
    if hasattr(sys, "addaudithook"):
        sys.addaudithook(_audit)
    _STATE["on"] = True
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    """Check the test before it runs, and the runner after it: the test's own patches are undone by then."""
    _check_function(item)
    yield
    if _STATE["checks"] < _MOST_CHECKS:
        _STATE["checks"] += 1
        _check_item(item)
        _check_runner()


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_sessionfinish(session: Any) -> Iterator[None]:
    """Check once more, and report."""
    if getpid() == _PID:
        _check_runner()
        for item in getattr(session, "items", []):
            _check_item(item)
        for path, before in _WRITTEN.items():
            if _state(path) != before:
                _note("rewritten", path, "")
        _send("end")
    yield


def _state(path: str) -> tuple[int, int, int]:
    """File state that every write, rename or chmod changes: change times cannot be set."""
    try:
        found = stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_ctime_ns, found.st_size)
