"""Executors of the parts of an attempt, which may cache, retry or display them.

The lifecycle of an attempt (`harness.lifecycle`) passes each part to an executor as a function, with a key for its
result if that may be cached. `DirectExecutor` calls it; the engine's executor runs it as a task.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.planners.registry import TEAMS
from harness.runs.solving import FullCheck
from models.edits import EditFormat
from models.judging import QuestionForm
from models.outcomes import Validation
from models.protocols import JUDGING_STAGES, Answer, Planner, Request, Stage
from models.suite import SuiteReport
from store.keys import digest

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


class AttemptExecutor(Protocol):
    """Executes the parts of an attempt. Each method returns or raises what its function does.

    A result cached under the same key may be returned instead of calling the function.
    """

    @property
    def logger(self) -> Logger:
        """The logger for faults."""
        ...

    def answer(self, key: str, label: str, ask: Callable[[], Answer]) -> Answer:
        """The answer to one question by a planner that needs no model. A cached one is returned as `reused`."""
        ...

    def ask_once(self, key: str, label: str, stage: Stage, ask: Callable[[], Answer]) -> Answer:
        """A model's answer to one question, which is asked once over all processes, unless its answer was declared
        void. One that was given before is returned as `reused`, at no cost."""
        ...

    def run_tests(self, key: str, run: Callable[[], SuiteReport]) -> SuiteReport:
        """The report of the tests after a step."""
        ...

    def check_suite(self, key: str, run: Callable[[], FullCheck]) -> FullCheck:
        """The whole suite before and after a change."""
        ...

    def validate(self, key: str, judge: Callable[[], Validation]) -> Validation:
        """The verdict of the hidden tests. `judge` stores it under `key`."""
        ...

    def attribute(self, run: Callable[[], str]) -> None:
        """Attribution of a failure to a stage; what is found is stored by `run`."""
        ...

    def measure(self, run: Callable[[], str]) -> None:
        """Measurement of the tests that a planner wrote; what is found is stored by `run`."""
        ...


class DirectExecutor:
    """An executor that calls each function and caches nothing."""

    logger = logging.getLogger("harness.lifecycle")

    def answer(self, key: str, label: str, ask: Callable[[], Answer]) -> Answer:
        """Ask."""
        return ask()

    def ask_once(self, key: str, label: str, stage: Stage, ask: Callable[[], Answer]) -> Answer:
        """Ask."""
        return ask()

    def run_tests(self, key: str, run: Callable[[], SuiteReport]) -> SuiteReport:
        """Run the tests."""
        return run()

    def check_suite(self, key: str, run: Callable[[], FullCheck]) -> FullCheck:
        """Run the whole suite."""
        return run()

    def validate(self, key: str, judge: Callable[[], Validation]) -> Validation:
        """Judge."""
        return judge()

    def attribute(self, run: Callable[[], str]) -> None:
        """Attribute."""
        run()

    def measure(self, run: Callable[[], str]) -> None:
        """Measure."""
        run()


DIRECT = DirectExecutor()


@dataclass(frozen=True)
class PlannerProxy:
    """A planner whose answers go through an executor, each under a key of planner and question.

    `asker` is the identity of all that an answer depends on besides the question: the instance, the planner's
    identity, temperature and sample. It does not hold the campaign, so one that grows pays for no answer twice.
    `retrieval_asker` is the same for the stages of retrieval, for all temperatures and samples. `notify` gets the
    question's label before it is asked.
    """

    planner: Planner
    executor: AttemptExecutor
    asker: str
    retrieval_asker: str
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
    def question_form(self) -> QuestionForm:
        """How the wrapped planner is asked to judge."""
        return self.planner.question_form

    @property
    def judges(self) -> bool:
        """Whether the wrapped planner answers the stages of retrieval."""
        return self.planner.judges

    @property
    def classified(self) -> frozenset[Stage]:
        """Stages that the relevance classifier answers in place of the wrapped planner."""
        return self.planner.classified

    @property
    def guides_ranking(self) -> bool:
        """Whether the wrapped planner's analysis leads the ranking."""
        return self.planner.guides_ranking

    @property
    def falls_back(self) -> bool:
        """Whether a generalist answers what the wrapped planner's own models cannot."""
        return self.planner.falls_back

    @property
    def plans(self) -> bool:
        """Whether the wrapped planner answers the stages of planning."""
        return self.planner.plans

    def max_prompt_tokens(self, stage: Stage) -> int:
        """The wrapped planner's token limit of a prompt."""
        return self.planner.max_prompt_tokens(stage)

    def max_output_tokens(self, stage: Stage) -> int:
        """The wrapped planner's token limit of an answer."""
        return self.planner.max_output_tokens(stage)

    def count(self, text: str) -> int:
        """The wrapped planner's count of a text's tokens."""
        return self.planner.count(text)

    def answer(self, request: Request) -> Answer:
        """The planner's answer, or the one it gave when the same was asked before, which then costs nothing."""
        key = digest(
            self.retrieval_asker if request.stage in JUDGING_STAGES else self.asker, request.model_dump(mode="json")
        )
        label = _label(request)
        self.notify(label)
        if self.planner.name in TEAMS:
            return self.executor.ask_once(key, label, request.stage, lambda: self.planner.answer(request))
        return self.executor.answer(key, label, lambda: self.planner.answer(request))


def retrieval_identity(planner: Planner) -> str:
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
