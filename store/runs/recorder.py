"""The recorder of one attempt: each event becomes rows, in one transaction, in order."""

import threading
from collections.abc import Callable, Sequence
from typing import TypedDict

from sqlalchemy import Engine

from models.attempt_usage import AttemptUsage
from models.edits import EditResult
from models.plans import MetaPlan, PartPlan
from models.protocols import Answer, Request, Stage
from models.suite import SuiteReport
from store.keys import canonical
from store.rows import record, writing
from store.tables import EditRow, EvidenceColumns, PlanRow, RetrievalDecision, RetrievalLlmCall, TestRun
from store.texts import Texts


class _Position(TypedDict):
    campaign_id: str
    task_run_id: str
    attempt: int
    seq: int


def add_request(request: Request, texts: Texts) -> str:
    """Add a request as data to texts, with its files and context as texts of their own; returns its hash."""
    question = request.model_dump(mode="json", exclude={"files", "context"})
    context = request.context
    question["context"] = None if context is None else {"sha256": texts.add(canonical(context))}
    question["files"] = [
        {"path": file.path, "sha256": None if file.text is None else texts.add(file.text)} for file in request.files
    ]
    return texts.add(canonical(question))


class AttemptRecorder:
    """Implements `models.protocols.Recorder` for one attempt of one trajectory.

    Rows are keyed by their position, counted from 0 for each recorder. Recording the same events in the same order is
    idempotent; another event at a used position raises DatabaseError: an interrupted attempt is not continued, a new
    one is begun. With `buffered`, all events wait for `flush` and are stored in one transaction.
    """

    def __init__(
        self, engine: Engine, campaign_id: str, task_run_id: str, attempt: int, *, buffered: bool = False
    ) -> None:
        self._engine = engine
        self._campaign_id, self._task_run_id, self._attempt = campaign_id, task_run_id, attempt
        self._next = 0
        self._lock = threading.Lock()
        self._waiting: list[Callable[[_Position], EvidenceColumns]] = []
        self._texts: list[Texts] = []
        self._buffered = buffered
        self.usage = AttemptUsage()

    def call(self, request: Request, answer: Answer) -> None:
        """One request and its answer. File texts and the context are stored separately: many requests share them."""
        texts = Texts()
        request_hash = add_request(request, texts)
        context = request.context

        def row(at: _Position) -> RetrievalLlmCall:
            return RetrievalLlmCall(
                **at,
                call_type=request.stage.value,
                part_id=request.part.id if request.part else None,
                step_id=request.step.id if request.step else None,
                step_attempt=request.attempt,
                request_hash=request_hash,
                prompt_hash=None if answer.prompt is None else texts.add(answer.prompt),
                response_hash=texts.add(answer.text),
                reasoning_hash=texts.add(answer.reasoning) if answer.reasoning else None,
                model=answer.model,
                adapter=answer.adapter,
                temperature=answer.temperature,
                seed=answer.seed,
                finish_reason=answer.finish_reason,
                prompt_tokens=answer.prompt_tokens,
                completion_tokens=answer.completion_tokens,
                cost=answer.cost,
                latency=answer.latency,
                endpoint=answer.endpoint,
                cached_tokens=answer.cached_tokens,
                retries=answer.retries,
                reused=answer.reused,
                context_tokens=context.tokens if context else None,
                answer_id=answer.answer_id,
            )

        self._store(texts, [row])
        self._count(answer)

    def _count(self, answer: Answer) -> None:
        paid = not answer.reused
        with self._lock:
            self.usage = AttemptUsage(
                questions=self.usage.questions + 1,
                replayed=self.usage.replayed + answer.reused,
                prompt_tokens=self.usage.prompt_tokens + paid * answer.prompt_tokens,
                completion_tokens=self.usage.completion_tokens + paid * answer.completion_tokens,
                cost=self.usage.cost + answer.cost,
            )

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None:
        """A plan that was parsed and found well-formed."""
        texts = Texts()
        plan_hash = texts.add(canonical(plan))
        part_id = plan.part_id if isinstance(plan, PartPlan) else None
        self._store(texts, [lambda at: PlanRow(**at, stage=stage.value, part_id=part_id, plan_hash=plan_hash)])

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        """The results of a step's edits, one row each."""
        texts = Texts()

        def row_of(result: EditResult) -> Callable[[_Position], EditRow]:
            edit_hash = texts.add(canonical(result.edit))
            return lambda at: EditRow(
                **at,
                part_id=part_id,
                step_id=step_id,
                step_attempt=attempt,
                kind=result.edit.kind,
                path=result.edit.path,
                edit_hash=edit_hash,
                rung=result.rung.value if result.rung else None,
                error=result.error,
                before_hash=result.before_hash,
                after_hash=result.after_hash,
            )

        self._store(texts, [row_of(result) for result in results])

    def tests(self, purpose: str, report: SuiteReport) -> None:
        """A run of tests."""
        texts = Texts()
        report_hash = texts.add(canonical(report))
        self._store(
            texts,
            [
                lambda at: TestRun(
                    **at,
                    purpose=purpose,
                    end=report.end.value,
                    exit_code=report.exit_code,
                    counts=report.counts(),
                    seconds=report.seconds,
                    report_hash=report_hash,
                )
            ],
        )

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        """A decision that affected the outcome, with its reason. It is stored with the next event, or by `flush`."""
        with self._lock:
            self._waiting.append(
                lambda at: RetrievalDecision(**at, stage=stage.value, subject=subject, decision=decision, reason=reason)
            )

    def flush(self) -> None:
        """Store what waits: decisions for the next event, or all events of a buffered recorder."""
        self._write(Texts(), [])

    def waiting(self) -> tuple[Texts, list[EvidenceColumns]]:
        """The rows of all events of a buffered recorder, with their texts, for a transaction of the caller's."""
        texts = Texts()
        with self._lock:
            return texts, self._made(texts, self._waiting)

    def _store(self, texts: Texts, rows: Sequence[Callable[[_Position], EvidenceColumns]]) -> None:
        if not self._buffered:
            self._write(texts, rows)
            return
        with self._lock:
            self._waiting += rows
            self._texts.append(texts)

    def _write(self, texts: Texts, rows: Sequence[Callable[[_Position], EvidenceColumns]]) -> None:
        with self._lock:  # a position is used only once its rows are stored
            waiting = [*self._waiting, *rows]
            if not waiting:
                return
            made = self._made(texts, waiting)
            with writing(self._engine, texts) as connection:
                for row in made:
                    record(connection, row)
            self._next += len(made)
            self._waiting.clear()
            self._texts.clear()

    def _made(self, texts: Texts, waiting: Sequence[Callable[[_Position], EvidenceColumns]]) -> list[EvidenceColumns]:
        """The rows that wait; their texts are added to `texts`."""
        made = [row(self._position(self._next + offset)) for offset, row in enumerate(waiting)]
        for held in self._texts:  # after the rows are made, which adds texts
            texts.update(held)
        return made

    def _position(self, seq: int) -> _Position:
        return _Position(campaign_id=self._campaign_id, task_run_id=self._task_run_id, attempt=self._attempt, seq=seq)
