"""Running a repository's test suite, once, inside a sandbox."""

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.sandbox import Ending, Finished, Mount, Sandbox
from harness.sandbox.base import DEFAULT_LIMITS, base_environment
from harness.testing.base import Selection, SuiteSetup
from harness.testing.records import Records, read_records
from harness.throwaway import throwaway
from models.limits import Limits
from models.suite import SuiteEnd, SuiteReport

_PLUGIN = Path(__file__).with_name("_pytest_plugin.py")
_USAGE, _NO_TESTS = 4, 5  # pytest's exit codes
_FINISHED = (0, 1, 2)  # all passed, some failed, or interrupted: by us, if the run is whole
_ENDS = {Ending.TIMEOUT: SuiteEnd.TIMEOUT, Ending.OUTPUT_LIMIT: SuiteEnd.OUTPUT_LIMIT}


def run_suite(
    sandbox: Sandbox,
    workdir: Path,
    setup: SuiteSetup,
    selection: Selection = Selection(),  # noqa: B008 (immutable)
    limits: Limits = DEFAULT_LIMITS,
) -> SuiteReport:
    """Run pytest over the work tree at `workdir` and read its JUnit report.

    Options that the repository sets for plugins which are not installed make pytest refuse to start; it is
    then started again without the repository's `addopts`, and the output begins with a line that says so. A
    module that skips itself as a whole is a skipped case under its path. Raises InfrastructureError when the
    sandbox fails.
    """
    report = _run_once(sandbox, workdir, setup, selection, limits, ())
    if report.end is SuiteEnd.USAGE and "error: unrecognized arguments:" in report.output:
        again = _run_once(sandbox, workdir, setup, selection, limits, ("-o", "addopts="))
        note = "[started again without the repository's addopts: pytest did not know all of them]\n"
        return again.model_copy(update={"output": note + again.output})
    return report


@dataclass(frozen=True)
class _Desk:
    """The two directories of a run: what it reads of ours, and where its records go."""

    plugin: Mount
    results: Mount

    @classmethod
    def lay(cls, root: Path) -> "_Desk":
        for name in ("plugin", "results"):
            (root / name).mkdir()
        return cls(
            Mount(root / "plugin", Path("/cra/plugin")),
            Mount(root / "results", Path("/cra/results"), writable=True),
        )


def _run_once(
    sandbox: Sandbox,
    workdir: Path,
    setup: SuiteSetup,
    selection: Selection,
    limits: Limits,
    extra: Sequence[str],
) -> SuiteReport:
    with throwaway("cra-tests-") as scratch:
        desk = _Desk.lay(scratch)
        nonce = secrets.token_hex(16)
        results = sandbox.path_of(desk.results)
        wanted = {
            "results": str(results),
            "first": selection.first,
            "stop": selection.stop,
            "required": selection.required,
            "workers": any(word.startswith(("-n", "--numprocesses")) for word in setup.command),
        }
        (desk.plugin.source / "selection.json").write_text(json.dumps(wanted), encoding="utf-8")
        module = f"plugin_{secrets.token_hex(8)}"  # nothing in the tree can bear its name
        (desk.plugin.source / f"{module}.py").write_bytes(_PLUGIN.read_bytes())
        (desk.results.source / "nonce").write_text(nonce)
        command = _command(setup, selection, module, results, sandbox.workdir_path(workdir), extra)
        done = sandbox.run(
            command,
            workdir=workdir,
            mounts=[*setup.mounts, desk.plugin, desk.results],
            env=_environment(setup, sandbox.workdir_path(workdir), sandbox.path_of(desk.plugin)),
            limits=limits,
        )
        records = read_records(desk.results.source, nonce)
    end = _end(done, records)
    note = f"\n[{records.note}]" if records.note else ""
    if done.ending in (Ending.MEMORY_LIMIT, Ending.PROCESS_LIMIT, Ending.DISK_LIMIT):
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


def _command(
    setup: SuiteSetup, selection: Selection, module: str, results: Path, root: Path, extra: Sequence[str]
) -> list[str]:
    first, *rest = setup.command
    return [
        str(setup.python) if first == "python" else first,
        *rest,
        *("-p", module, "-p", "no:cacheprovider", "-p", "no:randomly"),
        *("--continue-on-collection-errors", "--maxfail=0", "--color=no", f"--rootdir={root}"),
        *("-o", "junit_family=xunit1", "-o", "junit_logging=no", f"--junitxml={results / 'report.xml'}"),
        *extra,
        *selection.only,
    ]


def _environment(setup: SuiteSetup, root: Path, plugin: Path) -> dict[str, str]:
    inherited = base_environment(root, root)["PATH"]
    return {
        "PATH": f"{setup.python.parent}:{inherited}",
        "PYTHONPATH": os.pathsep.join([str(plugin), *setup.import_path(root)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
    }


def _end(done: Finished, records: Records) -> SuiteEnd:
    """How the run ended: completed only with a sealed report whose exit code is the process's own."""
    if done.ending is not Ending.EXITED:
        return _ENDS.get(done.ending, SuiteEnd.CRASHED)
    if done.exit_code == _USAGE and not records.sealed:
        return SuiteEnd.USAGE
    if not records.sealed or not records.whole or done.exit_code != records.exit_code:
        return SuiteEnd.CRASHED
    if done.exit_code == _NO_TESTS:
        return SuiteEnd.NO_TESTS
    return SuiteEnd.COMPLETED if done.exit_code in _FINISHED else SuiteEnd.CRASHED
