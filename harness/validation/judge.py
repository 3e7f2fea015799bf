"""Judging a candidate's changes by the commit's own, hidden tests, and by those that were generated for it."""

from harness.packages.package import RepoPackage
from harness.validation.confirmation.confirm import CUT_SHORT, confirm
from harness.validation.judged_tree import JudgedTree, Unreadable
from harness.validation.tampering import Tampered
from models.confirmation import Confirmation
from models.files import Overlay
from models.manifest import Instance
from models.outcomes import OutcomeKind, Validation, judge, oracle_of
from models.suite import SuiteEnd, SuiteReport
from runtime.trees import BuildFailed, Runtime

JUDGE_VERSION = 4
"""Raised whenever a verdict could come out differently; verdicts of older versions are not used."""


def judge_candidate(
    runtime: Runtime, package: RepoPackage, instance: Instance, changes: Overlay, key: str
) -> tuple[Validation, SuiteReport]:
    """The verdict on `changes` over the instance's base, and its report.

    The commit's tests, and its generated ones if any, replace whatever tests the candidate's tree has. Those of the
    touched files run first, and the rest only if all of FAIL_TO_PASS passed: a failed candidate is cheap. A run that
    was cut short counts only if it is cut short again. A pass is provisional until it is confirmed. Raises
    EnvironmentFault, WheelError and InfrastructureError, for which the candidate is not blamed.
    """
    with package.provisioned(runtime, instance) as provided:
        judged = JudgedTree(runtime, package, instance, provided, instance.base_commit, changes)
        try:
            run = judged.run()
            if run.report.end in CUT_SHORT:
                run = judged.run()
            verdict = judge(instance, run.report, key)
            if verdict.kind.passed:
                verdict = _confirmed(verdict, confirm(judged, run, package.identity_of(instance) or ""))
        except BuildFailed as error:
            return _not_run(instance, key, OutcomeKind.BUILD_FAILED, str(error))
        except Tampered as error:
            return _not_run(instance, key, OutcomeKind.TAMPERED, str(error))
        except Unreadable as error:
            return _not_run(instance, key, OutcomeKind.UNREADABLE, str(error))
    return verdict, run.report


def _confirmed(verdict: Validation, confirmation: Confirmation) -> Validation:
    """A passing verdict after its confirmation."""
    if confirmation.void:
        kind, detail = OutcomeKind.TAMPERED, f"the run is void: {confirmation.seen[0]}"
    elif confirmation.doubted:
        kind = OutcomeKind.PASSED_UNCONFIRMED
        detail = (
            f"{confirmation.twins - confirmation.agreed} of {confirmation.twins} twins differ; {confirmation.differs}"
        )
    else:
        kind, detail = verdict.kind, verdict.detail
    return verdict.model_copy(update={"kind": kind, "detail": detail, "confirmation": confirmation})


def _not_run(instance: Instance, key: str, kind: OutcomeKind, detail: str) -> tuple[Validation, SuiteReport]:
    report = SuiteReport(end=SuiteEnd.NOT_RUN, exit_code=None, seconds=0.0, output=detail)
    not_run = tuple(sorted(set(instance.pass_to_pass)))
    return Validation(key=key, oracle=oracle_of(instance), kind=kind, p2p_not_run=not_run, detail=detail), report
