"""Where the operation stands: it goes on, is done, waits for repositories, or was stopped and wants a person."""

from enum import StrEnum
from typing import Final

from models.plans import Frozen


class State(StrEnum):
    """`done` and `waiting` want nobody: a new repository lets both go on. `stopped` wants a person's decision."""

    GOES_ON = "goes on"
    DONE = "done"
    WAITING = "waiting"
    STOPPED = "stopped"


EXIT_CODES: Final = {State.GOES_ON: 0, State.DONE: 0, State.STOPPED: 4, State.WAITING: 5}
"""Of the command, so that a script or a monitor can tell them apart."""

ROUNDS, PLATEAU, POWER, FALL = "rounds", "plateau", "power", "fall"
DISK, LINEAGE, FAILED = "disk", "lineage", "failed"
"""Rules beside the guardrails by which it ends, as named in a standing."""


class Standing(Frozen):
    """A state with the rule that it comes from (empty: none) and the reason in words."""

    state: State
    rule: str = ""
    reason: str = ""


GOES_ON = Standing(state=State.GOES_ON)
