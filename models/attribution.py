"""Attribution: which stage a failed attempt failed at, and the experiments that say so."""

from enum import StrEnum

from models.outcomes import Blame, OutcomeKind
from models.plans import Frozen


class Label(StrEnum):
    """The first stage whose output could not have led to success, had everything after it been perfect."""

    RETRIEVAL = "retrieval"
    PLAN = "plan"
    CODE = "code"
    UNDETERMINED = "undetermined"  # the evidence conflicts; never a preference pair


class CodePlace(Frozen):
    """A file, or a symbol of one."""

    path: str
    symbol: str | None = None

    def __str__(self) -> str:
        return self.path if self.symbol is None else f"{self.path} :: {self.symbol}"


class Experiment(Frozen):
    """A change that was judged by the hidden tests to tell stages apart.

    `validation` is the key of its verdict; it is empty, and so is `kind`, where the change could not be made.
    """

    name: str
    kind: OutcomeKind | None
    validation: str = ""
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the hidden tests pass."""
        return self.kind is OutcomeKind.PASSED


class Evidence(Frozen):
    """What an attribution rests on.

    `unseen` are places of the gold patch that the context did not show, `omitted` those that the plan does not reach,
    `foreign` targets of the plan where the gold patch changes nothing.
    """

    outcome: OutcomeKind
    retrieved: bool = False
    unseen: tuple[CodePlace, ...] = ()
    omitted: tuple[CodePlace, ...] = ()
    foreign: tuple[CodePlace, ...] = ()
    failed_steps: tuple[str, ...] = ()
    experiments: tuple[Experiment, ...] = ()


class Attribution(Frozen):
    """The stage at fault, why in a sentence, and the evidence. `version` is of the method."""

    label: Label
    reason: str
    version: int
    evidence: Evidence


def attributable(kind: OutcomeKind) -> bool:
    """Whether an outcome is a failure of a model's, which experiments can attribute to a stage."""
    return kind.final and kind.blame is not Blame.NONE
