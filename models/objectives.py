"""The objectives of a base's full fine-tune. Which one an example serves follows from its source and stage."""

from enum import StrEnum

from models.errors import UsageError
from models.protocols import Stage
from models.training import PairSource


class Objective(StrEnum):
    """What a base is trained for: fail-fast style, the questions of its role, plans, a smaller window, and attention to
    any place in the window. The window has no examples of its own: all of them are trained on within it."""

    STYLE = "style"
    ROLE = "role"
    PLANNING = "planning"
    WINDOW = "window"
    POSITION = "position"


_PLANS = frozenset({Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.ADJUSTMENT})
_OF_SOURCES = {PairSource.FAIL_FAST.value: Objective.STYLE, PairSource.POSITION.value: Objective.POSITION}
"""Sources whose examples serve one objective whatever stage's prompt they have."""


def objective_of(source: str, stage: Stage) -> Objective:
    """The objective that an example serves: its source's own, else planning for plans, else the role."""
    own = _OF_SOURCES.get(source)
    if own is not None:
        return own
    return Objective.PLANNING if stage in _PLANS else Objective.ROLE


def sources_of(objective: Objective) -> str:
    """Where examples of an objective come from, in words."""
    return {
        Objective.STYLE: f"the source {PairSource.FAIL_FAST.value} (cra fail-fast corpus build)",
        Objective.ROLE: "answers of the role's stages (cra synthesize, cra campaign)",
        Objective.PLANNING: "answers of plan stages (cra synthesize, cra campaign, cra plans collect)",
        Objective.WINDOW: "all examples, within a smaller window (--window TOKENS)",
        Objective.POSITION: f"the source {PairSource.POSITION.value} (cra synthesize --recipe positions)",
    }[objective]


def read_objectives(text: str) -> tuple[Objective, ...]:
    """Objectives from their names with commas, in the order of the enumeration. Raises UsageError for another name."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(names - {each.value for each in Objective}):
        known = ", ".join(each.value for each in Objective)
        raise UsageError(f"objective {unknown[0]!r} is unknown; there are {known}")
    if not names:
        raise UsageError("no objective is named; leave the option out to train on all that the mix has")
    return tuple(each for each in Objective if each in names)
