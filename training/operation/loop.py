"""The operation: turns, one after the other, until a rule, a plateau or a lack of repositories ends them.

where it stands ──► turn: retention ──► round ──► whole runs ──► upkeep ──► where it stands ...
   └─ done, waiting or stopped
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from harness.packages.package import read_package
from models.errors import UsageError
from training.cycle.context import TrainingContext
from training.cycle.guardrails import FRESH_REPOSITORIES
from training.cycle.past_rounds import PastRound, read_rounds
from training.cycle.rounds import abandon, open_request
from training.operation.log import EventKind, OperationEvent, OperationLog
from training.operation.measuring import read_measures
from training.operation.orders import OperateOrder, OperateReport, OperationSteps
from training.operation.plateau import Evidence, judge
from training.operation.standing import GOES_ON, ROUNDS, Standing, State
from training.operation.turn import Turn, offered_packages


def operate(
    context: TrainingContext,
    steps: OperationSteps,
    order: OperateOrder,
    rounds: int = 1,
    *,
    log: OperationLog | None = None,
    around: Callable[[int], AbstractContextManager[object]] = lambda number: nullcontext(),
    show: Callable[[OperateReport], None] = lambda report: None,
) -> OperateReport:
    """Run at most `rounds` turns; one that was stopped is finished first. `around` is a context manager entered with
    each round's number, `show` is called after each turn.

    Raises UsageError if another process operates here or a reason to go on was used up, InfrastructureError and the
    like for a fault of the machine, after which the same call goes on.
    """
    log = log or OperationLog(context.settings.data_dir)
    turns = list[int]()
    with log.held():
        if order.improve.abandon:
            abandon(context.raw_engine)
        if order.continued:
            note_continuation(context, steps.packages, order, log)
        while (standing := find_standing(context, steps.packages, order, log.events())).state is State.GOES_ON:
            if len(turns) == rounds:
                standing = Standing(state=State.GOES_ON, rule=ROUNDS, reason=f"{rounds} rounds were asked for")
                break
            turn = Turn(_next_turn(log.events()), context, steps, order, log, around)
            standing = turn.run()
            turns.append(turn.number)
            show(_report(context, log, turns, standing))
            if standing.state is not State.GOES_ON:
                break
        note_standing(log, standing)
        return _report(context, log, turns, standing)


def find_standing(
    context: TrainingContext,
    packages: Callable[[], Sequence[Path]],
    order: OperateOrder,
    events: Sequence[OperationEvent],
) -> Standing:
    """Where the operation stands before its next turn, whose packages `packages` finds; what was begun goes on in any
    case."""
    if _open_turn(events) or open_request(context.raw_engine):
        return GOES_ON
    offered = tuple(read_package(path).manifest.name for path in offered_packages(packages, order))
    if not offered:
        reason = "waiting for repositories: none is here that is not reserved; give one to `cra ingest`"
        return Standing(state=State.WAITING, rule=FRESH_REPOSITORIES, reason=reason)
    evidence = Evidence(
        rounds=read_rounds(context.raw_engine),
        measures=read_measures(events),
        offered=offered,
        since=continued(events),
    )
    return judge(evidence, context.settings.guardrails)


def continued(events: Sequence[OperationEvent]) -> int:
    """The last round after which a person continued, 0 if none did."""
    return max((event.result["round"] for event in events if event.kind is EventKind.CONTINUED), default=0)


def note_continuation(
    context: TrainingContext, packages: Callable[[], Sequence[Path]], order: OperateOrder, log: OperationLog
) -> None:
    """Record a person's reason to go on after a stop or a plateau: rounds until now count for no plateau any more.

    A reason counts once, so that a command that is started again after a kill decides nothing a second time. Raises
    UsageError if it has stopped again since that reason was given.
    """
    events = log.events()
    state = find_standing(context, packages, order, events).state
    given = {event.result["why"] for event in events if event.kind is EventKind.CONTINUED}
    ended = (State.STOPPED, State.DONE)
    if order.continued in given:
        if state in ended:
            raise UsageError(
                f"--go-on {order.continued!r} was given before, and it has come to an end again; see "
                "`cra operate --status`, and give a new reason"
            )
        return
    noted = [event.result["state"] for event in events if event.kind in (EventKind.STANDING, EventKind.END)]
    if state in ended or noted[-1:] in ([State.STOPPED], [State.DONE]):
        last = max((each.number for each in read_rounds(context.raw_engine)), default=0)
        log.add(_last_turn(events), EventKind.CONTINUED, {"round": last, "why": order.continued})


def note_standing(log: OperationLog, standing: Standing) -> None:
    """Record where the operation stands, if that is new: it may be asked often while it waits."""
    events, said = log.events(), standing.model_dump(mode="json")
    noted = [event.result for event in events if event.kind in (EventKind.STANDING, EventKind.END)]
    if not noted or noted[-1] != said:
        log.add(_last_turn(events), EventKind.STANDING, said)


def _report(context: TrainingContext, log: OperationLog, turns: Sequence[int], standing: Standing) -> OperateReport:
    lines = [line for each in _rounds_of(context, log, turns) for line in each.lines]
    return OperateReport(turns=tuple(turns), lines=tuple(lines), standing=standing)


def _rounds_of(context: TrainingContext, log: OperationLog, turns: Sequence[int]) -> list[PastRound]:
    """The rounds of turns."""
    events = [event for event in log.events() if event.kind is EventKind.ROUND and event.turn in turns]
    numbers = {event.result["number"] for event in events}
    return [each for each in read_rounds(context.raw_engine) if each.number in numbers]


def _last_turn(events: Sequence[OperationEvent]) -> int:
    return max((event.turn for event in events), default=0)


def _open_turn(events: Sequence[OperationEvent]) -> int:
    """The turn that was begun and has not ended, 0 if there is none."""
    last = _last_turn(events)
    kinds = {event.kind for event in events if event.turn == last}
    return last if EventKind.BEGIN in kinds and EventKind.END not in kinds else 0


def _next_turn(events: Sequence[OperationEvent]) -> int:
    return _open_turn(events) or _last_turn(events) + 1
