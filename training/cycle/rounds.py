"""The ledger of self-improvement: which steps of a round are done, so that one that was stopped goes on from there.

Every finished step is a row that is never changed. A round is open from its `begin` until its `end`; there is at most
one open round, and what it was asked to do is in its first row.
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
"""`train` holds the baseline, the training and the evaluation; each is found by itself if it was done."""


class RoundRequest(Frozen):
    """What a round is asked to do: packages (paths) of these repositories, targets in order, the base's name."""

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
        """The result of a step: as it was recorded, or by doing it now and recording it."""
        if (found := self.finished(step, target)) is not None:
            return found
        result = do()
        self.finish(step, target, result)
        return result

    def finished(self, step: str, target: TrainingTarget | None = None) -> StepRecord | None:
        """The result of a step that is done, or None."""
        return find_step(self._engine, self.number, step, _named(target))

    def finish(self, step: str, target: TrainingTarget | None, result: StepRecord) -> None:
        """Record that a step is done. Raises DatabaseError if it was done with another result."""
        store_step(self._engine, self.number, step, _named(target), result)


def continue_or_begin(engine: "Engine", request: RoundRequest, check: Callable[[list[tuple[str, ...]]], None]) -> Round:
    """The open round if there is one, else a new one.

    `check` is given the repositories of all rounds, the new one last, and may refuse it. Raises UsageError if the open
    round was asked to do something else.
    """
    number, last = _last(engine)
    if last is not None:
        if differing := last.differences(request):
            raise UsageError(
                f"round {number} is not finished and was begun with other {', '.join(differing)}; "
                "give the same as then, or close it with --abandon"
            )
        return Round(engine, number, last)
    check([*past_rounds(engine), request.repositories])
    new = Round(engine, number + 1, request)
    new.finish(BEGIN, None, request.model_dump(mode="json"))
    return new


def abandon(engine: "Engine") -> int | None:
    """Close the open round without doing the rest of it; its number, or None if there is none."""
    number, last = _last(engine)
    if last is None:
        return None
    Round(engine, number, last).finish(END, None, {"abandoned": True})
    return number


def past_rounds(engine: "Engine") -> list[tuple[str, ...]]:
    """The repositories of all rounds so far, in order."""
    return [RoundRequest.model_validate(result).repositories for result in steps_named(engine, BEGIN)]


def _last(engine: "Engine") -> tuple[int, RoundRequest | None]:
    """The number of the last round, 0 if there was none, and its request if it is open."""
    number, steps = last_round(engine)
    return number, RoundRequest.model_validate(steps[BEGIN]) if steps and END not in steps else None


def _named(target: TrainingTarget | None) -> str:
    return target.value if target else ""
