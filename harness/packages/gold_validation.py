"""Gold validation: whether a mined commit is an instance, that is, its tests distinguish it from its parent.

Three states are run: the parent, the parent with the commit's tests, and the commit. FAIL_TO_PASS are the tests in
touched files that fail in the second and pass in the third; PASS_TO_PASS pass in the first and in the third. Tests that
differ between repeats are excluded, and a commit without a stable FAIL_TO_PASS test is invalid for a stated reason.

The commit's whole suite runs twice and the parent's once; the touched files run three times in both states. What is
cheap comes first: when no test is left that could be FAIL_TO_PASS, the whole suite is not run again. Where the whole
suite costs more than the budget, all runs are of the same part of it (`harness.packages.sampling`).
"""

import math
import os
from pathlib import Path

from harness.packages.causes import Invalid, cause_of, collection_fault, ended, not_collected
from harness.packages.gold_decision import GoldVerdict, StateRuns, candidates, decide, refusal, skipped
from harness.packages.gold_runs import GoldEffort, GoldRuns
from harness.packages.sampling import SuiteFiles, largest_share, suite_files
from models.causes import Layer
from models.manifest import NODE, PYTHON, Commit, InvalidReason, SampledSuite
from models.suite import CaseStatus, SuiteEnd, SuiteReport
from repos.git import Git
from runtime.sandbox import ProcessEnd
from runtime.testing import NODE_RUNNER, PYTEST, Selection, file_of
from runtime.testing.output import first_fault, last_line
from runtime.trees import BuildCutShort, BuildFailed, Provisioned, Runtime, checked_out, install, lay_over

__all__ = ["REPEATS", "GoldEffort", "GoldVerdict", "StateRuns", "decide", "validate_gold"]

REPEATS = 3
_LANGUAGES = {PYTHON: "Python", NODE: "JavaScript or TypeScript"}
UNCOLLECTED_SHARE = 0.2
"""Largest share of the test files that may fail to be collected at the commit as at its parent; one always may."""
UNCOLLECTED_SCRIPTS = 1.0
"""The same for JavaScript, whose runners are given every file that looks like a test."""
WHOLE_RUNS = 3
"""Runs of the whole suite: two of the commit, one of the parent."""
_EFFORT = GoldEffort()
_WORTH_SAYING = 60.0
"""Seconds of further runs from which on they are announced."""
_FOUND = "module:"
_SLOWER_BEFORE = 10
"""How many times as long as at the commit its tests may take at the parent."""
_WHERE_ARE = """\
import importlib.util, sys
for name in sys.argv[1:]:
    try:
        spec = importlib.util.find_spec(name)
        origin = spec.origin or list(spec.submodule_search_locations)[0] if spec else ""
    except Exception as error:
        origin = type(error).__name__
    print("\\nmodule:" + name, origin, sep="\\t", flush=True)
"""


def validate_gold(
    runtime: Runtime, git: Git, commit: Commit, provided: Provisioned, effort: GoldEffort = _EFFORT
) -> GoldVerdict:
    """Run the three states of a commit and decide. Raises InfrastructureError only; all other faults are verdicts."""
    tests = (change.path for change in commit.changes if change.kind == "test")
    language = provided.environment.language
    runner = NODE_RUNNER if language == NODE else PYTEST
    touched = tuple(sorted(path for path in tests if path.endswith(runner.test_suffixes)))
    runs = GoldRuns(runtime, git, commit, provided, effort)
    sampled: SampledSuite | None = None
    try:
        if not touched:
            raise Invalid(InvalidReason.NO_TESTS, f"no {_LANGUAGES[language]} test file is changed")
        first, sampled = _first_run(runs, touched)
        runs = runs.only(sampled) if sampled else runs
        verdict = decide(_run_states(runs, first, touched), runs.seconds)
    except Invalid as invalid:
        verdict = refusal(invalid, runs.seconds)
    except BuildCutShort as error:  # perhaps by this machine: not for good
        verdict = refusal(Invalid(InvalidReason.TIMEOUT, str(error)), runs.seconds)
    except BuildFailed as error:
        verdict = refusal(Invalid(InvalidReason.BUILD_FAILED, str(error)), runs.seconds)
    return GoldVerdict(**{**verdict.__dict__, "sampled": sampled})


def _first_run(runs: GoldRuns, touched: tuple[str, ...]) -> tuple[SuiteReport, SampledSuite | None]:
    """A run of the commit, and the part of the suite that it is of; None for the whole. Raises Invalid, BuildFailed."""
    whole = Selection(first=touched)
    if (chosen := runs.effort.sampled) is not None:
        return runs.only(chosen).after("after-1-sampled", whole), chosen
    budget = runs.effort.seconds
    first = (runs.within(budget / WHOLE_RUNS) if budget else runs).after("after-1", whole)
    reached = any(file_of(test) not in touched for test in first.cases)
    least = 0.0
    if first.end is SuiteEnd.TIMEOUT and not reached:
        first, least = _touched_alone(runs, first, touched, budget), first.seconds
    expected = _expected(first, touched)
    if first.end is not SuiteEnd.TIMEOUT and (not budget or first.seconds + expected <= budget):
        if expected >= _WORTH_SAYING:
            runs.effort.say(f"the suite took {first.seconds:.0f} s; its further runs take about {expected:.0f} s")
        return first, None
    if runs.effort.index_cache is None:
        raise _too_long(first, "the commit", budget)
    sampled = _sample(runs, first, touched, budget or WHOLE_RUNS * runs.runtime.limits.wall_seconds, least)
    runs.effort.say(f"the suite takes too long: {len(sampled.files)} of {sampled.of} test files are run")
    return runs.only(sampled).after("after-1-sampled", whole), sampled


def _touched_alone(runs: GoldRuns, first: SuiteReport, touched: tuple[str, ...], budget: float | None) -> SuiteReport:
    """The report of the touched files by themselves, by a runner that reports nothing before its end, with the end of
    the whole suite: from it the costs of a part are estimated. Raises Invalid if they take too long as well."""
    if runs.provided.environment.language == NODE:
        alone = runs.after("after-1-touched", Selection(first=touched, stop="after-first"))
        if alone.end is SuiteEnd.COMPLETED:
            return alone.model_copy(update={"end": first.end})
    raise _too_long(first, "the commit", budget)


def _expected(first: SuiteReport, touched: tuple[str, ...]) -> float:
    """Seconds of the runs to come after a first run of the whole suite."""
    return (WHOLE_RUNS - 1) * first.seconds + (2 * REPEATS - 2) * _touched_seconds(first, touched)


def _touched_seconds(first: SuiteReport, touched: tuple[str, ...]) -> float:
    return sum(case.seconds for case in first.cases.values() if file_of(case.id) in touched)


def _sample(runs: GoldRuns, first: SuiteReport, touched: tuple[str, ...], budget: float, least: float) -> SampledSuite:
    """The largest part of the suite whose runs fit into what is left of the budget; the whole is known to take more
    than `least` seconds. Raises Invalid."""
    assert runs.effort.index_cache is not None, "asked before"
    seen = {file_of(test) for test in first.cases}
    files = suite_files(runs.git, runs.commit, touched, seen, runs.effort.index_cache)
    repeats = (2 * REPEATS - 2) * _touched_seconds(first, touched)
    each = (budget - first.seconds - repeats) / WHOLE_RUNS
    for choice in (files, SuiteFiles(files.touched, (), tuple(sorted((*files.affected, *files.others))))):
        if (sample := largest_share(choice, runs.commit.sha, first, each, least)) is not None:
            return sample
    raise _too_long(first, "the touched test files", budget)


def _too_long(report: SuiteReport, what: str, budget: float | None) -> Invalid:
    detail = f"the suite of {what} did not end within {report.seconds:.0f} s"
    cause = cause_of(InvalidReason.TIMEOUT, detail, layer=Layer.BUDGET if budget else Layer.TEST)
    if budget:
        detail += f"; {budget / 60:.0f} min are for all {WHOLE_RUNS + 2 * REPEATS - 2} runs of a commit"
        cause = cause.model_copy(update={"text": detail, "remedy": "raise --commit-minutes"})
    return Invalid(InvalidReason.TIMEOUT, detail, cause)


def _run_states(runs: GoldRuns, first: SuiteReport, touched: tuple[str, ...]) -> StateRuns:
    """All further runs that the decision needs, the cheap ones first. Raises Invalid, BuildFailed."""
    first_only, files = Selection(first=touched, stop="after-first"), frozenset(touched)
    scripts = runs.provided.environment.language == NODE
    _check_ran(first, files, UNCOLLECTED_SCRIPTS if scripts else UNCOLLECTED_SHARE)
    if not scripts:
        _check_imports(runs)
    before = [runs.before("before-1", first_only)]
    if not candidates(tuple(before), (first,), files):
        # No repeat can show a difference. A skip of a new test needs the parent as explanation.
        parent = runs.parent("parent") if skipped(first, files) else first
        _check_ended(parent, "the parent")
        return StateRuns(parent, tuple(before), (first,), files)
    again: list[SuiteReport] = []
    slow = runs.within(_longest_before(first)) if before[0].end is SuiteEnd.TIMEOUT else runs
    for repeat in range(2, REPEATS + 1):
        before.append(slow.before(f"before-{repeat}", first_only))
        if repeat > 2:  # the second run of the commit is one of the whole suite
            again.append(runs.after(f"after-{repeat}", first_only))
            _check_ended(again[-1], "the commit, repeated,")
        if not candidates(tuple(before), (first, *again), files):
            return StateRuns(first, tuple(before), (first, *again), files)
    second, workers = _second_run(runs, first, touched)
    _check_ended(second, "the commit, repeated,")
    parent = runs.parent("parent", workers=workers)
    _check_ended(parent, "the parent")
    _check_same_errors(first, parent)
    return StateRuns(parent, tuple(before), (first, second, *again), files)


def _longest_before(first: SuiteReport) -> float:
    """Seconds for the commit's tests on its parent, once they did not end in the time that a candidate's have: many
    times the commit's, in whole minutes."""
    return 60.0 * math.ceil(max(60.0, _SLOWER_BEFORE * first.seconds) / 60)


def _second_run(runs: GoldRuns, first: SuiteReport, touched: tuple[str, ...]) -> tuple[SuiteReport, int]:
    """The second run of the commit's suite, and how many processes may share the parent's.

    Where the repository has pytest-xdist, a long suite is shared among processes: its tests then run in another order
    and without each other. If each has the outcome that it had alone, that counts as the second run; else the suite
    is run alone again, and what was seen among processes says nothing.
    """
    full, workers = Selection(first=touched), runs.effort.workers
    prefix = runs.provided.environment.prefix
    if workers > 1 and first.seconds >= runs.effort.share_from and "xdist" in PYTEST.installed_plugins(prefix):
        shared = runs.after("after-2", full, workers=workers)
        if _outcomes(shared) == _outcomes(first) and shared.end is first.end:
            return shared, workers
        runs.effort.say("the order of the tests matters: they are run in one process")
    return runs.after("after-2", full), 1


def _outcomes(report: SuiteReport) -> dict[str, CaseStatus]:
    return {test: case.status for test, case in report.cases.items()}


def _check_ended(report: SuiteReport, what: str) -> None:
    if (invalid := ended(report, what)) is not None:
        raise invalid


def _check_ran(report: SuiteReport, touched: frozenset[str], share: float) -> None:
    stopped = report.end is SuiteEnd.CRASHED and report.collection_errors and not report.cases
    if not stopped:  # an old pytest stops after a file that it cannot collect, whatever it is told
        _check_ended(report, "the commit")
    invalid = not_collected(report, "the commit")
    if invalid is not None and (stopped or not _tolerable(report, touched, share)):
        raise invalid
    if report.end is SuiteEnd.NO_TESTS or not report.cases:
        raise Invalid(InvalidReason.NO_TESTS, "no test was collected at the commit")


def _tolerable(report: SuiteReport, touched: frozenset[str], share: float) -> bool:
    """Whether the files that cannot be collected are few, and none that the commit touches: if the parent's are the
    same, they say nothing of the commit, and cost themselves alone."""
    errors = report.collection_errors
    files = {file_of(test) for test in report.cases} | errors.keys()
    hit = any(path == error or path.startswith(f"{error}/") for path in touched for error in errors)
    return not hit and len(errors) <= max(1, share * len(files))


def _check_same_errors(commit: SuiteReport, parent: SuiteReport) -> None:
    """Check that each file that cannot be collected at the commit cannot be at its parent, for the same cause."""
    faults = {file: collection_fault(commit, file) for file in commit.collection_errors}
    new = {
        file: commit.collection_errors[file]
        for file, fault in faults.items()
        if file not in parent.collection_errors or collection_fault(parent, file) != fault
    }
    only_new = commit.model_copy(update={"collection_errors": new})
    if (invalid := not_collected(only_new, "the commit, and not at its parent,")) is not None:
        raise invalid


def _check_imports(runs: GoldRuns) -> None:
    """Check that the tests import the commit's own distribution, and not an installed one of the same name."""
    runtime, provided = runs.runtime, runs.provided
    with checked_out(runs.git, runs.commit.sha, runtime.scratch) as tree:
        installation = install(runtime, tree, provided, of_commit=True)
        setup = lay_over(runtime, tree, provided, installation)
        root = runtime.sandbox.workdir_path(tree)
        own = (root, *setup.extra_path)
        finished = runtime.sandbox.run(
            [str(setup.python), "-c", _WHERE_ARE, *installation.modules],
            workdir=tree,
            mounts=setup.mounts,
            env={"PYTHONPATH": os.pathsep.join(setup.import_path(root))},
            limits=runtime.limits,
        )
    lines = finished.output.splitlines()
    found = [line.partition("\t") for line in lines if line.startswith(_FOUND)]
    for marked, _, origin in found:
        if not any(Path(origin).is_relative_to(place) for place in own):
            environment = Path(origin).is_relative_to(setup.python.parent.parent)
            where = "the environment" if environment else Path(origin).name or "nowhere"
            name = marked.removeprefix(_FOUND)
            raise Invalid(InvalidReason.SHADOWED, f"{name} is imported from {where}, not from the work tree")
    if finished.ending is not ProcessEnd.EXITED or len(found) != len(installation.modules):
        fault = first_fault(finished.output)
        detail = f"where modules come from was not found out: {fault or last_line(finished.output)}"
        raise Invalid(InvalidReason.SHADOWED, detail, cause_of(InvalidReason.SHADOWED, detail, fault))
