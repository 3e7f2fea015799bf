"""One question, asked again once with what was wrong with the first answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from models.errors import CleanRoomError, PlanError
from models.protocols import Planner, Recorder, Request, Stage

ATTEMPTS = 2
"""Every answer may be given again once, with what was wrong with the first: the repair round."""
MALFORMED = "malformed"
"""The decision that is recorded on an answer which could not be read, with the reason."""
T = TypeVar("T")


def place_of(request: Request) -> str:
    """What a question is about: its part, its step, or the task, and which attempt it is."""
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
        """The parsed answer. Raises Unanswered when no attempt could be parsed, InfrastructureError when not asked."""
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
