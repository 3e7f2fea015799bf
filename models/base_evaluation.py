"""A tuned base against the base in use: what a gate compares, and what it decides."""

from pydantic import Field

from models.evaluation import GateReport, GateVerdict, Subject
from models.manifest import PlanningType
from models.objectives import Objective
from models.plans import Frozen
from models.targets import Role


class RowLoss(Frozen):
    """The mean loss (nats per token) of one held-out answer under one base."""

    row: str
    repository: str
    loss: float


class ObjectiveTest(Frozen):
    """The held-out loss of one objective, paired by row; nats per token, so that a fall is a gain.

    `p_repository` is of the sign-flip test over repositories (None: too few to mean anything), `p_adjusted` the same
    after Holm's correction over all that is gated together. The interval is of the difference, by bootstrap clustered
    by repository. `rows` and `repositories` are those compared: none of a repository that was trained on.
    """

    objective: Objective
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    p_repository: float | None
    p_adjusted: float
    rows: int
    repositories: int


class Forgetting(Frozen):
    """How far a tuned base left the one it came from, on fixed prompts of one kind.

    `kind`: instructions (general ones, with reference answers), own-instructions or own-code (what the old base wrote
    itself, greedily). Losses are nats per token of the same texts; `agreement` is the share of the old base's own
    tokens that the tuned base would write at that place (None for reference answers).
    """

    kind: str
    prompts: int
    tokens: int
    before: float
    after: float
    agreement: float | None = None

    @property
    def rise(self) -> float:
        """By how much the loss rose."""
        return self.after - self.before


class ForgettingBounds(Frozen):
    """The most that the loss may rise, in nats per token, and the least agreement."""

    rise: float = Field(ge=0)
    agreement: float = Field(ge=0, le=1)


class PlanningTest(Frozen):
    """A figure of one type of plans in two campaigns, one with each base, paired by instance; a rise is a gain.

    p-values and the interval are as those of `ObjectiveTest`.
    """

    type: PlanningType
    figure: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    p_repository: float | None
    p_adjusted: float
    instances: int
    repositories: int


class PlanningEvidence(Frozen):
    """Plans of two bases in two campaigns (old, new). `models` are those that answered, as their endpoints name them;
    `reviews` counts a person's verdicts on the new base's plans by type and verdict."""

    campaigns: tuple[str, str]
    models: tuple[str, str]
    tests: tuple[PlanningTest, ...]
    reviews: dict[str, dict[str, int]] = Field(default_factory=dict)


class WindowControl(Frozen):
    """Whether a smaller window is worth having: the gate's verdict on the base with it against its `control` (a base's
    name; None: there is none), tuned on the same data by the same recipe with the `whole` window. Both windows are in
    tokens; `verdict` and `reason` are those of the gate, where there is a control."""

    window: int
    whole: int
    control: str | None
    verdict: GateVerdict | None
    reason: str

    @property
    def justified(self) -> bool:
        """Whether it is shown that the smaller window makes the base better."""
        return self.verdict is GateVerdict.PROMOTE


class BaseReport(Frozen):
    """A gate's verdict on a base with the evidence for it: the role's stages on frozen sets, held-out loss by
    objective, forgetting, plans in campaigns (None: not compared). `stages` compares the bases alone, `served` the old
    base with its active adapters, which end with a promotion, against the new one alone. `held_out` names the rows of
    the losses, `notes` what could not be measured; `window` is of a base with a smaller window alone."""

    role: Role
    champion: Subject
    challenger: Subject
    verdict: GateVerdict
    reason: str
    stages: tuple[GateReport, ...] = ()
    objectives: tuple[ObjectiveTest, ...] = ()
    forgetting: tuple[Forgetting, ...] = ()
    bounds: ForgettingBounds
    planning: PlanningEvidence | None = None
    held_out: str = ""
    notes: tuple[str, ...] = ()
    served: tuple[GateReport, ...] = ()
    window: WindowControl | None = None
