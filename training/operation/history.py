"""What the operation has done, for a person who looks at it once a week: gathered from both databases and the log."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from models.intake import IntakeEvent
from models.plans import Frozen
from models.training import TrainingTarget
from training.cycle.context import TrainingContext
from training.cycle.past_rounds import PastRound, read_rounds
from training.cycle.promotion import WITHHELD
from training.operation.arrivals import Arrival, arrivals_of, refusals_in_words
from training.operation.log import EventKind, OperationEvent, OperationLog
from training.operation.loop import continued, find_standing
from training.operation.measuring import (
    OUT_OF_DISTRIBUTION,
    GroupRates,
    group_rates,
    out_of_distribution,
    read_measures,
    repository_of,
)
from training.operation.orders import OperateOrder
from training.operation.plateau import incomparable, too_few_instances
from training.operation.retention import DiskState, disk_state, sizes
from training.operation.standing import Standing, State
from training.operation.upkeep import DatabaseUpkeep, Forecast, forecast

FEW_TURNS = 4
"""Turns left until the disk is full from which on a person is told."""


class TurnRecord(Frozen):
    """A turn: its round, when it began and ended by the clock, where it led, what retention freed (bytes), and the
    databases and the disk at its end (None while it is open)."""

    number: int
    round: int | None
    began_at: datetime
    ended_at: datetime | None
    standing: Standing | None
    freed: int
    deleted: int
    databases: dict[str, DatabaseUpkeep]
    disk: DiskState | None


class ServingLine(Frozen):
    """Which adapter serves a target (empty: the base alone), since which decision, and when the clock said that was."""

    target: TrainingTarget
    adapter: str
    decision: int | None
    since: datetime | None


class OperationHistory(Frozen):
    """All that the page of the operation shows.

    `unlike` are the reserved repositories out of distribution, None if no whole runs were done; `clock` are jumps of
    the clock; `arrivals` what the intake decided; `wanted` is what wants a person's decision.
    """

    standing: Standing
    turns: tuple[TurnRecord, ...]
    rounds: tuple[PastRound, ...]
    rates: tuple[GroupRates, ...]
    unlike: tuple[str, ...] | None
    serving: tuple[ServingLine, ...]
    sizes: dict[str, int]
    disk: DiskState
    forecast: Forecast
    clock: tuple[str, ...]
    arrivals: tuple[Arrival, ...]
    wanted: tuple[str, ...]


def read_history(
    context: TrainingContext,
    packages: Callable[[], Sequence[Path]],
    order: OperateOrder,
    log: OperationLog,
    ledger: Sequence[IntakeEvent] = (),
) -> OperationHistory:
    """The history until now; `packages` finds those of a new round, `ledger` holds the intake's events. Changes
    nothing."""
    events = log.events()
    turns = tuple(_turn(number, events) for number in sorted({e.turn for e in events if e.kind is EventKind.BEGIN}))
    measures = read_measures(events)
    seen = {repository_of(item) for measure in measures for item in measure.samples}
    unlike = tuple(sorted(out_of_distribution(context.raw_engine, seen)))
    rates = tuple(rate for measure in measures for rate in group_rates(measure, unlike))
    standing = find_standing(context, packages, order, events)
    rounds = tuple(read_rounds(context.raw_engine))
    disks = [turn.disk for turn in turns if turn.disk is not None]
    ahead = forecast(disks, context.settings)
    clock = tuple(_clock(event) for event in events if event.kind is EventKind.CLOCK)
    arrivals = tuple(arrivals_of(ledger, rounds))
    wanted = _wanted(standing, rounds, rates, ahead, clock)
    judged = [each for each in measures if each.round > continued(events)]
    unseen = (incomparable(judged), too_few_instances(judged, context.settings.guardrails))
    return OperationHistory(
        standing=standing,
        turns=turns,
        rounds=rounds,
        rates=rates,
        unlike=unlike if measures else None,
        serving=tuple(_serving(context, target) for target in TrainingTarget if target.serves),
        sizes=sizes(context.settings.data_dir, context.settings.cache_dir),
        disk=disk_state(context.settings),
        forecast=ahead,
        clock=clock,
        arrivals=arrivals,
        wanted=(*wanted, *_unmeasured(events), *filter(None, unseen), *refusals_in_words(arrivals)),
    )


def _turn(number: int, events: Sequence[OperationEvent]) -> TurnRecord:
    own = [event for event in events if event.turn == number]
    stages = {event.kind: event for event in own}
    end, kept = stages.get(EventKind.END), stages.get(EventKind.UPKEEP)
    result: dict[str, Any] = kept.result if kept else {"databases": {}, "disk": None}
    came = stages.get(EventKind.ROUND)
    return TurnRecord(
        number=number,
        round=came.result["number"] if came else None,
        began_at=stages[EventKind.BEGIN].at,
        ended_at=end.at if end else None,
        standing=Standing.model_validate(end.result) if end else None,
        freed=stages[EventKind.RETENTION].result["freed"] if EventKind.RETENTION in stages else 0,
        deleted=sum(event.kind is EventKind.DELETED for event in own),
        databases=result["databases"],
        disk=result["disk"],
    )


def _serving(context: TrainingContext, target: TrainingTarget) -> ServingLine:
    active, since, before = context.registry.active(target), None, None
    for decision in context.registry.log(target):
        if decision.serving != before:
            since, before = decision, decision.serving
    return ServingLine(
        target=target,
        adapter=active.name if active else "",
        decision=since.seq if since else None,
        since=since.created_at if since else None,
    )


def _clock(event: OperationEvent) -> str:
    if "behind" in event.result:
        newest = event.result["newest"]
        return f"turn {event.turn}: the clock said {event.at:%Y-%m-%d %H:%M}, and {newest[:16]} is on record"
    return f"turn {event.turn}: the clock jumped by {event.result['jumped']:+} s"


def _unmeasured(events: Sequence[OperationEvent]) -> list[str]:
    """Why the last whole runs could not be done, if so."""
    last = [event for event in events if event.kind is EventKind.MEASURE][-1:]
    return [f"whole runs of turn {e.turn} failed: {e.result['failed']}" for e in last if "failed" in e.result]


def _wanted(
    standing: Standing,
    rounds: Sequence[PastRound],
    rates: Sequence[GroupRates],
    ahead: Forecast,
    clock: Sequence[str],
) -> list[str]:
    """What wants a person, in words."""
    found = []
    if standing.state is State.STOPPED:
        found.append(f"stopped by {standing.rule}: {standing.reason}")
    withheld = [line for each in rounds[-1:] for line in each.lines if line.verdict == WITHHELD]
    found += [f"{line.adapter} passed its gate and does not serve: {line.reason}" for line in withheld]
    if ahead.turns_left is not None and ahead.turns_left <= FEW_TURNS:
        found.append(f"the disk or its budget is full in {ahead.turns_left} turns at this rate")
    if clock:
        found.append("the clock has jumped; set it, so that dates mean something: the order of rounds does not need it")
    if not rates:
        found.append("whole runs are not measured: name packages of reserved repositories with --end-to-end")
    elif not any(rate.group == OUT_OF_DISTRIBUTION for rate in rates):
        found.append(
            "no reserved repository is out of distribution: each shares its organisation or its domain with one that "
            "was trained on, or its organisation is not known"
        )
    return found
