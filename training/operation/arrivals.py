"""Repositories that arrived: what the intake decided about each package, and the first round that had it."""

from collections.abc import Sequence

from models.intake import IntakeEvent, IntakeVerdict
from models.plans import Frozen
from training.cycle.past_rounds import PastRound

_NAMED = 3


class Arrival(Frozen):
    """A package that arrived.

    `at` is what the clock said, `source` where it came from, `valid` its instances that hold here; `round` is the first
    round that had its repository, None if none has; `why` the reason of a refusal. `settled`: a refusal that a later
    arrival of the same repository made good.
    """

    at: str
    name: str
    source: str
    verdict: IntakeVerdict
    use: str
    valid: int
    round: int | None
    why: str
    settled: bool


def arrivals_of(events: Sequence[IntakeEvent], rounds: Sequence[PastRound]) -> list[Arrival]:
    """The arrivals in the order of the ledger; trials of the intake (`checked`) left out."""
    kept = [event for event in events if event.verdict is not IntakeVerdict.CHECKED]
    return [_arrival(event, kept[place + 1 :], rounds) for place, event in enumerate(kept)]


def _arrival(event: IntakeEvent, later: Sequence[IntakeEvent], rounds: Sequence[PastRound]) -> Arrival:
    package, refused = event.package, event.verdict is IntakeVerdict.REFUSED
    good = {each.package.name for each in later if each.verdict is not IntakeVerdict.REFUSED}
    had = next((each.number for each in rounds if package.name in each.repositories), None)
    return Arrival(
        at=event.at,
        name=package.name,
        source=package.source,
        verdict=event.verdict,
        use=event.use,
        valid=event.valid,
        round=None if refused else had,
        why=f"{event.reason.value}: {event.detail}" if event.reason is not None else "",
        settled=refused and bool(package.name) and package.name in good,
    )


def refusals_in_words(arrivals: Sequence[Arrival]) -> list[str]:
    """What a person should know of packages that were refused and did not come again, in one line or none."""
    refused = [each for each in arrivals if each.verdict is IntakeVerdict.REFUSED and not each.settled]
    if not refused:
        return []
    names = ", ".join(dict.fromkeys(each.name or each.source for each in reversed(refused[-_NAMED:])))
    more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    return [f"the intake refused {names}{more}: see `cra ingest log`, and bring others"]
