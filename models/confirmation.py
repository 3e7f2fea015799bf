"""The evidence that a candidate's pass is genuine, or the doubt about it."""

from pydantic import Field

from models.plans import Frozen


class Confirmation(Frozen):
    """How a pass was confirmed.

    `sentinels` counts the must-fail tests that ran together with the hidden ones, `seen` is what the watcher saw the
    tested code do to its own judging (empty for a run that counts), `twins` counts the varied tests that judged the
    candidate, `agreed` those on which it answered as the gold patch does. `differs` describes the first disagreement.
    `witnessed` counts the functions of FAIL_TO_PASS tests that have twins: the others are confirmed by sentinels and
    the watcher alone.
    """

    sentinels: int = Field(default=0, ge=0)
    seen: tuple[str, ...] = ()
    witnessed: int = Field(default=0, ge=0)
    twins: int = Field(default=0, ge=0)
    agreed: int = Field(default=0, ge=0)
    differs: str = ""

    @property
    def sentence(self) -> str:
        """The finding in a sentence."""
        if self.seen:
            return f"void: {'; '.join(self.seen)}"
        if not self.sentinels and not self.twins:
            return "not confirmed: such tests have neither sentinels nor twins, the run's own report decides"
        twins = f"{self.agreed} of {self.twins} twins of {self.witnessed} tests agree" if self.twins else "no twins"
        return f"confirmed by {self.sentinels} sentinels; {twins}" + (f"; {self.differs}" if self.differs else "")

    @property
    def void(self) -> bool:
        """Whether the run is void: it shows nothing."""
        return bool(self.seen)

    @property
    def doubted(self) -> bool:
        """Whether twins contradict the pass."""
        return self.agreed < self.twins
