"""The part of a measurement inside the repository's own pytest: which lines of some files are run.

It is copied into the sandbox, so it imports nothing of ours and keeps to Python 3.7 and pytest 4. It is loaded before
any conftest, so that import-time lines count. With `sys.monitoring` (Python 3.12) it costs next to nothing and does not
interfere with other tracers; before, it is a trace function, which it sets again where a test has removed it. Lines run
by other processes are not seen. At the end it writes `lines-PID.json`: for each file the lines that can run and those
that did.

PYTEST_DONT_REWRITE: there is no assertion here.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from os import getpid
from os.path import abspath
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

_WANTED, _send = import_module(f"{__name__}_channel").opened()
_FILES = frozenset(_WANTED["files"])
_RAN = {path: set() for path in _FILES}  # type: dict[str, set[int]]
_PATHS = {}  # type: dict[str, str | None]
_PID = getpid()


def _wanted(name: str) -> str | None:
    """The wanted file that code under this file name comes from, or None."""
    if name not in _PATHS:
        path = abspath(name)  # noqa: PTH100 (resolve() would follow links)
        _PATHS[name] = path if path in _FILES else None
    return _PATHS[name]


def _trace(frame: Any, event: str, argument: Any) -> Any:
    path = _wanted(frame.f_code.co_filename)
    if path is None:
        return None
    ran = _RAN[path]

    def local(frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            ran.add(frame.f_lineno)
        return local

    return local


def _start() -> None:
    if sys.version_info >= (3, 12):
        _monitor()
        return
    threading.settrace(_trace)
    sys.settrace(_trace)


def _monitor() -> None:
    monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    tool = next(number for number in (4, 3, 2, 5, 0, 1) if monitoring.get_tool(number) is None)
    monitoring.use_tool_id(tool, "changed lines")
    events = monitoring.events

    def entered(code: CodeType, offset: int) -> Any:
        if _wanted(code.co_filename) is not None:
            monitoring.set_local_events(tool, code, events.LINE)
        return monitoring.DISABLE

    def line(code: CodeType, number: int) -> Any:
        path = _wanted(code.co_filename)
        if path is not None:
            _RAN[path].add(number)
        return monitoring.DISABLE

    monitoring.register_callback(tool, events.PY_START, entered)
    monitoring.register_callback(tool, events.LINE, line)
    monitoring.set_events(tool, events.PY_START)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _can_run(path: str) -> list[int]:
    """The lines of a file that have code; none for one that is gone or does not parse."""
    try:
        code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return []
    return sorted({line for each in _codes(code) for _, line in dis.findlinestarts(each) if line})


_start()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: Any) -> Iterator[None]:
    """Keep the repository's own coverage measurement from starting: two would interfere."""
    known = early_config.known_args_namespace
    if getattr(known, "cov_source", None):
        known.cov_source = []
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    """Set the trace function again if a test removed it."""
    if sys.version_info < (3, 12) and sys.gettrace() is not _trace:
        sys.settrace(_trace)
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session: Any) -> Iterator[None]:
    """Write the lines that ran."""
    yield
    if getpid() != _PID:
        return
    if sys.version_info < (3, 12):
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type,unused-ignore]
    files = {path: {"can": _can_run(path), "ran": sorted(_RAN[path])} for path in sorted(_FILES)}
    _send("lines", files)
