"""Early end of a campaign: a cap is reached, or no model can be reached."""

from models.outcomes import OutcomeKind


class StopRule:
    """Monitors outcomes. `reason` is empty while the campaign may continue.

    `lost` counts the latest consecutive trajectories whose outcome could not be stored.
    """

    def __init__(self, most_failures: int) -> None:
        self.reason = ""
        self.lost = 0
        self._most, self._failures = most_failures, 0

    def saw(self, kind: OutcomeKind, detail: str) -> None:
        """Record a trajectory's outcome: `most_failures` consecutive provider errors count as an outage."""
        if kind is OutcomeKind.CAP_REACHED:
            self._stop(detail)
        if kind is not OutcomeKind.PROVIDER_ERROR:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= self._most:
            self._stop(f"{self._failures} trajectories in a row could not ask their model: {detail}")

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
