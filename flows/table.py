"""A campaign's table artifact."""

import time
from collections import Counter
from typing import Any

from prefect.artifacts import create_table_artifact

from harness.runs.campaign_context import Assignment
from models.outcomes import OutcomeKind

REFRESH_SECONDS = 5.0
"""Seconds between updates of the table in the UI while trajectories finish."""


class CampaignTable:
    """Counts per repository and planner, updated at most every few seconds. `before`: trajectories closed earlier."""

    def __init__(self, name: str, before: int) -> None:
        self._key = "campaign-" + "".join(c if c.isalnum() else "-" for c in name.lower())
        self._before = before
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        self._last = 0.0

    def add(self, assignment: Assignment, kind: OutcomeKind) -> None:
        """Count one finished trajectory."""
        row = (assignment.instance_context.package.manifest.name, assignment.planner)
        self._counts.setdefault(row, Counter())[kind.value] += 1
        if time.monotonic() - self._last > REFRESH_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Write the current table."""
        self._last = time.monotonic()
        rows: list[dict[str, Any]] = [
            {
                "repository": repository,
                "planner": planner,
                "passed": counts[OutcomeKind.PASSED.value],
                "others": ", ".join(f"{k} {n}" for k, n in sorted(counts.items()) if k != OutcomeKind.PASSED.value),
            }
            for (repository, planner), counts in sorted(self._counts.items())
        ]
        if self._before:
            rows.append({"repository": "finished before", "planner": "", "passed": self._before, "others": ""})
        create_table_artifact(key=self._key, table=rows, description="Trajectories finished so far, by outcome")
