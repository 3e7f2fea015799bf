"""Running a repository's test suite once, inside a sandbox."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from host.throwaway import throwaway
from models.limits import Limits
from models.suite import SuiteEnd, SuiteReport
from repos.pytest_options import blocked_plugins, pytest_options
from runtime.sandbox import Finished, Mount, ProcessEnd, Sandbox
from runtime.sandbox.base import DEFAULT_LIMITS, base_environment
from runtime.testing.base import Plugin, Selection, SuiteSetup
from runtime.testing.channel import Received
from runtime.testing.pytest_runner.plugin import InstalledPlugin, laid_out
from runtime.testing.pytest_runner.records import Records, read_left, read_records
from runtime.testing.pytest_runner.unnamed import unnamed_modules

UNKNOWN = "[options of the repository that pytest does not know here: "
REMOVED = "[options of the repository that were left out: "
"""How the lines of a report's output begin that name options which were not used."""

_CACHE = Path("/cache")  # of the runner's cache plugin; empty at the start of each run
_RANDOMLY = frozenset({"randomly", "pytest_randomly"})
_STEADY_ORDER = ("--randomly-dont-reorganize", "--randomly-seed=1")
_PLUGIN = Path(__file__).with_name("_pytest_plugin.py")
_USAGE, _NO_TESTS = 4, 5  # pytest's exit codes
_FINISHED = (0, 1, 2)  # all passed, some failed, or interrupted: by our plugin, if the run is whole
_ENDS = {ProcessEnd.TIMEOUT: SuiteEnd.TIMEOUT, ProcessEnd.OUTPUT_LIMIT: SuiteEnd.OUTPUT_LIMIT}


def run_suite(
    sandbox: Sandbox,
    workdir: Path,
    setup: SuiteSetup,
    selection: Selection = Selection(),  # noqa: B008 (immutable)
    limits: Limits = DEFAULT_LIMITS,
    plugins: Sequence[Plugin] = (),
    *,
    restart: bool = True,
) -> SuiteReport:
    """Run pytest over the work tree at `workdir` and read its JUnit report.

    Only those registered plugins that the setup names are loaded. `plugins` are further modules of ours, with which all
    tests run in one process. Of the repository's own options those that would break isolation or determinism are left
    out, and so are those that pytest does not know (because a plugin is not installed), unless `restart` is off: then
    pytest refuses to start. The output begins with lines that name them. A module that skips itself as a whole is a
    skipped case under its path. Raises InfrastructureError when the sandbox fails.
    """
    records = Records(False, None, False)

    def read(results: Path, received: Received) -> None:
        nonlocal records
        records = read_records(results, received)

    options = pytest_options(lambda name: read_left(workdir / name))
    blocked = blocked_plugins(options)
    setup = replace(setup, plugins=tuple(name for name in setup.plugins if name not in blocked))
    selection = replace(selection, only=selection.only or unnamed_modules(workdir, options))
    with ExitStack() as stack:
        payload = _plugin_input(setup, selection, workers=not plugins, tolerant=restart)
        every = [Plugin(_PLUGIN, "suite", payload, read), *plugins]
        laid = [stack.enter_context(laid_out(sandbox, plugin)) for plugin in every]
        cache = Mount(stack.enter_context(throwaway("cra-cache-")), _CACHE, writable=True)
        command = _command(setup, selection, laid, sandbox, sandbox.workdir_path(workdir), cache)
        done = sandbox.run(
            command,
            workdir=workdir,
            mounts=[*setup.mounts, cache, *(mount for each in laid for mount in (each.folder, each.results))],
            env=_environment(setup, sandbox.workdir_path(workdir), [sandbox.path_of(each.folder) for each in laid]),
            limits=limits,
            descriptors=[each.channel.descriptor for each in laid],
        )
        for plugin, each in zip(every, laid, strict=True):
            plugin.collect(each.results.source, each.channel.finish())
    return SuiteReport(
        end=_end(done, records),
        exit_code=done.exit_code,
        seconds=done.seconds,
        cases=records.cases,
        collection_errors=records.not_collected,
        output=_output(done, records),
        command=tuple(command),
        faults=records.faults,
        unfinished=records.unfinished,
    )


def refused_options(report: SuiteReport) -> bool:
    """Whether the runner reported an unknown option; any code that it runs can print that, too."""
    return report.end is SuiteEnd.USAGE and "error: unrecognized arguments:" in report.output


def _output(done: Finished, records: Records) -> str:
    """What was printed, after the lines about options and before those about the run's end."""
    before = f"{UNKNOWN}{', '.join(records.unknown)}]\n" if records.unknown else ""
    before += f"{REMOVED}{'; '.join(records.removed)}]\n" if records.removed else ""
    after = f"\n[{records.note}]" if records.note else ""
    if done.ending in (ProcessEnd.MEMORY_LIMIT, ProcessEnd.PROCESS_LIMIT, ProcessEnd.DISK_LIMIT):
        after += f"\n[killed: {done.ending.value}]"
    return before + done.output + after


def _plugin_input(setup: SuiteSetup, selection: Selection, *, workers: bool, tolerant: bool) -> dict[str, Any]:
    """The input of our pytest plugin. Required tests are given as keyed hashes, which do not reveal their names.

    `workers` means that several processes may share the tests, if the command asks for it; `tolerant` that unknown
    options of the repository are left out. `before` counts the words of the command between pytest and our own.
    """
    words = setup.command
    key = secrets.token_bytes(16)
    names = (test.encode("utf-8", "surrogateescape") for test in selection.required)
    required = [hashlib.blake2b(name, key=key).hexdigest() for name in names]
    return {
        "first": selection.first,
        "stop": selection.stop,
        "key": key.hex(),
        "required": required,
        "workers": workers and any(word.startswith(("-n", "--numprocesses")) for word in words),
        "tolerant": tolerant,
        "before": len(words) - words.index("pytest") - 1 if "pytest" in words else len(words) - 1,
        "plugins": list(setup.plugins),
    }


def _command(
    setup: SuiteSetup,
    selection: Selection,
    laid: Sequence[InstalledPlugin],
    sandbox: Sandbox,
    root: Path,
    cache: Mount,
) -> list[str]:
    first, *rest = setup.command
    report = sandbox.path_of(laid[0].results) / "report.xml"
    ours = [word for each in laid for word in ("-p", each.module)]
    theirs = [word for name in setup.plugins for word in ("-p", name)]
    return [
        str(setup.python) if first == "python" else first,
        *rest,
        *ours,
        *theirs,
        *("--continue-on-collection-errors", "--maxfail=0", "--color=no", f"--rootdir={root}"),
        *("-o", "junit_family=xunit1", "-o", "junit_logging=no", f"--junitxml={report}"),
        *("-o", f"cache_dir={sandbox.path_of(cache)}"),
        *(_STEADY_ORDER if not _RANDOMLY.isdisjoint(setup.plugins) else ()),
        *selection.only,
    ]


def _environment(setup: SuiteSetup, root: Path, folders: Iterable[Path]) -> dict[str, str]:
    inherited = base_environment(root, root)["PATH"]
    return {
        "PATH": os.pathsep.join([*map(str, setup.programs), str(setup.python.parent), inherited]),
        "PYTHONPATH": os.pathsep.join([*map(str, folders), *setup.import_path(root)]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": str(setup.hash_seed),
        "PYTHONNOUSERSITE": "1",
    }


def _end(done: Finished, records: Records) -> SuiteEnd:
    """How the run ended: completed only with a sealed report whose exit code is the process's own."""
    if done.ending is not ProcessEnd.EXITED:
        return _ENDS.get(done.ending, SuiteEnd.CRASHED)
    if done.exit_code == _USAGE and not records.sealed:
        return SuiteEnd.USAGE
    if not records.sealed or not records.whole or done.exit_code != records.exit_code:
        return SuiteEnd.CRASHED
    if done.exit_code == _NO_TESTS:
        return SuiteEnd.NO_TESTS
    return SuiteEnd.COMPLETED if done.exit_code in _FINISHED else SuiteEnd.CRASHED
