"""Checks of a log that need nothing but the log: order, requests, prompts, judgements, tests, outcome."""

from collections.abc import Callable, Iterator

from agent.asking import MALFORMED
from agent.prompts.render import renderings
from agent.retrieve.judgements import read_precision, read_scope, symbols_in
from harness.audit.findings import Finding
from harness.audit.record import AttemptLog, Unrestorable, damaged
from models.chat import Message, prompt_text, read_prompt
from models.control import control_tokens
from models.errors import DatabaseError, PlanError
from models.outcomes import Blame, OutcomeKind
from models.protocols import FALLBACK, Request, Stage
from store.runs.events import DecisionEvent, TestEvent

UNFINISHED = "its attempt was cut short before its judgements became decisions, or is under way"
OTHER_TEMPLATES = "its prompts are of other templates than those in force: another version made them"
_UNANSWERED, _SECOND, _LEFT_OUT, _JUDGE = "unanswered", "second-opinion", "left-out", "judge"
_NEEDED = {
    Stage.PART_PLAN: ("meta", "part"),
    Stage.TEST_PLAN: ("meta", "part"),
    Stage.CODE: ("meta", "part", "plan", "step", "edit_format"),
    Stage.ADJUSTMENT: ("meta", "part"),
}
"""The fields without which a stage's request cannot be rendered."""
_OVERRULED = "judge: judged irrelevant, but "


def check_order(log: AttemptLog) -> Iterator[Finding]:
    """Rows are numbered from 0 without a gap: none was removed or put in between."""
    numbers = [event.seq for event in log.events]
    missing = sorted(set(range(max(numbers, default=-1) + 1)) - set(numbers))
    if missing:
        yield Finding(check="order", cites=tuple(missing), detail=f"row {missing[0]} is missing ({len(missing)} such)")
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        yield Finding(check="order", cites=tuple(twice), detail=f"there are two rows {twice[0]}")


def check_requests(log: AttemptLog) -> Iterator[Finding]:
    """A call's row says what its request says: stage, part, step, attempt, size of the context; all of one task."""
    first: Request | None = None
    for call in log.calls:
        try:
            request = log.request(call)
        except (Unrestorable, DatabaseError) as error:
            yield Finding(check="requests", cites=(call.seq,), detail=damaged(error))
            continue
        first = first or request
        told = (call.stage, call.part_id, call.step_id, call.step_attempt, call.context_tokens)
        asked = (
            request.stage.value,
            request.part.id if request.part else None,
            request.step.id if request.step else None,
            request.attempt,
            request.context.tokens if request.context else None,
        )
        if told != asked:
            yield Finding(check="requests", cites=(call.seq,), detail=f"the row says {told}, its request {asked}")
        if request.task != first.task:
            yield Finding(check="requests", cites=(call.seq,), detail="its request is about another task")
        if request.task.base != log.trace.base_commit:
            yield Finding(check="requests", cites=(call.seq,), detail=f"its request starts from {request.task.base!r}")


def check_prompts(log: AttemptLog) -> tuple[list[Finding], int, bool]:
    """Each prompt is one of the renderings of its request. Findings, prompts compared, and whether there are prompts of
    other templates, which cannot be compared."""
    findings: list[Finding] = []
    compared, other = 0, False
    for call in log.calls:
        if call.prompt is None:
            continue
        try:
            request = log.request(call)
        except (Unrestorable, DatabaseError):
            continue  # found by check_requests
        if lacking := [name for name in _NEEDED.get(request.stage, ()) if getattr(request, name) is None]:
            detail = f"its request is of {request.stage.value} and has no {lacking[0]}"
            findings.append(Finding(check="prompts", cites=(call.seq,), detail=detail))
            continue
        found = _matches(call.prompt, request)
        if found is None:
            other = True
            continue
        compared += 1
        if not found:
            findings.append(
                Finding(
                    check="prompts", cites=(call.seq,), detail=f"the prompt is not what its {call.stage} renders to"
                )
            )
    return findings, compared, other


def _matches(prompt: str, request: Request) -> bool | None:
    """Whether a prompt is a rendering of a request; None if its system message is of other templates."""
    restore = control_tokens().restore
    try:
        stored = read_prompt(prompt)
    except ValueError:
        return False
    plain = prompt_text([Message(role=each.role, content=restore(each.content)) for each in stored])
    for messages in renderings(request):
        if stored[:1] and restore(stored[0].content) != messages[0].content and stored[0] != messages[0]:
            return None
        if prompt_text(messages) in (prompt, plain):
            return True
    return False


def check_judgements(log: AttemptLog) -> Iterator[Finding]:
    """Decisions of scope and precision are what the answers say, and each judgement is a decision."""
    yield from _judged(log, Stage.SCOPE, _files_judged)
    yield from _judged(log, Stage.PRECISION, _symbols_judged)


def _files_judged(request: Request, text: str) -> dict[str, str]:
    judged = read_scope(text, [each.path for each in request.candidates], request.answers)
    return {path: relevance.value for path, relevance in judged.items()}


def _symbols_judged(request: Request, text: str) -> dict[str, str]:
    judged = read_precision(text, symbols_in(request.outlines), request.answers)
    return {f"{path} :: {name}": use.value for (path, name), use in judged.items()}


def _judged(log: AttemptLog, stage: Stage, read: Callable[[Request, str], dict[str, str]]) -> Iterator[Finding]:
    said: dict[str, tuple[str, int]] = {}
    for call in log.calls:
        if call.stage != stage.value:
            continue
        try:
            said |= {subject: (value, call.seq) for subject, value in read(log.request(call), call.response).items()}
        except (PlanError, Unrestorable, DatabaseError):
            continue  # a malformed answer judges nothing; a damaged request is found by check_requests
    decided = set()
    for event in log.events:
        if not isinstance(event, DecisionEvent) or event.stage != stage.value:
            continue
        if event.decision in (MALFORMED, FALLBACK, _UNANSWERED, _SECOND, _LEFT_OUT):
            continue
        decided.add(event.subject)
        yield from _cause(event, said.get(event.subject))
    for subject, (value, seq) in said.items():
        if subject not in decided and log.ended:
            detail = f"{subject!r} was judged {value}, and nothing was decided of it"
            yield Finding(check="judgements", cites=(seq,), detail=detail)


def _cause(event: DecisionEvent, said: tuple[str, int] | None) -> Iterator[Finding]:
    """The finding about a decision that its answer does not cause."""
    by_judge = event.reason == _JUDGE or event.reason.startswith(f"{_JUDGE}: ")
    if said is None:
        if by_judge:
            detail = f"{event.subject!r} is decided {event.decision} by a judge, and no answer says so"
            yield Finding(check="judgements", cites=(event.seq,), detail=detail)
        return
    value, seq = said
    overruled = value == "irrelevant" and event.decision == "supporting" and event.reason.startswith(_OVERRULED)
    if not by_judge or (event.decision != value and not overruled):
        detail = f"{event.subject!r} is decided {event.decision} ({event.reason[:60]}), but was judged {value}"
        yield Finding(check="judgements", cites=(seq, event.seq), detail=detail)


def check_tests(log: AttemptLog) -> Iterator[Finding]:
    """A row of a test run says what its report says."""
    for event in log.events:
        if not isinstance(event, TestEvent):
            continue
        try:
            report = log.report(event)
        except (Unrestorable, DatabaseError) as error:
            yield Finding(check="tests", cites=(event.seq,), detail=damaged(error))
            continue
        told = (event.end, event.exit_code, event.counts)
        if told != (report.end.value, report.exit_code, report.counts()):
            found = (report.end.value, report.exit_code, report.counts())
            yield Finding(check="tests", cites=(event.seq,), detail=f"the row says {told}, its report {found}")


def check_verdict(log: AttemptLog) -> Iterator[Finding]:
    """What a verdict says of its tests is what the report that it rests on says."""
    outcome = log.outcome
    if outcome is None or outcome.validation is None or outcome.report_hash is None:
        return
    verdict = outcome.validation
    try:
        report = log.report_of(outcome.report_hash)
    except (Unrestorable, DatabaseError) as error:
        yield Finding(check="verdict", detail=damaged(error))
        return
    passed = report.passed
    for test in (test for test in verdict.f2p_passed if test not in passed):
        yield Finding(check="verdict", detail=f"the verdict says that {test} passed, its report does not")
        return
    for test in (test for test in (*verdict.f2p_failed, *verdict.p2p_failed) if test in passed):
        yield Finding(check="verdict", detail=f"the verdict says that {test} failed, and in its report it passed")
        return


def check_outcome(log: AttemptLog) -> Iterator[Finding]:
    """The outcome follows from its verdict, and the verdict from the tests that it lists."""
    outcome, trace = log.outcome, log.trace
    if outcome is None:
        if trace.outcome is not None:
            yield Finding(check="outcome", detail=f"the trajectory is {trace.outcome.value}, and no attempt ended so")
        return
    if trace.closed_attempt == outcome.attempt and trace.outcome is not outcome.kind:
        told = trace.outcome.value if trace.outcome else "open"
        yield Finding(check="outcome", detail=f"the trajectory is {told}, its attempt {outcome.kind.value}")
    verdict = outcome.validation
    passes = (OutcomeKind.PASSED, OutcomeKind.PASSED_UNCONFIRMED)
    if verdict is None:
        if outcome.kind in passes:
            yield Finding(check="outcome", detail=f"{outcome.kind.value} without a verdict")
        return
    failed = [*verdict.f2p_failed, *verdict.p2p_failed, *verdict.p2p_not_run]
    if verdict.kind in passes and failed:
        yield Finding(check="outcome", detail=f"the verdict is {verdict.kind.value}, and {failed[0]} did not pass")
    if (outcome.kind in passes or verdict.kind in passes) and outcome.kind is not verdict.kind:
        detail = f"the outcome is {outcome.kind.value}, its verdict {verdict.kind.value}"
        yield Finding(check="outcome", detail=detail)
    own = outcome.kind.blame in (Blame.PLAN, Blame.CODE, Blame.UNDETERMINED)
    if outcome.kind not in passes and outcome.kind is not verdict.kind and not own:
        detail = f"the outcome is {outcome.kind.value}, its verdict {verdict.kind.value}"
        yield Finding(check="outcome", detail=detail)
