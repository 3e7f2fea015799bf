"""The engine's executor of attempts: each part is a task. The UI shows a commit's stages, and finished parts are
neither repeated nor paid for again."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger

from harness.runs.executor import Logger
from harness.runs.solving import FullCheck
from models.errors import DatabaseError
from models.outcomes import Validation
from models.plans import Frozen
from models.protocols import Answer, Stage
from models.suite import SuiteReport
from store.runs import RawStore
from store.runs.answers import AnswerSlot
from tasks.caching import cache_options, commit_eagerly, kept_text
from tasks.define import engine_task, opaque_argument

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
"""Seconds between looks at a question that another process is asking."""


@engine_task("{label}", keep_result=True)
def answer_stage(label: str, ask: Callable[[], str]) -> str:
    """Ask a planner one stage; the answer goes to the database, its hash or its id is the result."""
    return ask()


@engine_task("{label}", keep_result=True)
def test_step(label: str, run: Callable[[], str]) -> str:
    """Run the tests that a step may break; the report goes to the database, its hash is the result."""
    return run()


@engine_task("whole suite", keep_result=True)
def run_whole_suite(run: Callable[[], str]) -> str:
    """Run the repository's whole suite before and after a change; the report goes to the database, its hash is the
    result."""
    return run()


@engine_task("validate", keep_result=True)
def validate_candidate(key: str, judge: Callable[[], object]) -> str:
    """Judge a candidate once per (instance, patch, environment); the result is the key of the verdict."""
    judge()
    return key


@engine_task("attribute")
def attribute_failure(run: Callable[[], str]) -> str:
    """Attribute a failed attempt to a stage; the label."""
    return run()


@engine_task("measure tests")
def measure_tests(run: Callable[[], str]) -> str:
    """Measure the tests that an attempt wrote; what was found, in a sentence."""
    return run()


class _KeyLocks:
    """A lock per key, so that of concurrent samples with the same question one asks and the others wait."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._guard = threading.Lock()

    @contextmanager
    def holding(self, key: str) -> Iterator[None]:
        with self._guard:
            lock, waiting = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._locks.pop(key)
                if waiting > 1:
                    self._locks[key] = (lock, waiting - 1)


_locks = _KeyLocks()


@dataclass(frozen=True)
class TaskExecutor:
    """`harness.runs.executor.AttemptExecutor` by tasks, whose results are cached under their keys in `cache_dir`."""

    store: RawStore
    cache_dir: Path

    @property
    def logger(self) -> Logger:
        """The run's logger, whose messages the UI shows."""
        return get_run_logger()

    def answer(self, key: str, label: str, ask: Callable[[], Answer]) -> Answer:
        """The answer, new or cached."""
        given: list[Answer] = []

        def run() -> str:
            given.append(ask())
            return self._stored(given[-1])

        with _locks.holding(key):
            text = kept_text(answer_stage, key, self.store, self.cache_dir, label, opaque_argument(run))
        if given:
            return given[-1]
        found = Answer.model_validate_json(text)
        return found.model_copy(update={"reused": True, "cost": 0.0, "latency": 0.0, "retries": 0})

    def ask_once(self, key: str, label: str, stage: Stage, ask: Callable[[], Answer]) -> Answer:
        """The answer, asked now by this process or another one, or kept in the database or the engine's cache.

        The engine's result is the id of the answer's row. Earlier versions cached the hash of its text, without a row.
        """
        asked: list[Answer] = []
        given: list[tuple[AnswerSlot, Answer]] = []

        def run() -> str:
            slot = self._leased(key)
            if slot.answer is None:
                if not asked:  # otherwise it was paid for, and could not be stored before this retry
                    asked.append(self._asked(slot, ask))
                self.store.keep_answer(slot, stage, asked[-1])
                given.append((slot, asked[-1]))
            return slot.id

        with _locks.holding(key):
            slot = self.store.answer_slot(key)
            one = answer_stage.with_options(**cache_options(slot.id, self.cache_dir))
            with commit_eagerly():
                cached = one(label, opaque_argument(run))
                found = None
                if not given:
                    found = slot.answer or self.store.answer_slot(key).answer or self._from_text(slot, stage, cached)
                if not given and found is None:  # the engine remembers an answer that this database lacks
                    one.with_options(refresh_cache=True)(label, opaque_argument(run))
                    found = self.store.answer_slot(key).answer
        if given:
            taken, answer = given[-1]  # not `slot`: its answer may have been declared void meanwhile
            return answer.model_copy(update={"answer_id": taken.id})
        if found is None:
            raise DatabaseError(f"answer {slot.id} was stored but is missing; is the database being replaced?")
        now = {"reused": True, "answer_id": slot.id, "cost": 0.0, "latency": 0.0, "retries": 0}
        return found.model_copy(update=now)

    def _leased(self, question: str) -> AnswerSlot:
        """The question's slot: with its answer, or leased to this process, once no other one is asking."""
        wait = _FIRST_WAIT
        while (slot := self.store.claim_answer(question)) is None:
            # One of this process is of an attempt that could not store its answer: `_locks` lets one thread ask.
            self.store.release([self.store.answer_slot(question).lease])
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        return slot

    def _asked(self, slot: AnswerSlot, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except BaseException:
            self.store.release([slot.lease])
            raise

    def _from_text(self, slot: AnswerSlot, stage: Stage, text_hash: str) -> Answer | None:
        """An answer that an earlier version cached; it is kept as a row from now on."""
        if text_hash == slot.id:
            return None
        try:
            answer = Answer.model_validate_json(self.store.get_text(text_hash))
        except DatabaseError:
            return None
        self.store.keep_answer(slot, stage, answer)
        return answer

    def run_tests(self, key: str, run: Callable[[], SuiteReport]) -> SuiteReport:
        """The report of tests, new or cached."""
        stored = opaque_argument(lambda: self._stored(run()))
        with _locks.holding(key):
            text = kept_text(test_step, key, self.store, self.cache_dir, "tests", stored)
        return SuiteReport.model_validate_json(text)

    def check_suite(self, key: str, run: Callable[[], FullCheck]) -> FullCheck:
        """The result of the whole suite, new or cached."""
        stored = opaque_argument(lambda: self._stored(run()))
        return FullCheck.model_validate_json(kept_text(run_whole_suite, key, self.store, self.cache_dir, stored))

    def validate(self, key: str, judge: Callable[[], Validation]) -> Validation:
        """The verdict: from the engine's cache or the database, or reached now."""
        one = validate_candidate.with_options(**cache_options(key, self.cache_dir))
        with commit_eagerly():
            one(key, opaque_argument(judge))
        if (found := self.store.find_validation(key)) is not None:
            return found
        one.with_options(refresh_cache=True)(key, opaque_argument(judge))
        if (found := self.store.find_validation(key)) is not None:
            return found
        raise DatabaseError(f"validation {key} was stored but is missing; is the database being replaced?")

    def attribute(self, run: Callable[[], str]) -> None:
        """Attribution, as a task. Its result stands whatever the state of the trajectory's task will be."""
        with commit_eagerly():
            attribute_failure(opaque_argument(run))

    def measure(self, run: Callable[[], str]) -> None:
        """Measurement, as a task. Its result stands whatever the state of the trajectory's task will be."""
        with commit_eagerly():
            measure_tests(opaque_argument(run))

    def _stored(self, result: Frozen) -> str:
        """Store a result in the database; returns its hash."""
        return self.store.put_text(result.model_dump_json())
