"""Each answer of a planner, and each test run after a step, as a task: a person sees a commit's stages, and nothing
that was finished is done, or paid for, again."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect import task

from models.edits import EditFormat
from models.errors import DatabaseError
from models.protocols import JUDGING_STAGES, Answer, Planner, Request, Stage
from models.suite import SuiteReport
from store.runs import RawStore, digest
from tasks.caching import RETRY_DELAYS, CacheOptions, cache_options, commit_eagerly, is_infrastructure


class _Asking:
    """One question to a planner. A plain class, so that the engine does not walk through what it holds.

    `given` is the answer if the planner was asked just now, None if an earlier one was found.
    """

    def __init__(self, planner: Planner, request: Request, store: RawStore) -> None:
        self.planner, self.request, self.store = planner, request, store
        self.given: Answer | None = None

    def run(self) -> str:
        self.given = self.planner.answer(self.request)
        return self.store.put_text(self.given.model_dump_json())


class _Testing:
    """One test run after a step."""

    def __init__(self, run: Callable[[], SuiteReport], slots: AbstractContextManager[object], store: RawStore) -> None:
        self.test, self.slots, self.store = run, slots, store

    def run(self) -> str:
        with self.slots:
            return self.store.put_text(self.test().model_dump_json())


@task(
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=True,
    result_serializer="json",
)
def answer_stage(label: str, asking: _Asking) -> str:
    """Ask a planner one stage; the answer goes to the database, its hash is the result."""
    return asking.run()


@task(
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=True,
    result_serializer="json",
)
def test_step(label: str, testing: _Testing) -> str:
    """Run the tests that a step may break; the report goes to the database, its hash is the result."""
    return testing.run()


class _Turns:
    """A lock per key, so that of several samples which ask the same at once one asks and the others wait."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._guard = threading.Lock()

    @contextmanager
    def one(self, key: str) -> Iterator[None]:
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


_turns = _Turns()


@dataclass(frozen=True)
class CachedPlanner:
    """A planner whose every answer is a task, kept under who was asked what.

    `asker` is the identity of all that an answer depends on besides the question: the instance, the planner's
    identity, temperature and sample. It does not hold the campaign, so one that grows pays for no answer twice.
    `judge` is the same for the stages of retrieval, for all temperatures and samples.
    """

    planner: Planner
    store: RawStore
    asker: str
    judge: str
    cache_dir: Path
    notify: Callable[[str], None]

    @property
    def name(self) -> str:
        """The slot's name."""
        return self.planner.name

    @property
    def identity(self) -> str:
        """The wrapped planner's identity."""
        return self.planner.identity

    @property
    def edit_format(self) -> EditFormat:
        """The wrapped planner's edit format."""
        return self.planner.edit_format

    @property
    def judges(self) -> bool:
        """Whether the wrapped planner answers the stages of retrieval."""
        return self.planner.judges

    @property
    def guides_ranking(self) -> bool:
        """Whether the wrapped planner's analysis leads the ranking."""
        return self.planner.guides_ranking

    @property
    def plans(self) -> bool:
        """Whether the wrapped planner answers the stages of planning."""
        return self.planner.plans

    def max_prompt_tokens(self, stage: Stage) -> int:
        """The wrapped planner's room."""
        return self.planner.max_prompt_tokens(stage)

    def max_output_tokens(self, stage: Stage) -> int:
        """The wrapped planner's room for an answer."""
        return self.planner.max_output_tokens(stage)

    def count(self, text: str) -> int:
        """The wrapped planner's count."""
        return self.planner.count(text)

    def answer(self, request: Request) -> Answer:
        """The planner's answer, or the one it gave when the same was asked before, which then costs nothing."""
        key = digest(self.judge if request.stage in JUDGING_STAGES else self.asker, request.model_dump(mode="json"))
        label = _label(request)
        self.notify(label)
        asking = _Asking(self.planner, request, self.store)
        with _turns.one(key), commit_eagerly():
            one = answer_stage.with_options(**cache_options(key, self.cache_dir))
            try:
                text = self.store.get_text(one(label, asking))
            except DatabaseError:  # the engine remembers an answer that this database does not hold
                text = self.store.get_text(one.with_options(refresh_cache=True)(label, asking))
        if asking.given is not None:
            return asking.given
        found = Answer.model_validate_json(text)
        return found.model_copy(update={"reused": True, "cost": 0.0, "latency": 0.0, "retries": 0})


def cached_report(
    key: str,
    run: Callable[[], SuiteReport],
    store: RawStore,
    cache_dir: Path,
    slots: AbstractContextManager[object],
    notify: Callable[[str], None],
) -> SuiteReport:
    """The report of a test run, or the one it had when the same was run before. `slots` limits runs at a time."""
    notify("tests")
    kept: CacheOptions = cache_options(key, cache_dir)
    testing = _Testing(run, slots, store)
    with _turns.one(key), commit_eagerly():
        one = test_step.with_options(**kept)
        try:
            text = store.get_text(one("tests", testing))
        except DatabaseError:
            text = store.get_text(one.with_options(refresh_cache=True)("tests", testing))
    return SuiteReport.model_validate_json(text)


def judge_of(planner: Planner) -> str:
    """What the planner's judgements depend on besides the question; its whole identity where it does not say."""
    own = getattr(planner, "judging_identity", None)
    return own if isinstance(own, str) else planner.identity


def _label(request: Request) -> str:
    label = request.stage.value
    if request.step is not None:
        label += f" {request.step.id}"
    elif request.part is not None:
        label += f" {request.part.id}"
    return label + (f" retry {request.attempt}" if request.attempt else "")
