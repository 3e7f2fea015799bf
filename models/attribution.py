"""Attribution: the stage at which a failed attempt went wrong, and the experiments behind it."""

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
    """A counterfactual patch, judged by the hidden tests to tell stages apart.

    `validation` is the key of its verdict; it and `kind` are empty where the patch could not be made.
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
    """The evidence behind an attribution.

    `unseen` are places of the gold patch missing from the context, `omitted` those that the plan does not reach,
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
    """The stage at fault, the reason in a sentence, and the evidence. `version` is of the method."""

    label: Label
    reason: str
    version: int
    evidence: Evidence


def attributable(kind: OutcomeKind) -> bool:
    """Whether an outcome is a model's failure, which experiments can attribute to a stage."""
    return kind.final and kind.blame is not Blame.NONE
