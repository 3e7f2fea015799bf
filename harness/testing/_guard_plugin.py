"""The part of a judged run that watches what the tested code does to the run itself.

It is copied into the sandbox, so it imports nothing of ours and keeps to Python 3.7 and pytest 4; there are audit hooks
since Python 3.8. It notes, with the file that did it,

- `runner`: functions of the test runner that are no longer those of the start, on classes or on single tests;
- `frames`, `objects`: a stack frame or the garbage collector asked for by tested code, which leads to the tests'
variables;
- `tests`: a hidden test file opened, moved or changed by tested code; `report`: the same for the runner's own folders;
- `trace`, `hook`, `code`, `memory`: tracing, another audit hook, a function's code replaced, raw memory.

What it notes is no proof of bad intent: the commit's own code may do the same, and is asked for comparison. Code in the
same process can undo what this module does if it knows how; docs/sandbox.md says what that leaves open.

PYTEST_DONT_REWRITE: there is no assertion here.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator, Mapping
from os import fspath, getpid, sep
from os.path import abspath
from pathlib import Path
from typing import Any

import pytest

_TOLD = Path(__file__).with_name("told.json")
_WANTED = json.loads(_TOLD.read_text(encoding="utf-8"))
_TOLD.unlink()
Path(__file__).unlink()
_NONCE = _WANTED.pop("nonce")
_ROOT = _WANTED["root"] + sep
_HIDDEN = frozenset(_WANTED["hidden"])  # the hidden test files, as absolute paths
_OURS = ("/cra" + sep, str(Path(_WANTED["results"]).parent) + sep)  # the runner's own folders
_RUNNER = ("_pytest", "pluggy", "pytest", "unittest", "builtins", "json", "xml")
_MOST_SEEN = 64
_MOST_CHECKS = 5  # tests after which the runner is looked at, beside the look at the end
_PID = getpid()
_SEEN = {}  # type: dict[tuple[str, str, str], str]
_STATE = {"on": False, "busy": False, "checks": 0}

_FRAMES = frozenset({"f_code", "tb_frame", "gi_frame", "cr_frame", "ag_frame"})
_COLLECTOR = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents"})
_PATHS = frozenset({"open", "os.rename", "os.remove", "os.truncate", "os.link", "os.symlink", "os.chmod", "os.utime"})
_TRACING = frozenset({"sys.settrace", "sys.setprofile", "sys.monitoring.register_callback"})
_MEMORY = frozenset({"ctypes.cdata", "ctypes.addressof", "ctypes.string_at", "ctypes.call_function", "ctypes.dlsym"})
_SETTERS = frozenset({"object.__setattr__", "object.__delattr__", "code.__new__"})
_INSPECT, _TRACEBACK = sep + "inspect.py", sep + "traceback.py"  # they hand frames on to their callers


def _is_tested(file: str) -> bool:
    """Whether code from a file is the repository's own and no test."""
    return file.startswith(_ROOT) and file not in _HIDDEN and not file.rpartition(sep)[2].startswith("conftest.")


def _asker() -> str:
    """The file of tested code that is on the stack nearest to an event, relative to the root; "" if there is none."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if _is_tested(file):
            return file[len(_ROOT) :]
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def _direct(passing_on: tuple[str, ...]) -> bool:
    """Whether tested code itself asked for a frame, or through modules that pass frames on."""
    frame = sys._getframe(3)  # past this function, the watcher and the hook
    while frame is not None and frame.f_code.co_filename.endswith(passing_on):
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and _is_tested(frame.f_code.co_filename)


def _is_callers(other: Any) -> bool:
    """Whether something is the frame of a hidden test that is running: not of one that an exception came out of."""
    if not isinstance(other, types.FrameType) or other.f_code.co_filename not in _HIDDEN:
        return False
    frame = sys._getframe(3)
    while frame is not None and frame is not other:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is other


def _note(kind: str, what: str, asker: str) -> None:
    """Note something once for each file that does it; of the runner, each part that is not as before."""
    _SEEN.setdefault((kind, what if kind == "runner" else "", asker), what[:200])


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
            if (path in _HIDDEN or path.startswith(_OURS) or raw) and (asker := _asker()):
                kind = "tests" if path in _HIDDEN else "memory" if raw else "report"
                _note(kind, f"{event} {path}", asker)
    elif event == "sys._getframe":
        if _direct((_INSPECT, _TRACEBACK)) and (asker := _asker()):
            _note("frames", event, asker)
    elif event == "object.__getattr__":
        if arguments[1] in _FRAMES and (_direct((_INSPECT,)) or _is_callers(arguments[0])) and (asker := _asker()):
            _note("frames", str(arguments[1]), asker)
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


_EVENTS = (
    _PATHS | _COLLECTOR | _TRACING | _MEMORY | _SETTERS | {"sys._getframe", "object.__getattr__", "sys.addaudithook"}
)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS or not _STATE["on"] or _STATE["busy"]:
        return
    _STATE["busy"] = True
    try:
        _watch(event, arguments)
    finally:
        _STATE["busy"] = False


_AT_START = []  # type: list[tuple[str, Mapping[str, Any], str, Any]]
"""Everything callable of the runner's: its owner, where it is looked up, under which name, and what it was."""


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
    """Look for what was put in the place of the runner's own; that code is replaced in a function is an event."""
    for owner, names, name, value in _AT_START:
        if names.get(name) is not value and len(_SEEN) < _MOST_SEEN and not _is_legacy(owner, names, name):
            _note("runner", f"{owner}.{name}", "")


def _is_legacy(owner: str, names: Mapping[str, Any], name: str) -> bool:
    """Whether pytest itself put an older way to name paths in place of something, after the start."""
    legacy = vars(sys.modules.get("_pytest.legacypath", types))
    new = legacy.get(f"{owner.rpartition('.')[2]}_{name}")
    return new is not None and names.get(name) is new and any(value is new for _, _, _, value in _AT_START)


def _check_item(item: Any) -> None:
    own = {"runtest", "setup", "teardown", "reportinfo", "repr_failure"} & set(vars(item))
    if own:
        _note("runner", f"a test's own {min(own)}", "")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Begin to watch: plugins are loaded, code of the repository is not."""
    sys.modules.pop(__name__, None)
    _remember_runner()
    if hasattr(sys, "addaudithook"):
        sys.addaudithook(_audit)
    _STATE["on"] = True
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    """Look at the runner after a test: what it replaced for itself is put back by then."""
    yield
    if _STATE["checks"] < _MOST_CHECKS:
        _STATE["checks"] += 1
        _check_item(item)
        _check_runner()


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_sessionfinish(session: Any) -> Iterator[None]:
    """Look once more, and report."""
    if getpid() == _PID:
        _check_runner()
        for item in getattr(session, "items", []):
            _check_item(item)
        seen = [[kind, what, asker] for (kind, _, asker), what in sorted(_SEEN.items())]
        record = {"nonce": _NONCE, "seen": seen, "hidden": {path: _digest(path) for path in sorted(_HIDDEN)}}
        (Path(_WANTED["results"]) / "guard.json").write_text(json.dumps(record), encoding="ascii")
    yield


def _digest(path: str) -> str:
    import hashlib

    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""
