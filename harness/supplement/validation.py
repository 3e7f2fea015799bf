"""Trials of test modules in the sandbox: whether they reliably pass on the commit and distinguish it from its parent.

Cheap checks come first: the modules alone, on the commit and on the parent. Those that distinguish something are then
run with the whole suite, in the states and with the repeats of gold validation, which decides.
"""

import hashlib
import json
from collections.abc import Mapping

from harness.packages.gold_validation import REPEATS, GoldVerdict, StateRuns, decide
from harness.packages.package import RepoPackage
from models.generated import Failing
from models.manifest import Instance, InvalidReason
from models.suite import CaseStatus, SuiteEnd, SuiteReport
from models.supplements import Refusal, Trial
from repos.trees import overlay
from runtime.testing import Selection, file_of
from runtime.testing.failures import how_it_fails
from runtime.trees import BuildFailed, Provisioned, Runtime, checked_out, install, install_tests, run_tests

TRIAL_VERSION = 2
"""Raised whenever a trial could come out differently; kept trials of older versions are not used."""

BY_LOAD = (Refusal.TIMEOUT, Refusal.CRASHED)
"""Refusals that a busy machine can bring about: such a trial is made anew."""

_SHOWN = 3  # failing tests whose message is shown to the teacher


class _Refused(Exception):
    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal, self.detail = refusal, detail


class _TrialRuns:
    """An instance whose states are run with the modules added; counts the seconds."""

    def __init__(
        self, runtime: Runtime, package: RepoPackage, instance: Instance, held: Provisioned, modules: Mapping[str, str]
    ) -> None:
        self._runtime, self._git, self._instance, self._held = runtime, package.git, instance, held
        self._files = {path: (text.encode(), False) for path, text in modules.items()}
        self.seconds = 0.0

    def run(self, base: str, selection: Selection, *, bare: bool = False) -> SuiteReport:
        """Run a state: `base` with the commit's tests and the modules, or with its own tests alone if `bare`."""
        with checked_out(self._git, base, self._runtime.scratch) as tree:
            installation = install(self._runtime, tree, self._held, of_commit=True)
            if not bare:
                install_tests(self._git, self._instance.commit, tree)
                overlay(tree, self._files)
            report = run_tests(self._runtime, tree, self._held, selection, installation)
        self.seconds += report.seconds
        return report


def try_modules(runtime: Runtime, package: RepoPackage, instance: Instance, modules: Mapping[str, str]) -> Trial:
    """Try test modules (path -> text) on an instance's commit and parent.

    Raises EnvironmentFault, WheelError and InfrastructureError; all else is in the trial.
    """
    with package.provisioned(runtime, instance) as held:
        trials = _TrialRuns(runtime, package, instance, held, modules)
        try:
            _try_alone(trials, instance, modules)
            trial = _try_in_suite(trials, instance, modules)
        except _Refused as refused:
            trial = Trial(refusal=refused.refusal, detail=refused.detail)
        except BuildFailed as error:
            trial = Trial(refusal=Refusal.SUITE_BROKEN, detail=str(error))
    return trial.model_copy(update={"seconds": round(trials.seconds, 3)})


def trial_key(runtime: Runtime, package: RepoPackage, instance: Instance, modules: Mapping[str, str]) -> str:
    """The identity of a trial: of all that its outcome rests on."""
    what = [
        TRIAL_VERSION,
        package.manifest.name,
        instance.model_dump(mode="json"),
        dict(modules),
        runtime.limits.model_dump(mode="json"),
        runtime.sandbox.kind,
    ]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _try_alone(trials: _TrialRuns, instance: Instance, modules: Mapping[str, str]) -> None:
    alone = Selection(only=tuple(sorted(modules)))
    after = trials.run(instance.commit, alone)
    _check_end(after, "with the change")
    for path in sorted(modules):
        if path in after.collection_errors:
            raise _Refused(
                Refusal.NOT_COLLECTED, f"with the change, it cannot be collected:\n{after.collection_errors[path]}"
            )
    if not after.cases:
        raise _Refused(Refusal.NOT_COLLECTED, "no test was collected")
    if not after.passed:
        raise _Refused(Refusal.FAILS_ON_COMMIT, f"no test passes with the change:\n{_failures(after)}")
    before = trials.run(instance.base_commit, alone)
    _check_end(before, "without the change", usage_is_failure=True)
    if not any(how_it_fails(test, before) for test in after.passed):
        also = f"\nThese fail even with it:\n{_failures(after)}" if len(after.passed) < len(after.cases) else ""
        what = ", ".join(sorted(test.partition("::")[2] for test in after.passed))
        raise _Refused(Refusal.PASSES_ON_PARENT, f"{what}: passes without the change as well{also}")


def _try_in_suite(trials: _TrialRuns, instance: Instance, modules: Mapping[str, str]) -> Trial:
    own = [path for path in instance.test_files if path.endswith(".py")]
    touched = frozenset((*own, *modules))
    full, first = Selection(first=tuple(sorted(touched))), Selection(first=tuple(sorted(touched)), stop="after-first")
    parent = trials.run(instance.base_commit, Selection(), bare=True)
    if parent.end is not SuiteEnd.COMPLETED:
        raise _Refused(Refusal.SUITE_BROKEN, f"the parent's suite: {parent.end.value}: {_tail(parent.output)}")
    after, before = [], []
    for repeat in range(REPEATS):
        after.append(trials.run(instance.commit, full if repeat < 2 else first))
        _check_end(after[-1], "with the change, beside the repository's own tests")
        before.append(trials.run(instance.base_commit, first))
    verdict = decide(StateRuns(parent, tuple(before), tuple(after), touched))
    dropped = {test.id: test.reason for test in verdict.excluded if file_of(test.id) in modules}
    generated = {test for test in verdict.fail_to_pass if file_of(test) in modules}
    if not generated:
        raise _refused(verdict, dropped, after, before, modules)
    return Trial(
        told_apart={test: how_it_fails(test, before[0]) or Failing.EXCEPTION for test in sorted(generated)},
        dropped=dropped,
        fail_to_pass=verdict.fail_to_pass,
        pass_to_pass=verdict.pass_to_pass,
        excluded=verdict.excluded,
    )


def _refused(
    verdict: GoldVerdict,
    dropped: Mapping[str, str],
    after: list[SuiteReport],
    before: list[SuiteReport],
    modules: Mapping[str, str],
) -> _Refused:
    """Why tests that told something apart alone are not accepted."""
    runs = [{t for t in report.passed if file_of(t) in modules} for report in (*after, *before)]
    unsteady = any(runs[i] != runs[0] for i in range(REPEATS)) or any(r != runs[REPEATS] for r in runs[REPEATS:])
    if verdict.reason is InvalidReason.FLAKY or unsteady:
        return _Refused(Refusal.FLAKY, f"the outcome differs from run to run: {'; '.join(dropped) or verdict.detail}")
    return _Refused(Refusal.DISTURBS_SUITE, f"beside the repository's own tests: {verdict.detail or dropped}")


def _check_end(report: SuiteReport, what: str, *, usage_is_failure: bool = False) -> None:
    if report.end is SuiteEnd.TIMEOUT:
        raise _Refused(Refusal.TIMEOUT, f"{what}, the tests did not end within {report.seconds:.0f} s")
    ended = (SuiteEnd.COMPLETED, SuiteEnd.NO_TESTS, *([SuiteEnd.USAGE] if usage_is_failure else []))
    if report.end not in ended:
        raise _Refused(
            Refusal.CRASHED, f"{what}, the run ended without a report ({report.end.value}): {_tail(report.output)}"
        )


def _failures(report: SuiteReport) -> str:
    failing = [c for _, c in sorted(report.cases.items()) if c.status is not CaseStatus.PASSED]
    lines = [f"{c.id.partition('::')[2]} {c.status.value}: {c.message.strip()[:800]}" for c in failing[:_SHOWN]]
    more = [f"and {len(failing) - _SHOWN} more"] if len(failing) > _SHOWN else []
    return "\n".join([*lines, *more])


def _tail(output: str) -> str:
    return "\n".join(line for line in output.strip().splitlines()[-5:])[:800]
