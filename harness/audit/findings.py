"""Findings of an audit."""

from typing import Literal

from pydantic import Field

from models.plans import Frozen

Severity = Literal["fault", "doubt"]


class Finding(Frozen):
    """Something in a log that does not follow from the rest of it (a fault), or that a model doubts.

    `check` names the check, `cites` the rows (`seq`) of the attempt that show it; a row that is missing is cited by the
    number that it would have.
    """

    check: str
    cites: tuple[int, ...] = ()
    detail: str
    severity: Severity = "fault"


class AuditReport(Frozen):
    """The audit of one attempt of a trajectory.

    `checked` counts what each check looked at; `not_checked` says which checks could not be made, and why.
    `doubts_dropped` counts a model's doubts that cite no row of the log or quote what is not in it, `cited` has the
    rows that the others cite. `answers` are the ids under which the model's answers are kept, `asked` counts new ones.
    """

    trajectory: str
    attempt: int | None
    outcome: str | None
    checked: dict[str, int]
    not_checked: dict[str, str]
    findings: tuple[Finding, ...] = ()
    doubts: tuple[Finding, ...] = ()
    doubts_dropped: int = 0
    cited: dict[int, str] = Field(default_factory=dict)
    answers: tuple[str, ...] = ()
    asked: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether no mechanical check found a fault."""
        return not self.findings
