"""The operation as a flow and as a command: what it waits for, how it exits, when it begins again."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.operate import _seconds
from flows.cron import seconds_until
from models.errors import UsageError
from training.operation.log import EventKind, OperationLog
from training.operation.orders import OperateOrder
from training.operation.standing import State


def test_without_a_repository_it_waits_and_says_so_once(
    configured: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.operate import operate

    configured("http://127.0.0.1:9/v1")
    for _ in range(2):
        report = operate(OperateOrder(), 3)
        assert (report.standing.state, report.standing.rule) == (State.WAITING, "fresh-repositories")
        assert (report.turns, report.lines) == ((), ())
    [event] = OperationLog(tmp_path / "data").events()
    assert (event.turn, event.kind) == (0, EventKind.STANDING)
    status = CliRunner().invoke(app, ["operate", "--status", "--json"])
    assert status.exit_code == 0, status.output
    found = json.loads(status.stdout)
    assert found["standing"]["state"] == "waiting" and found["turns"] == [] and found["unlike"] is None


def test_a_cron_expression_is_read_as_the_engine_reads_it() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday
    assert seconds_until("0 1 * * 6", now) == 4 * 86400 + 13 * 3600
    assert seconds_until("30 12 * * *", now) == 1800
    for wrong in ("every day", "0 25 * * *", ""):
        with pytest.raises(UsageError, match="cron expression"):
            seconds_until(wrong, now)


def test_schedules_of_the_command() -> None:
    assert _seconds("7d") == 7 * 86400.0
    assert 0 < _seconds("0 * * * *") <= 3600
    refused = CliRunner().invoke(app, ["operate", "--every", "sometimes"])
    assert isinstance(refused.exception, UsageError)
