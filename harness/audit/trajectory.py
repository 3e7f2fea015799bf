"""The mechanical checks of one trajectory, together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.audit.checks import (
    OTHER_TEMPLATES,
    UNFINISHED,
    check_judgements,
    check_order,
    check_outcome,
    check_prompts,
    check_requests,
    check_tests,
    check_verdict,
)
from harness.audit.doubts import Doubts
from harness.audit.findings import AuditReport, Finding
from harness.audit.record import AttemptLog, Unrestorable, damaged
from harness.audit.replay import replay
from harness.planners.registry import PLANNERS
from models.errors import DatabaseError, PromptTooLong, RepositoryError
from models.limits import LoopLimits
from models.protocols import Stage
from repos.git import Git
from store.runs import RawStore
from store.runs.events import CallEvent, DecisionEvent, EditEvent, TestEvent


@dataclass(frozen=True)
class ReplayPlace:
    """Where a trajectory can be replayed: the repository's clone, the loop's limits, a folder for the files.

    `git` is None where the package is not at hand.
    """

    git: Git | None
    limits: LoopLimits
    scratch: Path


def audit_trajectory(
    store: RawStore,
    trajectory: str,
    place: Callable[[AttemptLog], ReplayPlace],
    doubts: Callable[[AttemptLog], Doubts] | None = None,
) -> AuditReport:
    """Check the attempt of a trajectory that counts; `doubts` asks a model about it.

    Raises UsageError for an unknown id, and ProviderError and CapReached as `doubts` does.
    """
    try:
        log = AttemptLog(store, store.trace(trajectory, prompts=True))
    except (DatabaseError, ValidationError) as error:
        return AuditReport(
            trajectory=trajectory,
            attempt=None,
            outcome=None,
            checked={},
            not_checked={"all": "the log cannot be read"},
            findings=(Finding(check="texts", detail=damaged(error)),),
        )
    findings = [*check_order(log), *check_requests(log), *check_judgements(log), *check_tests(log), *check_outcome(log)]
    findings += check_verdict(log)
    checked = dict(_counted(log))
    not_checked: dict[str, str] = {}
    if not log.ended:
        not_checked["judgements without decision"] = UNFINISHED
    of_prompts, compared, other = check_prompts(log)
    findings += of_prompts
    checked["prompts"] = compared
    if other:
        not_checked["prompts"] = OTHER_TEMPLATES
    differences, events, why_not = _replayed(log, place)
    findings += differences
    if why_not:
        not_checked["replay"] = why_not
    else:
        checked["replay"] = events
    asked = Doubts((), 0, "")
    if doubts is not None and log.calls:
        try:
            asked = doubts(log)
        except (Unrestorable, DatabaseError, PromptTooLong) as error:
            asked = asked._replace(unreadable=damaged(error))
    if asked.unreadable:
        not_checked["doubts"] = asked.unreadable
    if asked.left_out:
        not_checked["doubts about retrieval"] = f"{asked.left_out} were left out: the log is too long for the model"
    return AuditReport(
        trajectory=log.trace.id,
        attempt=log.attempt,
        outcome=log.outcome.kind.value if log.outcome else None,
        checked=checked,
        not_checked=not_checked,
        findings=tuple(findings),
        doubts=asked.findings,
        doubts_dropped=asked.dropped,
        cited=dict(asked.cited),
        answers=asked.answers,
        asked=asked.asked,
    )


def _replayed(log: AttemptLog, place: Callable[[AttemptLog], ReplayPlace]) -> tuple[list[Finding], int, str]:
    """In what a replay differs, how many events were compared, and why there was none (empty if there was)."""
    if why_not := _not_replayable(log):
        return [], 0, why_not
    found = place(log)
    if found.git is None:
        package, repository = log.trace.package[:12], log.trace.repository
        return [], 0, f"package {package} of {repository} is not at hand; name it with --package"
    try:
        differences, events = replay(log, found.git, found.limits, found.scratch)
    except (Unrestorable, DatabaseError, RepositoryError) as error:
        return [], 0, damaged(error)
    return list(differences), events, ""


def _counted(log: AttemptLog) -> Iterator[tuple[str, int]]:
    yield "rows", len(log.events)
    for name, kind in (("calls", CallEvent), ("decisions", DecisionEvent), ("edits", EditEvent), ("tests", TestEvent)):
        yield name, sum(isinstance(event, kind) for event in log.events)


def _not_replayable(log: AttemptLog) -> str:
    """Why the attempt cannot be replayed; empty if it can."""
    if log.trace.closed_attempt is None:
        return "no attempt closed it"
    if log.trace.planner not in PLANNERS:
        return f"planner {log.trace.planner!r} is not known here"
    if log.trace.source != "harness":
        return f"it is of source {log.trace.source!r}: its files were the user's own"
    if not log.calls:
        return "it asked nothing"
    if unknown := sorted({call.stage for call in log.calls} - {stage.value for stage in Stage}):
        return f"stage {unknown[0]!r} is not known here"
    return ""
