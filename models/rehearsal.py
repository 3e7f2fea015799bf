"""A rehearsal of the whole loop: what is asked for, and the evidence of each step."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.plans import Frozen

Verdict = Literal["ok", "warning", "failed"]


class Finding(Frozen):
    """What was found of one thing, and what to do about it if it is not ok."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


class RehearsalOrder(Frozen):
    """The parameters of a rehearsal.

    `out` is the folder that everything of it is written to. `packages`: all of the corpus if none are given. `base`:
    the one in use, the only one, or the embedded model's. `limit` is of instances per package, newest first (None:
    all), `items` of evaluation items, `training_steps` of optimizer steps. `server`: whether a server is set up, so
    that its deployments must be there.
    """

    out: Path
    packages: tuple[Path, ...] = ()
    base: str | None = None
    limit: int | None = Field(None, ge=1)
    items: int = Field(3, ge=1)
    training_steps: int = Field(3, ge=1)
    server: bool = False


class StepEvidence(Frozen):
    """A step of a rehearsal: what was found in it, figures by name, and the remedy if it failed. `seconds` is its wall
    time, `size` the bytes that the rehearsal's folder grew by."""

    step: str
    verdict: Verdict
    found: tuple[str, ...]
    figures: dict[str, Any] = Field(default_factory=dict)
    remedy: str = ""
    seconds: float = 0.0
    size: int = 0


class RehearsalReport(Frozen):
    """The evidence of a rehearsal. `missing` names the first step that is not operational; empty: all are."""

    operational: bool
    missing: str
    steps: tuple[StepEvidence, ...]
    code: str
    state: Path

    @property
    def seconds(self) -> float:
        """Wall time of all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def size(self) -> int:
        """Bytes that the rehearsal wrote."""
        return sum(step.size for step in self.steps)


def report_of(steps: tuple[StepEvidence, ...], code: str, state: Path) -> RehearsalReport:
    """The report over the steps that were done: operational if none failed."""
    missing = next((step.step for step in steps if step.verdict == "failed"), "")
    return RehearsalReport(operational=not missing, missing=missing, steps=steps, code=code, state=state)
