"""A campaign's table artifact."""

import time
from typing import Any

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.exceptions import PrefectException

from models.errors import DatabaseError
from models.outcomes import OutcomeKind
from store.runs import RawStore

REFRESH_SECONDS = 5.0
"""Least seconds between updates of the table in the UI while trajectories finish."""
_SHARE = 20
"""The table is not updated before so many times the duration of its last query have passed."""


class CampaignTable:
    """Counts per repository and planner, by the database: each trajectory once, whichever process ran it."""

    def __init__(self, store: RawStore, name: str, campaign_id: str) -> None:
        self._key = "campaign-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())
        self._store, self._campaign = store, campaign_id
        self._next = time.monotonic() + REFRESH_SECONDS

    def refresh(self) -> None:
        """Write the table if it is due."""
        if time.monotonic() >= self._next:
            self.publish()

    def publish(self) -> None:
        """Write the current table. A database or server that is away is no reason to stop: the next one is complete."""
        started = time.monotonic()
        try:
            rows = self._rows()
            spent = time.monotonic() - started
            create_table_artifact(key=self._key, table=rows, description="Trajectories by their last outcome")
        except (DatabaseError, PrefectException, httpx.HTTPError) as error:
            get_run_logger().warning("the table is not up to date: %s", error)
            spent = 0.0
        self._next = time.monotonic() + max(REFRESH_SECONDS, _SHARE * spent)

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "repository": line.repository,
                "planner": line.planner,
                "passed": line.outcomes.get(OutcomeKind.PASSED, 0),
                "others": ", ".join(f"{k.value} {n}" for k, n in line.outcomes.items() if not k.passed),
                "open": line.open,
            }
            for line in self._store.progress(self._campaign)
        ]
