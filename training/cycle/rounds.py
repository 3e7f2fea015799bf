"""The ledger of self-improvement: the finished steps of each round, so that an interrupted round resumes.

Every finished step is a row that is never changed. A round is open from its `begin` until its `end`; there is at most
one open round, and its request is in its first row.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from models.errors import UsageError
from models.plans import Frozen
from models.training import TrainingTarget
from store.learning.rounds import StepRecord, find_step, last_round, steps_named, store_step

if TYPE_CHECKING:
    from store.database import Engine

BEGIN, CAMPAIGN, CURATE, TRAIN, GATE, PROMOTE, END = (
    "begin", "campaign", "curate", "train", "gate", "promote", "end",
)  # fmt: skip
"""`train` holds the baseline, the training and the evaluation; each is reused separately."""


class RoundRequest(Frozen):
    """The request of a round: packages (paths) of these repositories, targets in order, the base's name."""

    packages: tuple[str, ...]
    repositories: tuple[str, ...]
    targets: tuple[TrainingTarget, ...]
    base: str
    settings: dict[str, Any]

    def differences(self, other: "RoundRequest") -> list[str]:
        """The fields in which another request differs."""
        return [name for name, value in self if value != getattr(other, name)]


class Round:
    """An open round."""

    def __init__(self, engine: "Engine", number: int, request: RoundRequest) -> None:
        self._engine, self.number, self.request = engine, number, request

    def step(self, step: str, target: TrainingTarget | None, do: Callable[[], StepRecord]) -> StepRecord:
        """The recorded result of a step; if there is none, do the step and record it."""
        if (found := self.finished(step, target)) is not None:
            return found
        result = do()
        self.finish(step, target, result)
        return result

    def finished(self, step: str, target: TrainingTarget | None = None) -> StepRecord | None:
        """The result of a finished step, or None."""
        return find_step(self._engine, self.number, step, _named(target))

    def finish(self, step: str, target: TrainingTarget | None, result: StepRecord) -> None:
        """Record a finished step. Raises DatabaseError if another result is recorded."""
        store_step(self._engine, self.number, step, _named(target), result)


def continue_or_begin(engine: "Engine", request: RoundRequest, check: Callable[[list[tuple[str, ...]]], None]) -> Round:
    """The open round if there is one, else a new one.

    `check` gets the repositories of all rounds, the new one last, and may raise. Raises UsageError if the open round
    has another request.
    """
    number, last = _last(engine)
    if last is not None:
        if differing := last.differences(request):
            raise UsageError(
                f"round {number} is not finished and was begun with other {', '.join(differing)}; "
                "repeat those, or close it with --abandon"
            )
        return Round(engine, number, last)
    check([*past_rounds(engine), request.repositories])
    new = Round(engine, number + 1, request)
    new.finish(BEGIN, None, request.model_dump(mode="json"))
    return new


def abandon(engine: "Engine") -> int | None:
    """Close the open round without finishing it; returns its number, or None."""
    number, last = _last(engine)
    if last is None:
        return None
    Round(engine, number, last).finish(END, None, {"abandoned": True})
    return number


def past_rounds(engine: "Engine") -> list[tuple[str, ...]]:
    """The repositories of all rounds so far, in order."""
    return [RoundRequest.model_validate(result).repositories for result in steps_named(engine, BEGIN)]


def open_request(engine: "Engine") -> tuple[int, RoundRequest] | None:
    """The number and the request of the open round, None if there is none."""
    number, request = _last(engine)
    return None if request is None else (number, request)


def _last(engine: "Engine") -> tuple[int, RoundRequest | None]:
    """The number of the last round, 0 if there was none, and its request if it is open."""
    number, steps = last_round(engine)
    return number, RoundRequest.model_validate(steps[BEGIN]) if steps and END not in steps else None


def _named(target: TrainingTarget | None) -> str:
    return target.value if target else ""
