"""One turn of the operation: disk and retention, a round of self-improvement, whole runs, upkeep.

Each stage is a line of the log, so that a turn that was killed goes on. Stages are found by the number of their turn,
rounds by theirs in the database; no clock decides anything.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.sets import all_sets
from evals.tiers import ORDER, missing
from harness.packages.package import read_package
from host.locks import process_lock
from models.errors import (
    CleanRoomError,
    DiskFull,
    GuardrailError,
    InfrastructureError,
    RegistryError,
    TrainingError,
    UsageError,
)
from store.learning.rounds import newest_step_time
from store.leases import in_force
from training.cycle.context import TrainingContext
from training.cycle.guardrails import FRESH_REPOSITORIES
from training.cycle.improvement import ImproveOrder, improve
from training.cycle.past_rounds import read_rounds
from training.cycle.rounds import RoundRequest, open_request
from training.cycle.tier_status import measure_tier_status
from training.operation.inventory import RetentionItem, pack_finished
from training.operation.lineage import round_is_open
from training.operation.log import EventKind, OperationLog
from training.operation.measuring import Measure, measured
from training.operation.orders import OperateOrder, OperationSteps
from training.operation.retention import apply_retention, disk_state, plan_retention
from training.operation.standing import DISK, FAILED, GOES_ON, LINEAGE, Standing, State
from training.operation.upkeep import keep_up

_Result = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """A turn by its number, begun or not. `around` is entered with the number of its round."""

    number: int
    context: TrainingContext
    steps: OperationSteps
    order: OperateOrder
    log: OperationLog
    around: Callable[[int], AbstractContextManager[object]]

    def run(self) -> Standing:
        """Run what is left of the turn; returns where it led."""
        self.log.check_clock(self.number, newest_step_time(self.context.raw_engine))
        self._stage(EventKind.BEGIN, self._begin)
        kept = self._stage(EventKind.RETENTION, self._retention)
        standing = Standing.model_validate(kept["standing"])
        if standing.state is State.GOES_ON:
            came = self._stage(EventKind.ROUND, self._round)
            standing = Standing.model_validate(came["standing"])
            if standing.state is State.GOES_ON:
                self._stage(EventKind.MEASURE, lambda: self._measure(came["number"]))
        self._stage(EventKind.UPKEEP, self._upkeep)
        self._stage(EventKind.END, lambda: standing.model_dump(mode="json"))
        return standing

    def _stage(self, kind: EventKind, do: Callable[[], _Result]) -> _Result:
        """The recorded result of a stage; without one, do it and record it."""
        for event in self.log.events():
            if event.turn == self.number and event.kind is kind:
                return event.result
        result = do()
        self.log.add(self.number, kind, result)
        return result

    def _begin(self) -> _Result:
        """The number of the turn's round: the open one's, or the next."""
        opened = open_request(self.context.raw_engine)
        last = max((each.number for each in read_rounds(self.context.raw_engine)), default=0)
        return {"number": opened[0] if opened else last + 1}

    def _retention(self) -> _Result:
        self.context.notify("retention", 0, None)
        try:
            with alone(self.context) as idle:
                plan = plan_retention(self.context, idle)
                gone = apply_retention(plan, self.context.settings, lambda item: self._note_deletion(item))
        except RegistryError as error:
            stopped = Standing(state=State.STOPPED, rule=LINEAGE, reason=f"nothing is deleted: {error}")
            return {"freed": 0, "standing": stopped.model_dump(mode="json")}
        freed, standing = sum(item.bytes for item in gone), GOES_ON
        if short := max(0, plan.excess - freed):
            reason = (
                f"{short / 2**30:.2f} GiB are missing, and what is left is needed by adapters, bases and their "
                "lineage, or in use; raise operation.disk_budget_gib, or make room"
            )
            standing = Standing(state=State.STOPPED, rule=DISK, reason=reason)
        return {"freed": freed, "standing": standing.model_dump(mode="json")}

    def _note_deletion(self, item: RetentionItem) -> None:
        said = item.model_dump(mode="json")
        known = [e.result["path"] for e in self.log.events() if e.turn == self.number and e.kind is EventKind.DELETED]
        if said["path"] not in known:
            self.log.add(self.number, EventKind.DELETED, said)

    def _round(self) -> _Result:
        """Run the turn's round, unless it has ended already: a kill came before the log had it."""
        [begun] = [e for e in self.log.events() if e.turn == self.number and e.kind is EventKind.BEGIN]
        number = begun.result["number"]
        if any(each.number == number and each.ended_at for each in read_rounds(self.context.raw_engine)):
            return _round_result(number, GOES_ON)
        opened = open_request(self.context.raw_engine)
        try:
            order = _as_begun(opened[1]) if opened else self._order()
            improve(self.context, self.steps.training, order, 1, around=self.around)
        except GuardrailError as error:
            state = State.WAITING if error.rule == FRESH_REPOSITORIES else State.STOPPED
            return _round_result(number, Standing(state=state, rule=error.rule, reason=str(error)))
        except DiskFull as error:
            return _round_result(number, Standing(state=State.STOPPED, rule=DISK, reason=str(error)))
        except InfrastructureError:
            raise  # the machine's fault: the same call goes on
        except CleanRoomError as error:
            return _round_result(number, Standing(state=State.STOPPED, rule=FAILED, reason=str(error)))
        return _round_result(number, GOES_ON)

    def _order(self) -> ImproveOrder:
        """The order of a new round: packages that are here now; targets whose turn has come, the most urgent first.
        So planning comes last by itself. Raises UsageError if no target's has."""
        given = self.order.improve
        changes: _Result = {"packages": tuple(offered_packages(self.steps.packages, self.order))}
        if not given.targets:
            status = measure_tier_status(
                self.context.raw_engine,
                self.context.curated,
                self.context.registry,
                self.context.settings.guardrails,
            )
            frozen = {each.target for each in all_sets(self.context.curated)}
            lacking = {target: missing(target, status) for target in ORDER if target in frozen}
            changes["targets"] = tuple(t for t, what in lacking.items() if given.override or not what)
            if not changes["targets"]:
                said = "; ".join(f"{target.value} waits for {', '.join(what)}" for target, what in lacking.items())
                raise UsageError(said or "no target has a frozen evaluation set; make one with `cra eval-sets build`")
        return given.model_copy(update=changes)

    def _measure(self, number: int) -> _Result:
        """Whole runs with who serves now; those of an earlier turn if nothing has changed since; or why there are
        none, which stops no rounds."""
        if not self.order.whole_runs:
            return {}
        try:
            return self._measured(number, self.order.whole_runs)
        except InfrastructureError:
            raise
        except CleanRoomError as error:
            return {"failed": str(error)}

    def _measured(self, number: int, packages: Sequence[Path]) -> _Result:
        adapters = {str(stage): name for stage, name in self.steps.adapters(self.context).items()}
        limit = self.order.improve.end_to_end_limit
        asked = {"packages": [read_package(path).identity for path in packages], "limit": limit}
        for event in reversed(self.log.events()):
            if event.kind is EventKind.MEASURE and "measure" in event.result:
                if event.result["adapters"] == adapters and event.result["asked"] == asked:
                    kept = Measure.model_validate(event.result["measure"])
                    again = kept.model_copy(update={"turn": self.number, "round": number})
                    return {"adapters": adapters, "asked": asked, "measure": again.model_dump(mode="json")}
                break
        self.context.notify("whole runs", 0, None)
        passes = self.steps.whole(self.context, self.steps.training, packages, limit, self.steps.adapters(self.context))
        made = measured(self.number, number, adapters, passes)
        return {"adapters": adapters, "asked": asked, "measure": made.model_dump(mode="json")}

    def _upkeep(self) -> _Result:
        self.context.notify("upkeep", 0, None)
        settings = self.context.settings
        packed = self._pack()
        databases = {name: each.model_dump(mode="json") for name, each in keep_up(settings).items()}
        return {"databases": databases, "disk": disk_state(settings).model_dump(mode="json"), "packed": packed}

    def _pack(self) -> _Result:
        """Compress the datasets of trainings that are over, while nothing else works here; what prevents that stops no
        rounds."""
        with alone(self.context) as idle:
            if not idle or round_is_open(self.context):
                return {"freed": 0}
            try:
                return {"freed": pack_finished(self.context)}
            except (OSError, TrainingError) as error:
                return {"freed": 0, "failed": str(error)}


def offered_packages(packages: Callable[[], Sequence[Path]], order: OperateOrder) -> Sequence[Path]:
    """The packages of a new round: those that were named, or all that may be trained on."""
    return order.improve.packages or tuple(packages())


@contextmanager
def alone(context: TrainingContext) -> Iterator[bool]:
    """Whether nothing else works here: no campaign holds a lease, and nobody trains or evaluates, nor begins to within
    this context."""

    def refuse(holder: str) -> None:
        raise BlockingIOError

    with ExitStack() as held:
        try:
            held.enter_context(process_lock(context.settings.cache_dir / "device.lock", refuse))
        except BlockingIOError:
            yield False
        else:
            yield not in_force(context.raw_engine)


def is_idle(context: TrainingContext) -> bool:
    """Whether nothing else works here now."""
    with alone(context) as idle:
        return idle


def _round_result(number: int, standing: Standing) -> _Result:
    return {"number": number, "standing": standing.model_dump(mode="json")}


def _as_begun(request: RoundRequest) -> ImproveOrder:
    """The order that an open round was begun with."""
    given = {**request.settings, "packages": request.packages, "targets": request.targets, "base": request.base}
    return ImproveOrder.model_validate(given)
