"""Stability of the student's whole runs, from which preferences about plans are made."""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from store.runs.results import verdicts

if TYPE_CHECKING:
    from store.database import Engine

STUDENT = "student"


class Steadiness(NamedTuple):
    """The pass rates of the last turn and an earlier one, on their common `instances`."""

    before: float
    now: float
    instances: int

    def holds(self, margin: float, least: int) -> bool | None:
        """Whether runs pass at all, and not less often than before by more than `margin`; None if fewer than `least`
        instances were run twice."""
        return None if self.instances < least else self.now > 0 and self.now >= self.before - margin


def steadiness(raw: "Engine", held_out: Collection[str] = (), least: int = 1) -> Steadiness:
    """Compare the student's last turn with the latest earlier one that shares at least `least` instances.

    A turn is the work of one identity of the student in one campaign, since a campaign that is run again with other
    models keeps its key. `held_out` repositories do not count, since challengers that a gate rejects run on them;
    trajectories without a verdict do not count either. Without two such turns, there are no instances.
    """
    last, *earlier = _turns(raw, held_out) or [{}]
    for other in earlier:
        shared = sorted(set(last) & set(other))
        if len(shared) >= least:
            before, now = (sum(each[name] for name in shared) / len(shared) for each in (other, last))
            return Steadiness(before, now, len(shared))
    return Steadiness(0.0, 0.0, 0)


def _turns(raw: "Engine", held_out: Collection[str]) -> list[dict[str, float]]:
    """The pass rate of each instance in each turn of the student, the one that ended last first."""
    turns: dict[tuple[str, str], dict[str, list[bool]]] = {}
    for campaign, identity, instance, success in verdicts(raw, STUDENT, held_out):
        turns.setdefault((campaign, identity), {}).setdefault(instance, []).append(success)
    return [{name: sum(each) / len(each) for name, each in turn.items()} for turn in turns.values()]
