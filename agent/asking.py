"""One question to a planner, repeated once with the error in the first answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from models.errors import CleanRoomError, PlanError
from models.protocols import Planner, Recorder, Request, Stage

ATTEMPTS = 2
"""Every answer may be given again once, with the error in the first: the repair round."""
MALFORMED = "malformed"
"""The decision recorded for an answer that could not be parsed, with the reason."""
T = TypeVar("T")


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
        for attempt in range(ATTEMPTS):
            request = request.model_copy(update={"attempt": attempt, "failure": failure})
            answer = self.planner.answer(request)
            self.recorder.call(request, answer)
            if answer.second is not None:
                subject = request.part.id if request.part else "task"
                self.recorder.decision(request.stage, subject, "second-opinion", answer.second)
            try:
                return parse(answer.text)
            except PlanError as error:
                failure = str(error)
                self.recorder.decision(request.stage, place_of(request), MALFORMED, failure)
        raise Unanswered(request.stage, failure)
