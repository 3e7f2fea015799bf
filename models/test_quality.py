"""How good tests are at noticing what a patch does: lines of the patch that they run, hunks they would miss."""

from enum import StrEnum

from pydantic import Field

from models.generated import Failing
from models.plans import Frozen


class MutantOutcome(StrEnum):
    """What became of a patch with one hunk reverted."""

    KILLED = "killed"  # a test that passes on the whole patch noticed
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"  # the code without the hunk means the same: comments, blanks, docstrings
    LEFT_OUT = "left-out"  # not run: there were more hunks than are tried


class Mutant(Frozen):
    """A patch without one hunk: the lines `[start, end)` (from 1) of the patched file; none where it only removes.

    `names` are the symbols that the hunk touches. For a killed one, `by` is a test that noticed, and `how` it did.
    """

    path: str
    start: int
    end: int
    names: tuple[str, ...] = ()
    fate: MutantOutcome
    by: str | None = None
    how: Failing | None = None


class TestQuality(Frozen):
    """What tests are worth against a patch.

    `tests` pass steadily on the whole patch; only they count. `unsteady` are those that do not, each with why.
    `changed` counts the executable lines of the patch, `missed` names those that no test ran, as `path:line`. `note`
    says why there is nothing to measure, if so.
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
        """Reverted hunks that a test noticed."""
        return sum(mutant.fate is MutantOutcome.KILLED for mutant in self.mutants)

    @property
    def total(self) -> int:
        """Reverted hunks that a test could have noticed."""
        return sum(mutant.fate in (MutantOutcome.KILLED, MutantOutcome.SURVIVED) for mutant in self.mutants)

    @property
    def sentence(self) -> str:
        """What was found, in a line."""
        if not self.tests:
            return self.note or "no test passes"
        count = f"{len(self.tests)} test{'s' if len(self.tests) > 1 else ''}"
        lines = f"{self.changed - len(self.missed)} of {self.changed} changed lines run"
        return f"{count}: {lines}, {self.killed} of {self.total} reverted hunks noticed"

    @property
    def survivors(self) -> tuple[Mutant, ...]:
        """Reverted hunks that no test noticed."""
        return tuple(mutant for mutant in self.mutants if mutant.fate is MutantOutcome.SURVIVED)
