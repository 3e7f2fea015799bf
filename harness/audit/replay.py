"""Replay: the main loop goes again through a task with the recorded answers and test reports, without asking a model or
running a test, and each event is compared with its row.

It begins after retrieval, with the context that the first question showed. Requests, plans, edits with the hashes of
the files, decisions and the patch must come out as they were recorded.
"""

from dataclasses import dataclass, field
from pathlib import Path

from agent.asking import ATTEMPTS
from agent.loop import solve
from harness.audit.findings import Finding
from harness.audit.record import AttemptLog
from harness.planners.registry import PLANNERS
from harness.runs.workspace import TreeWorkspace
from models.edits import EditFormat, EditResult
from models.errors import CleanRoomError, PromptTooLong
from models.judging import QuestionForm
from models.limits import LoopLimits
from models.outcomes import OutcomeKind
from models.plans import MetaPlan, PartPlan
from models.protocols import FALLBACK, Answer, Request, Stage
from models.suite import SuiteReport
from repos.git import Git
from runtime.trees import checked_out
from store.keys import canonical
from store.runs.events import CallEvent, DecisionEvent, EditEvent, Event, PlanEvent, TestEvent
from store.runs.recorder import add_request
from store.texts import Texts

_SECOND = "second-opinion"


class Diverged(CleanRoomError):
    """The replay and the log differ."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


def replay(log: AttemptLog, git: Git, limits: LoopLimits, scratch: Path) -> tuple[list[Finding], int]:
    """The first difference between an attempt's log and its replay on the parent's files, and the events compared.

    Raises InfrastructureError if the files cannot be checked out.
    """
    rows = _Rows(log)
    context = log.context()
    with checked_out(git, log.trace.base_commit, scratch) as tree:
        workspace = TreeWorkspace(tree, rows.run_tests)
        task = log.request(log.calls[0]).task
        try:
            solve(task, _Recorded(rows), workspace, rows, limits, context=context)
        except Diverged as diverged:
            return [diverged.finding], rows.place
        findings = []
        if rows.next is not None:
            detail = f"the loop ends before row {rows.next.seq} ({_named(rows.next)})"
            findings.append(Finding(check="replay", cites=(rows.next.seq,), detail=detail))
        patch = workspace.patch()
    outcome = log.outcome
    if not findings and outcome is not None and outcome.patch != patch:
        cites = tuple(event.seq for event in log.events if isinstance(event, EditEvent))
        detail = f"the edits give another patch than the outcome's ({_difference(outcome.patch, patch)})"
        findings.append(Finding(check="replay", cites=cites, detail=detail))
    return findings, rows.place


@dataclass
class _Rows:
    """The rows of the main loop, read in order: a recorder that compares instead of writing."""

    log: AttemptLog
    place: int = 0
    _reports: dict[int, SuiteReport] = field(default_factory=dict)

    @property
    def next(self) -> Event | None:
        """The next row; None after the last."""
        rows = self.log.loop_events
        return rows[self.place] if self.place < len(rows) else None

    def call(self, request: Request, answer: Answer) -> None:
        """Compare a request, file texts and context included."""
        row = self._take("call", request.stage.value)
        assert isinstance(row, CallEvent)
        if add_request(request, Texts()) != row.request_hash:
            stored, asked = self.log.request(row).model_dump(mode="json"), request.model_dump(mode="json")
            names = [name for name in asked if stored[name] != asked[name]]
            what = ", ".join(names) or "its text"
            raise self._differs(row, f"the request of row {row.seq} differs from the replay's in {what}")

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None:
        """Compare a plan."""
        row = self._take("plan", stage.value)
        assert isinstance(row, PlanEvent)
        part = plan.part_id if isinstance(plan, PartPlan) else None
        if canonical(plan) != row.plan or part != row.part_id:
            raise self._differs(row, f"the plan of row {row.seq} is not what the answer before it says")

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        """Compare a step's edits, the rungs that applied them, and the hashes of the files."""
        for result in results:
            row = self._take("edit", f"{part_id}/{step_id}")
            assert isinstance(row, EditEvent)
            told = {
                "part": row.part_id,
                "step": row.step_id,
                "attempt": row.step_attempt,
                "path": row.path,
                "edit": row.edit,
                "rung": row.rung,
                "error": row.error,
                "hash before": row.before_hash,
                "hash after": row.after_hash,
            }
            made = {
                "part": part_id,
                "step": step_id,
                "attempt": attempt,
                "path": result.edit.path,
                "edit": canonical(result.edit),
                "rung": result.rung.value if result.rung else None,
                "error": result.error,
                "hash before": result.before_hash,
                "hash after": result.after_hash,
            }
            if wrong := [name for name in told if told[name] != made[name]]:
                detail = f"edit {row.seq} of {row.path} differs from the replay's in {', '.join(wrong)}"
                raise self._differs(row, detail)

    def tests(self, purpose: str, report: SuiteReport) -> None:
        """Compare the purpose of a test run, whose report is the recorded one."""
        row = self._take("tests", purpose)
        assert isinstance(row, TestEvent)
        if row.purpose != purpose:
            raise self._differs(row, f"row {row.seq} is of tests for {row.purpose!r}, the replay's for {purpose!r}")

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        """Compare a decision."""
        row = self._take("decision", f"{stage.value} {subject}: {decision}")
        assert isinstance(row, DecisionEvent)
        if (row.stage, row.subject, row.decision, row.reason) != (stage.value, subject, decision, reason):
            told = f"{row.stage} {row.subject}: {row.decision}"
            raise self._differs(
                row, f"row {row.seq} decides {told!r}, the replay {f'{stage.value} {subject}: {decision}'!r}"
            )

    def answer(self, request: Request) -> Answer:
        """The answer of the next row. Raises PromptTooLong where that ended the attempt, Diverged."""
        row = self.next
        outcome = self.log.outcome
        if row is None and outcome is not None and outcome.kind is OutcomeKind.PROMPT_TOO_LONG:
            raise PromptTooLong(outcome.detail)
        if not isinstance(row, CallEvent) or row.stage != request.stage.value:
            raise self._differs(row, f"the replay asks {request.stage.value} where the log has {_named(row)}")
        noted: dict[str, str] = {}
        for event in self.log.loop_events[self.place + 1 : self.place + 3]:
            if not isinstance(event, DecisionEvent) or event.decision not in (FALLBACK, _SECOND):
                break
            noted[event.decision] = event.reason
        return Answer(
            text=row.response,
            reasoning=row.reasoning,
            model=row.model,
            fallback=noted.get(FALLBACK),
            second=noted.get(_SECOND),
        )

    def run_tests(self, changed: list[str], patch: str) -> SuiteReport | None:
        """The report of the next row; None if the log has no test run here.

        Stored reports do not keep the order of tests, which the coder was told of failures in: what it was told has it.
        """
        row = self.next
        if not isinstance(row, TestEvent):
            return None
        report = self.log.report(row)
        told = self._told_after(self.place)
        order = sorted(report.cases, key=lambda name: _position(name, told))
        return report.model_copy(update={"cases": {name: report.cases[name] for name in order}})

    def _told_after(self, place: int) -> str:
        """What the next question after a row says of failures."""
        row = next((event for event in self.log.loop_events[place:] if isinstance(event, CallEvent)), None)
        if row is None:
            return ""
        request = self.log.request(row)
        return request.failure or "\n".join(result.detail for result in request.results[-1:])

    def _take(self, kind: str, what: str) -> Event:
        row = self.next
        if row is None or row.event != kind:
            raise self._differs(row, f"the replay makes a {kind} ({what}) where the log has {_named(row)}")
        self.place += 1
        return row

    def _differs(self, row: Event | None, detail: str) -> Diverged:
        """The finding cites the row, and the answer that the replay went on from."""
        asked = [event.seq for event in self.log.loop_events[: self.place] if isinstance(event, CallEvent)]
        last = self.log.events[-1].seq + 1 if self.log.events else 0
        return Diverged(Finding(check="replay", cites=(*asked[-1:], last if row is None else row.seq), detail=detail))


class _Recorded:
    """A planner that gives the recorded answers."""

    judges = False
    guides_ranking = False
    classified: frozenset[Stage] = frozenset()

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows
        self.name = rows.log.trace.planner
        self.identity = rows.log.trace.planner_identity
        self.plans = PLANNERS[self.name].plans
        self.question_form = QuestionForm()
        self.edit_format = _edit_format(rows.log)
        self.falls_back = any(call.step_attempt >= ATTEMPTS for call in rows.log.calls)

    def answer(self, request: Request) -> Answer:
        return self._rows.answer(request)

    def max_prompt_tokens(self, stage: Stage) -> int:
        raise AssertionError("nothing is retrieved in a replay")

    max_output_tokens = max_prompt_tokens

    def count(self, text: str) -> int:
        raise AssertionError("nothing is counted in a replay")


def _edit_format(log: AttemptLog) -> EditFormat:
    """The edit format that the coder was asked for; if it was not asked, any."""
    coded = (log.request(call).edit_format for call in log.calls if call.stage == Stage.CODE.value)
    return next((each for each in coded if each is not None), EditFormat.SEARCH_REPLACE)


def _position(test: str, told: str) -> int:
    """The place of a test in a text about failures: at the head of a line, or in the list at the end; else the last."""
    at_head = f"\n{told}".find(f"\n{test}: ")
    if at_head >= 0:
        return at_head
    names = told.rpartition("more: ")[2].split(", ")
    return len(told) + names.index(test) if test in names else 2 * len(told)


def _named(event: Event | None) -> str:
    if event is None:
        return "no more rows"
    stage = "" if isinstance(event, EditEvent | TestEvent) else f"{event.stage} "
    return f"a {stage}{event.event} (row {event.seq})"


def _difference(stored: str, made: str) -> str:
    """The first line in which two patches differ."""
    pairs = zip(stored.splitlines(), made.splitlines(), strict=False)
    line = next((number for number, (one, other) in enumerate(pairs, start=1) if one != other), None)
    return f"from line {line} on" if line else f"{len(stored.splitlines())} lines against {len(made.splitlines())}"
