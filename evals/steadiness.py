"""Whether whole runs of the student succeed steadily: preferences about plans are made from them."""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from store.runs.results import verdicts

if TYPE_CHECKING:
    from store.database import Engine

STUDENT = "student"


class Steadiness(NamedTuple):
    """The pass rate of the last turn and of one before, on the `instances` that both ran."""

    before: float
    now: float
    instances: int

    def holds(self, margin: float, least: int) -> bool | None:
        """Whether runs pass at all and no less often than before by more than `margin`; None where fewer than `least`
        instances were run twice, which shows nothing."""
        return None if self.instances < least else self.now > 0 and self.now >= self.before - margin


def steadiness(raw: "Engine", held_out: Collection[str] = (), least: int = 1) -> Steadiness:
    """How the student did last, and before that with at least `least` instances of the same.

    A campaign that is run again with other models is the same campaign, so a turn is what one identity of the student
    did in one campaign. Repositories that are `held_out` do not count: challengers that a gate then turns down run on
    them. Trajectories without a verdict do not either. Where no two turns share so many instances, there are none.
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
