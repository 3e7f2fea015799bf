"""Early end of a campaign in a process: a cap is reached, no model can be reached, or this machine cannot run any."""

from models.outcomes import OutcomeKind

_STREAKS = {
    OutcomeKind.PROVIDER_ERROR: "could not ask their model",
    OutcomeKind.DISK_FULL: "found no space on the disk of this machine",
    OutcomeKind.SANDBOX_ERROR: "found no sandbox on this machine",
}
"""Faults that the next trajectory here will have too. Other processes may be spared: they run what is left open."""


class StopRule:
    """Monitors outcomes. `reason` is empty while the campaign may continue.

    `lost` counts the latest consecutive trajectories whose outcome could not be stored.
    """

    def __init__(self, most_failures: int) -> None:
        self.reason = ""
        self.lost = 0
        self._most, self._failures = most_failures, 0
        self._fault: OutcomeKind | None = None

    def saw(self, kind: OutcomeKind, detail: str) -> None:
        """Record a trajectory's outcome: `most_failures` consecutive provider errors count as an outage, as many that
        found a full disk or no sandbox as a machine that is out of order."""
        if kind is OutcomeKind.CAP_REACHED:
            self._stop(detail)
        if kind is not self._fault:
            self._fault, self._failures = kind, 0
        self._failures += 1
        if kind in _STREAKS and self._failures >= self._most:
            self._stop(f"{self._failures} trajectories in a row {_STREAKS[kind]}: {detail}")

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
