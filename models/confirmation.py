"""What confirms that a candidate passed, or keeps that from being believed."""

from pydantic import Field

from models.plans import Frozen


class Confirmation(Frozen):
    """How a pass was confirmed.

    `sentinels` is how many tests that must fail ran beside the hidden ones, `seen` what the watcher saw the tested
    code do to its own judging (empty for a run that counts), `twins` how many varied tests judged the candidate,
    `agreed` on how many of them it answered as the gold patch does. `differs` tells the first of the others.
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
        """What was found, for people."""
        if self.seen:
            return f"void: {'; '.join(self.seen)}"
        twins = f"{self.agreed} of {self.twins} twins of {self.witnessed} tests agree" if self.twins else "no twins"
        return f"confirmed by {self.sentinels} sentinels; {twins}" + (f"; {self.differs}" if self.differs else "")

    @property
    def void(self) -> bool:
        """Whether the run says nothing."""
        return bool(self.seen)

    @property
    def doubted(self) -> bool:
        """Whether twins contradict the pass."""
        return self.agreed < self.twins
