"""When a campaign ends before its work is done: a cap is reached, or nobody can be asked."""

from models.outcomes import OutcomeKind


class StopRule:
    """Watches outcomes as they come in. `reason` is empty while the campaign may go on."""

    def __init__(self, most_failures: int) -> None:
        self.reason = ""
        self._most, self._failures = most_failures, 0

    def saw(self, kind: OutcomeKind, detail: str) -> None:
        """Take in how a trajectory ended: `most_failures` provider errors in a row are taken for an outage."""
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
