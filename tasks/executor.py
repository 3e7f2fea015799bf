"""The engine's executor of attempts: each part is a task. The UI shows a commit's stages, and finished parts are
neither repeated nor paid for again."""

import threading
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
from models.protocols import Answer
from models.suite import SuiteReport
from store.runs import RawStore
from tasks.caching import cache_options, commit_eagerly, kept_text
from tasks.define import engine_task, opaque_argument


@engine_task("{label}", keep_result=True)
def answer_stage(label: str, ask: Callable[[], str]) -> str:
    """Ask a planner one stage; the answer goes to the database, its hash is the result."""
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
        """Attribution, as a task."""
        attribute_failure(opaque_argument(run))

    def measure(self, run: Callable[[], str]) -> None:
        """Measurement, as a task."""
        measure_tests(opaque_argument(run))

    def _stored(self, result: Frozen) -> str:
        """Store a result in the database; returns its hash."""
        return self.store.put_text(result.model_dump_json())
