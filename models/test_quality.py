"""How well tests cover a patch: lines of it that they run, reverted hunks that they detect (mutation testing)."""

from enum import StrEnum

from pydantic import Field

from models.generated import Failing
from models.plans import Frozen


class MutantOutcome(StrEnum):
    """The outcome of a patch with one hunk reverted."""

    KILLED = "killed"  # a test that passes on the whole patch fails
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"  # the code without the hunk is equivalent: comments, blanks, docstrings
    LEFT_OUT = "left-out"  # not run: more hunks than the limit


class Mutant(Frozen):
    """A patch without one hunk: the lines `[start, end)` (from 1) of the patched file; none where it only removes.

    `names` are the symbols that the hunk touches. For a killed one, `by` is a test that detects it, and `how` says how.
    """

    path: str
    start: int
    end: int
    names: tuple[str, ...] = ()
    fate: MutantOutcome
    by: str | None = None
    how: Failing | None = None


class TestQuality(Frozen):
    """The quality of tests against a patch.

    `tests` pass on every run of the whole patch; only they count. `unsteady` are those that do not, each with the
    reason. `changed` counts the executable lines of the patch, `missed` names those that no test ran, as `path:line`.
    `note` says why nothing can be measured, if so.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    tests: tuple[str, ...] = ()
    unsteady: dict[str, str] = Field(default_factory=dict)
    changed: int = 0
    missed: tuple[str, ...] = ()
    mutants: tuple[Mutant, ...] = ()
    seconds: float = 0.0
    note: str = ""

    @property
    def coverage(self) -> float | None:
        """Share of the changed executable lines that a test ran; None if there are none."""
        return (self.changed - len(self.missed)) / self.changed if self.changed else None

    @property
    def killed(self) -> int:
        """Reverted hunks that a test detected."""
        return sum(mutant.fate is MutantOutcome.KILLED for mutant in self.mutants)

    @property
    def total(self) -> int:
        """Reverted hunks that a test could have detected."""
        return sum(mutant.fate in (MutantOutcome.KILLED, MutantOutcome.SURVIVED) for mutant in self.mutants)

    @property
    def sentence(self) -> str:
        """The findings in a line."""
        if not self.tests:
            return self.note or "no test passes"
        count = f"{len(self.tests)} test{'s' if len(self.tests) > 1 else ''}"
        lines = f"{self.changed - len(self.missed)} of {self.changed} changed lines run"
        return f"{count}: {lines}, {self.killed} of {self.total} reverted hunks noticed"

    @property
    def survivors(self) -> tuple[Mutant, ...]:
        """Reverted hunks that no test detected."""
        return tuple(mutant for mutant in self.mutants if mutant.fate is MutantOutcome.SURVIVED)
