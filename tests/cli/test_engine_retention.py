"""The engine reads the retention that commands set as the durations that they mean."""

from datetime import timedelta

import pytest
from prefect.settings.models.server.events import ServerEventsSettings
from prefect.settings.models.server.services import ServerServicesDBVacuumSettings

from cli.local_engine import RETENTION


def test_ended_runs_are_kept_for_ninety_days_and_events_for_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RETENTION.items():
        monkeypatch.setenv(name, value)
    assert ServerEventsSettings().retention_period == timedelta(days=7)
    vacuum = ServerServicesDBVacuumSettings()
    assert (vacuum.enabled, vacuum.retention_period) == ({"events", "flow_runs"}, timedelta(days=90))
