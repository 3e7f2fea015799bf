"""One question to a planner, repeated once with the error in the first answer, and then put to a generalist if there is
one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from models.errors import CleanRoomError, PlanError
from models.protocols import FALLBACK, Answer, Planner, Recorder, Request, Stage

ATTEMPTS = 2
"""Every answer may be given again once, with the error in the first: the repair round."""
MALFORMED = "malformed"
"""The decision recorded for an answer that could not be parsed, with the reason."""
T = TypeVar("T")


def attempts_of(planner: Planner) -> int:
    """How often a question is asked: the attempts of the stage's own model, and one of the generalist after them."""
    return ATTEMPTS + planner.falls_back


def record_answer(recorder: Recorder, request: Request, answer: Answer) -> None:
    """Record a question with its answer, and by which model other than the stage's own it was given or checked."""
    recorder.call(request, answer)
    if answer.fallback is not None:
        recorder.decision(request.stage, place_of(request), FALLBACK, answer.fallback)
    if answer.second is not None:
        subject = request.part.id if request.part else "task"
        recorder.decision(request.stage, subject, "second-opinion", answer.second)


def place_of(request: Request) -> str:
    """The subject of a question: its part, its step, or the task, and the number of the attempt."""
    place = "/".join(each.id for each in (request.part, request.step) if each is not None) or "task"
    return f"{place} attempt {request.attempt}"


class Unanswered(CleanRoomError):
    """A stage's answer was malformed in every attempt."""

    def __init__(self, stage: Stage, failure: str) -> None:
        super().__init__(f"{stage.value}: {failure}")


@dataclass(frozen=True)
class Asker:
    """Asks a planner and records each question with its answer."""

    planner: Planner
    recorder: Recorder

    def ask(self, request: Request, parse: Callable[[str], T]) -> T:
        """The parsed answer. Raises Unanswered when no attempt could be parsed, InfrastructureError."""
        failure = ""
        for attempt in range(attempts_of(self.planner)):
            request = request.model_copy(update={"attempt": attempt, "failure": failure})
            answer = self.planner.answer(request)
            record_answer(self.recorder, request, answer)
            try:
                return parse(answer.text)
            except PlanError as error:
                failure = str(error)
                self.recorder.decision(request.stage, place_of(request), MALFORMED, failure)
        raise Unanswered(request.stage, failure)
