"""Running a repository's test suite once, inside a sandbox."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from models.limits import Limits
from models.suite import SuiteEnd, SuiteReport
from runtime.sandbox import Finished, ProcessEnd, Sandbox
from runtime.sandbox.base import DEFAULT_LIMITS, base_environment
from runtime.testing.base import Plugin, Selection, SuiteSetup
from runtime.testing.channel import Received
from runtime.testing.pytest_runner.plugin import InstalledPlugin, laid_out
from runtime.testing.pytest_runner.records import Records, read_records

RESTARTED = "[started again without the repository's addopts: pytest did not know all of them]\n"
"""First line of the output of a run without the repository's options."""

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
    tests run in one process. If the repository sets options for plugins that are not installed, pytest refuses to
    start; it is then started again without the repository's `addopts` (unless `restart` is off), and the output begins
    with a line that says so. A module that skips itself as a whole is a skipped case under its path. Raises
    InfrastructureError when the sandbox fails.
    """
    report = _run_once(sandbox, workdir, setup, selection, limits, plugins, ())
    if restart and refused_options(report):
        again = _run_once(sandbox, workdir, setup, selection, limits, plugins, ("-o", "addopts="))
        return again.model_copy(update={"output": RESTARTED + again.output})
    return report


def refused_options(report: SuiteReport) -> bool:
    """Whether the runner reported an unknown option; any code that it runs can print that, too."""
    return report.end is SuiteEnd.USAGE and "error: unrecognized arguments:" in report.output


def _run_once(
    sandbox: Sandbox,
    workdir: Path,
    setup: SuiteSetup,
    selection: Selection,
    limits: Limits,
    plugins: Sequence[Plugin],
    extra: Sequence[str],
) -> SuiteReport:
    records = Records(False, None, False)

    def read(results: Path, received: Received) -> None:
        nonlocal records
        records = read_records(results, received)

    with ExitStack() as stack:
        payload = _plugin_input(setup, selection, workers=not plugins)  # of the further ones none can be loaded twice
        every = [Plugin(_PLUGIN, "suite", payload, read), *plugins]
        laid = [stack.enter_context(laid_out(sandbox, plugin)) for plugin in every]
        command = _command(setup, selection, laid, sandbox, sandbox.workdir_path(workdir), extra)
        done = sandbox.run(
            command,
            workdir=workdir,
            mounts=[*setup.mounts, *(mount for each in laid for mount in (each.folder, each.results))],
            env=_environment(setup, sandbox.workdir_path(workdir), [sandbox.path_of(each.folder) for each in laid]),
            limits=limits,
            descriptors=[each.channel.descriptor for each in laid],
        )
        for plugin, each in zip(every, laid, strict=True):
            plugin.collect(each.results.source, each.channel.finish())
    end = _end(done, records)
    note = f"\n[{records.note}]" if records.note else ""
    if done.ending in (ProcessEnd.MEMORY_LIMIT, ProcessEnd.PROCESS_LIMIT, ProcessEnd.DISK_LIMIT):
        note += f"\n[killed: {done.ending.value}]"
    return SuiteReport(
        end=end,
        exit_code=done.exit_code,
        seconds=done.seconds,
        cases=records.cases,
        collection_errors=records.not_collected,
        output=done.output + note,
        command=tuple(command),
    )


def _plugin_input(setup: SuiteSetup, selection: Selection, *, workers: bool) -> dict[str, Any]:
    """The input of our pytest plugin. Required tests are given as keyed hashes, which do not reveal their names.

    `workers` means that several processes may share the tests, if the command asks for it.
    """
    key = secrets.token_bytes(16)
    names = (test.encode("utf-8", "surrogateescape") for test in selection.required)
    required = [hashlib.blake2b(name, key=key).hexdigest() for name in names]
    return {
        "first": selection.first,
        "stop": selection.stop,
        "key": key.hex(),
        "required": required,
        "workers": workers and any(word.startswith(("-n", "--numprocesses")) for word in setup.command),
    }


def _command(
    setup: SuiteSetup,
    selection: Selection,
    laid: Sequence[InstalledPlugin],
    sandbox: Sandbox,
    root: Path,
    extra: Sequence[str],
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
        *("-p", "no:cacheprovider", "-p", "no:randomly"),
        *("--continue-on-collection-errors", "--maxfail=0", "--color=no", f"--rootdir={root}"),
        *("-o", "junit_family=xunit1", "-o", "junit_logging=no", f"--junitxml={report}"),
        *extra,
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
