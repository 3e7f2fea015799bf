"""The part of a test run inside the repository's own pytest: its options, order, early stop, and exact records.

It is copied into the sandbox, so it imports nothing of ours and keeps to Python 3.7 and pytest 4. In addition to the
JUnit report it sends a line for each phase of each test and each module that could not be collected; these lines
survive when the run is killed, and cannot be changed later. Last it sends a seal with a digest of the report, without
which a report does not count. The input of this module and its own source are deleted before any code of the repository
runs, and the module is not in `sys.modules` by then. Required tests are known by keyed hashes only.

PYTEST_DONT_REWRITE: there is no assertion here.
"""

from __future__ import annotations

import hashlib
import json
import sys
from _thread import start_new_thread
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from importlib import import_module
from os import _exit, environ, getpid
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from _pytest import junitxml

_WORKER = "PYTEST_XDIST_WORKER" in environ  # its controller does the recording
_options = import_module(f"{__name__}_options")
sys.modules.pop(f"{__name__}_options")
_WANTED, _send = import_module(f"{__name__}_channel").opened(lambda told: bool(told["workers"]))
_RESULTS = Path(_WANTED["results"])
_FIRST, _REQUIRED = frozenset(_WANTED["first"]), frozenset(_WANTED["required"])
_KEY = bytes.fromhex(_WANTED["key"])
_PID = getpid()
_GRACE = 10.0
"""Seconds after the seal by which the process has to have ended."""


class _Run:
    def __init__(self) -> None:
        self.session: Any = None
        self.unfinished = 0  # items that have not finished
        self.left = 0  # those of them in the first files
        self.unmet = set(_REQUIRED)  # required tests that have not passed
        self.failed: set[str] = set()  # required tests of which a phase failed
        self.stopped = False

    def over(self) -> bool:
        if _WANTED["stop"] == "never" or _WANTED["workers"] or self.left:
            return False
        return _WANTED["stop"] == "after-first" or bool(self.unmet or self.failed)


_run = _Run()


def _record(*fields: Any) -> None:
    if not _WORKER:
        _send(*fields)


def _hash(nodeid: str) -> str:
    return hashlib.blake2b(nodeid.encode("utf-8", "surrogateescape"), key=_KEY).hexdigest()


def _path(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]


def _text(report: Any) -> str:
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):  # a skip: file, line, reason
        return str(longrepr[2])
    crash = getattr(longrepr, "reprcrash", None)
    return str(getattr(crash, "message", longrepr))[:2000]


def _chain(error: BaseException) -> list[BaseException]:
    """An exception, the one that led to it, and so on; of pytest's own those that only pass on another are left out."""
    seen: list[BaseException] = []
    below: Any = error
    while isinstance(below, BaseException) and not any(below is each for each in seen) and len(seen) < 100:
        seen.append(below)
        inner = getattr(below, "exceptions", None)  # of a group, the first
        held = getattr(below, "excinfo", None)  # of a conftest that does not import, in older pytest
        if type(below).__name__ == "FixtureLookupError":  # what led to it is pytest's own
            break
        if isinstance(inner, tuple) and inner:
            below = inner[0]
        elif isinstance(held, tuple) and len(held) > 1:
            below = held[1]
        else:
            below = below.__cause__ or (None if below.__suppress_context__ else below.__context__)
    passing = ("CollectError", "ConftestImportFailure")
    return [each for each in seen if type(each).__name__ not in passing or each is seen[-1]]


def _described(error: BaseException) -> tuple[str, str]:
    """An exception's type, and the first line of its text."""
    kind = type(error)
    outside = kind.__module__ not in ("builtins", "__main__") and not kind.__module__.startswith("_pytest")
    name = f"{kind.__module__}.{kind.__qualname__}" if outside else kind.__name__
    text = f"fixture {error.argname!r} not found" if kind.__name__ == "FixtureLookupError" else str(error)  # type: ignore[attr-defined]
    lines = [line for line in text.splitlines() if line.strip()]
    return name[:200], lines[0].strip()[:300] if lines else ""


def _fault(raised: BaseException) -> list[str] | None:
    """The exception with which a failure began: type, text, module of its innermost frame; and the one that was raised,
    if that is another."""
    try:
        chain = _chain(raised)
        last, first = chain[0], chain[-1]
        frame = first.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        module = str(frame.tb_frame.f_globals.get("__name__", ""))[:200] if frame is not None else ""
        then = "" if first is last else ": ".join(part for part in _described(last) if part)
        return [*_described(first), module, then]
    except Exception:  # noqa: BLE001 (the exception is the repository's own: its text may raise anything)
        return None


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    """Note the exception of a failed phase in its report, which workers send to their controller."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.outcome == "failed" and call.excinfo is not None:
        report.cra_fault = _fault(call.excinfo.value)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: Any) -> Iterator[None]:
    """Note the exception of a module that cannot be collected."""
    outcome: Any = yield
    report = outcome.get_result()
    info = getattr(getattr(report, "call", None), "excinfo", None)
    if report.outcome == "failed" and info is not None:
        report.cra_fault = _fault(info.value)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_cmdline_main(config: Any) -> Iterator[None]:
    """Keep the tests in one process, whatever the repository's options for xdist, unless the command asks."""
    if not _WANTED["workers"] and hasattr(config.option, "numprocesses"):
        config.option.numprocesses = None
        config.option.dist = "no"
        config.option.tx = []
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> Iterator[None]:
    """Remove options of the repository, and this module from `sys.modules`, before code of the repository runs; note
    what that code raises."""
    if not _WORKER:
        _remove_options(early_config, parser, args)
    if not _WANTED["workers"]:
        sys.modules.pop(__name__, None)
    outcome: Any = yield
    if outcome.excinfo is not None:
        _record("run", _fault(outcome.excinfo[1]))
    elif not _WORKER and _WANTED["tolerant"]:
        _remove_unknown(early_config, parser, args)


class _Report:
    """The hooks of the report's plugin that write the report."""

    pytest_configure = staticmethod(junitxml.pytest_configure)
    pytest_unconfigure = staticmethod(junitxml.pytest_unconfigure)


def _theirs(args: list[str]) -> int:
    """How many words of the command line are the repository's: they come before ours."""
    return max(args.index(__name__) - 1 - int(_WANTED["before"]), 0)


def _parser_of(parser: Any) -> Any:
    return parser._getparser() if hasattr(parser, "_getparser") else parser.optparser


def _remove_options(config: Any, parser: Any, args: list[str]) -> None:
    count = _theirs(args)
    words = _options.Words(args[:count], _parser_of(parser)._option_string_actions)
    for word, after in zip(args[:count], [*args[1:count], ""]):  # noqa: B905 (Python 3.10)
        name = after if word == "-p" else word[2:] if word.startswith("-p") else ""
        if name.startswith("no:") and name[3:] in _WANTED["plugins"]:  # our own -p has undone it
            config.pluginmanager.set_blocked(name[3:])
    if config.pluginmanager.get_plugin("junitxml") is None:  # their -p no:junitxml; its options are known all the same
        config.pluginmanager.register(_Report())
    if not words.removed:
        return
    args[:count] = words.kept
    confined = config.known_args_namespace.confcutdir
    config.known_args_namespace = parser.parse_known_args(args, namespace=copy(config.option))
    config.known_args_namespace.confcutdir = confined
    for option, reason in words.removed:
        _record("removed", option, reason)


def _remove_unknown(config: Any, parser: Any, args: list[str]) -> None:
    unknown = parser.parse_known_and_unknown_args(args, namespace=copy(config.option))[1]
    count = _theirs(args)
    args[:count], removed = _options.without_unknown(args[:count], unknown)
    for option in removed:
        _record("unknown", option)


def pytest_sessionstart(session: Any) -> None:
    """Take out the plugins that repeat tests, once they have declared their options and marks."""
    manager = session.config.pluginmanager
    for name, plugin in manager.list_name_plugin():
        if plugin is not None and name in _options.REPEATING:
            manager.unregister(plugin)
            _record("removed", f"-p {name}", _options.REPEATING[name])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: Any, config: Any, items: list[Any]) -> None:
    """Move the tests of the first files to the front; the order is otherwise kept."""
    items.sort(key=lambda item: _path(item.nodeid) not in _FIRST)
    for item in items:
        item.user_properties.append(("cra_id", json.dumps(item.nodeid)))
    _run.left = sum(_path(item.nodeid) in _FIRST for item in items)
    _run.session = session


def pytest_collection_finish(session: Any) -> None:
    """Count the tests to finish."""
    _run.unfinished = len(session.items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: Any) -> bool | None:
    """Run nothing when there is nothing to run first."""
    if not _run.over():
        return None
    _run.stopped = True
    return True


def pytest_collectreport(report: Any) -> None:
    """Record modules that cannot be collected, or that skip themselves."""
    if report.outcome != "passed":
        _record("collect", report.nodeid, report.outcome, _text(report), getattr(report, "cra_fault", None))


def pytest_runtest_logreport(report: Any) -> None:
    """Record each phase of each test."""
    outcome = "xfailed" if report.outcome == "skipped" and hasattr(report, "wasxfail") else report.outcome
    message = "" if outcome == "passed" else _text(report)
    if report.when == "setup" and not message:  # a successful set-up is followed by the call, if that ends
        _record("begun", report.nodeid)
    else:
        _record(
            "test", report.nodeid, report.when, outcome, report.duration, message, getattr(report, "cra_fault", None)
        )
    key = _hash(report.nodeid)
    if key not in _REQUIRED:
        return
    if report.outcome == "failed":
        _run.failed.add(key)
    elif report.when == "call" and report.outcome == "passed":
        _run.unmet.discard(key)


def pytest_runtest_logfinish(nodeid: str, location: Any) -> None:
    """Count, and stop after the last test of the first files, if requested."""
    _run.unfinished -= 1
    if _run.left and _path(nodeid) in _FIRST:
        _run.left -= 1
        if _run.over():
            _run.stopped = True
            _run.session.shouldstop = "the first files are done"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session: Any) -> Iterator[None]:
    """Seal the report once all other hooks have written theirs, and see to it that the process ends: a thread that a
    test left waiting would keep it, and all results are there."""
    yield
    report = _RESULTS / "report.xml"
    if _WORKER or getpid() != _PID or not report.exists():
        return
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    whole = _run.stopped or _run.unfinished <= 0
    _send("seal", int(session.exitstatus), whole, digest)
    with suppress(RuntimeError):  # no further thread can be had: then the limit of time ends what stays
        start_new_thread(_end, (int(session.exitstatus),))


def _end(code: int) -> None:
    """End the process some time after the seal, as it would have ended. What it has printed since is not waited for."""
    sleep(_GRACE)
    _exit(code)
