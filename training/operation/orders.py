"""What is asked of the operation, what it needs, and what it reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.whole_runs import Passes
from models.plans import Frozen
from models.protocols import Stage
from training.cycle.context import TrainingContext
from training.cycle.improvement import ImproveOrder, TargetLine
from training.cycle.steps import TrainingSteps
from training.cycle.student_runs import active_adapters, whole_runs
from training.operation.standing import Standing

RunWhole = Callable[[TrainingContext, TrainingSteps, Sequence[Path], int | None, Mapping[Stage, str]], Passes]


class OperateOrder(Frozen):
    """The parameters of the operation. `improve` holds those of each round, whose packages and targets are chosen anew
    where they are unset. `whole_runs`: packages of reserved repositories on which who serves is measured after each
    round. `continued`: a person's reason to go on after a stop or a plateau, which is recorded."""

    improve: ImproveOrder = ImproveOrder()
    whole_runs: tuple[Path, ...] = ()
    continued: str = ""


class OperateReport(Frozen):
    """What the turns of this run came to, and where the operation stands."""

    turns: tuple[int, ...]
    lines: tuple[TargetLine, ...]
    standing: Standing


@dataclass(frozen=True)
class OperationSteps:
    """What a turn consists of, so that an engine can run it in its own way.

    `packages` finds the repo packages that may be trained on now, with those that arrived since. `whole` does whole
    runs on packages of reserved repositories with an adapter for each stage; `adapters` are those that serve.
    """

    training: TrainingSteps
    packages: Callable[[], Sequence[Path]]
    whole: RunWhole = whole_runs
    adapters: Callable[[TrainingContext], dict[Stage, str]] = active_adapters
