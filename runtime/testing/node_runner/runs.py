"""Running a JavaScript repository's tests inside a sandbox.

The report is written by the process that runs the tested code: it can be forged by it. What is compared is whether the
report agrees with the exit code; a report that cannot be read, or that is missing, is that of a crash.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from host.throwaway import throwaway
from models.limits import Limits
from models.suite import SuiteEnd, SuiteReport
from repos.trees import files_and_links
from runtime.sandbox import Finished, Mount, ProcessEnd, Sandbox
from runtime.sandbox.base import DEFAULT_LIMITS, base_environment
from runtime.testing.base import Plugin, Selection, SuiteSetup
from runtime.testing.node_runner.calls import WORKERS, Call
from runtime.testing.node_runner.reports import BadReport, Outcomes, merged, read_jest, read_mocha, read_node
from runtime.testing.node_runner.scripts import MOCHA, NODE_TEST, VITEST
from runtime.testing.pytest_runner.records import read_left

_DRIVER = Path(__file__).with_name("_each_file.mjs")
_UNTYPED = Path(__file__).with_name("_untyped.mjs")
_ENDS = {ProcessEnd.TIMEOUT: SuiteEnd.TIMEOUT, ProcessEnd.OUTPUT_LIMIT: SuiteEnd.OUTPUT_LIMIT}
_HEAD = 2000  # characters of an error
_IN_FOLDER = 'cd "$1" && shift && exec "$@"'


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
    """Run the tests of a work tree by the runner that the setup names, and read its report.

    Where a selection has a stop, its first files are run by themselves before the whole suite. `plugins` are modules
    for another runner, and not loaded; nothing is started again. Raises InfrastructureError when the sandbox fails.
    """
    try:
        call = Call.of(setup.command)
    except ValueError as error:
        return SuiteReport(end=SuiteEnd.USAGE, exit_code=None, seconds=0.0, output=str(error))
    runs = _Runs(sandbox, workdir, setup, call, limits)
    if selection.only:
        return runs.some(selection.only)
    if selection.first and selection.stop != "never":
        report = runs.some(selection.first)
        done = selection.stop == "after-first" or not set(selection.required) <= report.passed
        if done and (report.cases or report.collection_errors or report.end is not SuiteEnd.NO_TESTS):
            return report
        return _joined(report, runs.every())
    return runs.every()


@dataclass(frozen=True)
class _Runs:
    """The runs of one suite in one work tree."""

    sandbox: Sandbox
    workdir: Path
    setup: SuiteSetup
    call: Call
    limits: Limits

    def some(self, wanted: Sequence[str]) -> SuiteReport:
        """Run some files. One that keeps mocha from writing its report is found by running each by itself."""
        files = self.call.files(wanted, self._paths())
        if not files:
            return SuiteReport(end=SuiteEnd.NO_TESTS, exit_code=None, seconds=0.0, output="no test file is among these")
        report = self._run(files)
        if self.call.framework != MOCHA or report.end is not SuiteEnd.CRASHED or report.cases:
            return report
        reports = [self._run([file]) for file in files] if len(files) > 1 else [report]
        for index, (file, each) in enumerate(zip(files, reports, strict=True)):
            if each.end is SuiteEnd.CRASHED and not each.cases and each.exit_code is not None:
                errors = {file: _error_in(each.output)}
                reports[index] = each.model_copy(update={"end": SuiteEnd.COMPLETED, "collection_errors": errors})
        whole = reports[0]
        for each in reports[1:]:
            whole = _joined(whole, each)
        return whole

    def every(self) -> SuiteReport:
        """Run all tests."""
        return self._run(None)

    def _paths(self) -> list[str]:
        """The files of the folder that the runner works in, relative to it, less installed packages."""
        prefix = f"{self.setup.folder}/" if self.setup.folder else ""
        return [
            path.removeprefix(prefix)
            for path, link in files_and_links(self.workdir)
            if not link and path.startswith(prefix) and "node_modules" not in path.split("/")
        ]

    def _run(self, files: Sequence[str] | None) -> SuiteReport:
        if self.call.framework == NODE_TEST:
            return self._run_each(list(files) if files is not None else self.call.every_file(self._paths()))
        entry = self.call.entry(self.workdir, self.setup.folder)
        if entry is None:
            why = f"{self.call.framework} is not among the packages of the environment"
            return SuiteReport(end=SuiteEnd.USAGE, exit_code=None, seconds=0.0, output=why)
        with throwaway("cra-node-") as root:
            results, driver = _mount(root, "results"), _mount(root, "driver")
            inside = self.sandbox.path_of(results) / "report.json"
            major = self.call.major(self.workdir, self.setup.folder, entry)
            untyped = ""
            if self.call.framework == VITEST and self._asks_for_types():
                (driver.source / _UNTYPED.name).write_bytes(_UNTYPED.read_bytes())
                untyped = str(self.sandbox.path_of(driver) / _UNTYPED.name)
            command = self.call.command(str(self.setup.python), entry, major, files, str(inside), untyped)
            done = self._sandboxed(command, [results, driver])
            read = read_mocha if self.call.framework == MOCHA else read_jest
            content, outcomes, note = read_left(results.source / "report.json"), None, ""
            if content is not None:
                try:
                    outcomes = read(content, PurePosixPath(self.sandbox.workdir_path(self.workdir)))
                except BadReport as error:
                    note = str(error)
        return _report(done, outcomes, command, note)

    def _asks_for_types(self) -> bool:
        """Whether a configuration of vitest may have types checked."""
        named = (path for path in self._paths() if PurePosixPath(path).name.startswith(("vite.", "vitest.")))
        folder = self.workdir / self.setup.folder
        return any(b"typecheck" in (folder / path).read_bytes() for path in named)

    def _run_each(self, files: list[str]) -> SuiteReport:
        """Run `node --test` over each file by itself."""
        if not files:
            return SuiteReport(end=SuiteEnd.NO_TESTS, exit_code=None, seconds=0.0, output="there is no test file")
        with throwaway("cra-node-") as root:
            results, driver = _mount(root, "results"), _mount(root, "driver")
            payload = {
                "files": files,
                "options": [*self.call.node_options, *self.call.words.options],
                "results": str(self.sandbox.path_of(results)),
                "jobs": WORKERS,
            }
            (driver.source / "told.json").write_text(json.dumps(payload))
            (driver.source / _DRIVER.name).write_bytes(_DRIVER.read_bytes())
            inside = self.sandbox.path_of(driver)
            command = [str(self.setup.python), str(inside / _DRIVER.name), str(inside / "told.json")]
            done = self._sandboxed(command, [results, driver])
            codes = _codes(results.source / "codes.json", len(files))
            prefix = f"{self.setup.folder}/" if self.setup.folder else ""
            found = [
                self._outcomes(results.source / f"{n}.xml", f"{prefix}{file}", codes[n]) for n, file in enumerate(files)
            ]
        return _report(
            done, merged(found), command, "" if all(code is not None for code in codes) else "a run is missing"
        )

    def _outcomes(self, report: Path, file: str, code: int | None) -> Outcomes:
        """The outcomes of a file; it counts as not loaded if its report is missing or contradicts its exit code."""
        content = read_left(report)
        try:
            found = read_node(content, file) if content is not None else Outcomes({}, {file: "it left no report"})
        except BadReport as error:
            found = Outcomes({}, {file: str(error)})
        if found.failed or code == 0:
            return found
        return Outcomes({}, {file: f"its process ended with {code}, and its report has no failure"})

    def _sandboxed(self, command: Sequence[str], mounts: Sequence[Mount]) -> Finished:
        root = self.sandbox.workdir_path(self.workdir)
        inherited = base_environment(root, root)["PATH"]
        folders = [root / self.setup.folder, root] if self.setup.folder else [root]
        found = ":".join(str(folder / "node_modules" / ".bin") for folder in folders)
        into = ["/bin/sh", "-c", _IN_FOLDER, "sh", self.setup.folder] if self.setup.folder else []
        return self.sandbox.run(
            [*into, *command],
            workdir=self.workdir,
            mounts=[*self.setup.mounts, *mounts],
            env={**self.call.variables, "PATH": f"{self.setup.python.parent}:{found}:{inherited}"},
            limits=self.limits,
        )


def _mount(root: Path, name: str) -> Mount:
    folder = root / name
    folder.mkdir()
    return Mount(folder, Path("/cra") / "node" / name, writable=True)


def _codes(path: Path, count: int) -> list[int | None]:
    """The exit codes of some processes; None for each if they cannot be read."""
    try:
        codes = json.loads(read_left(path) or b"")
    except (ValueError, RecursionError):
        codes = None
    if not isinstance(codes, list) or len(codes) != count:
        return [None] * count
    return [code if isinstance(code, int) else None for code in codes]


def _report(done: Finished, outcomes: Outcomes | None, command: Sequence[str], note: str) -> SuiteReport:
    found = outcomes or Outcomes()
    if done.ending in (ProcessEnd.MEMORY_LIMIT, ProcessEnd.PROCESS_LIMIT, ProcessEnd.DISK_LIMIT):
        note = f"killed: {done.ending.value}"
    end = SuiteEnd.COMPLETED
    if done.ending is not ProcessEnd.EXITED:
        end = _ENDS.get(done.ending, SuiteEnd.CRASHED)
    elif outcomes is None or (done.exit_code == 0) == found.failed:
        end = SuiteEnd.CRASHED
        note = note or ("the exit code contradicts the report" if outcomes else "the runner left no report")
    elif not found.cases and not found.not_loaded:
        end = SuiteEnd.NO_TESTS
    return SuiteReport(
        end=end,
        exit_code=done.exit_code,
        seconds=done.seconds,
        cases=found.cases,
        collection_errors=found.not_loaded,
        output=done.output + (f"\n[{note}]" if note else ""),
        command=tuple(command),
    )


def _error_in(output: str) -> str:
    """The line of an error in a runner's output, and what follows, else its end."""
    lines = output.strip().splitlines()
    at = next(
        (n for n, line in enumerate(lines) if "Error" in line and not line.startswith(" ")), max(len(lines) - 8, 0)
    )
    return "\n".join(lines[at : at + 8])[:_HEAD]


_WORST = (SuiteEnd.TIMEOUT, SuiteEnd.OUTPUT_LIMIT, SuiteEnd.CRASHED, SuiteEnd.USAGE, SuiteEnd.COMPLETED)


def _joined(one: SuiteReport, other: SuiteReport) -> SuiteReport:
    """Two runs as one report, with the worse of their ends."""
    both = merged([Outcomes(one.cases, one.collection_errors), Outcomes(other.cases, other.collection_errors)])
    end = next((each for each in _WORST if each in (one.end, other.end)), SuiteEnd.NO_TESTS)
    return other.model_copy(
        update={
            "end": end,
            "exit_code": other.exit_code or one.exit_code,
            "seconds": one.seconds + other.seconds,
            "cases": both.cases,
            "collection_errors": both.not_loaded,
            "output": one.output + other.output,
        }
    )
