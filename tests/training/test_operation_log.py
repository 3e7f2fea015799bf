"""The operation's log: whole lines, one writer, and clocks that jump."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import InfrastructureError, UsageError
from training.operation.log import EventKind, OperationLog
from training.operation.schedule import interval_seconds

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Clocks:
    """The wall's clock, which can be set, and the time since boot, which only goes forward."""

    def __init__(self) -> None:
        self.wall, self.boot = NOW, 100.0

    def pass_by(self, seconds: float, jump: timedelta = timedelta()) -> None:
        self.wall += timedelta(seconds=seconds) + jump
        self.boot += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def log(tmp_path: Path, clocks: Clocks) -> OperationLog:
    return OperationLog(tmp_path, lambda: clocks.wall, lambda: clocks.boot)


def jumps(log: OperationLog) -> list[dict[str, object]]:
    return [event.result for event in log.events() if event.kind is EventKind.CLOCK]


def test_a_line_that_a_kill_cut_short_does_not_count(log: OperationLog) -> None:
    log.add(1, EventKind.BEGIN, {"number": 1})
    with log.path.open("ab") as file:
        file.write(b'{"turn": 1, "kind": "round", "at"')
    assert [event.kind for event in log.events()] == [EventKind.BEGIN]
    log.add(1, EventKind.RETENTION, {})
    assert [event.kind for event in log.events()] == [EventKind.BEGIN, EventKind.RETENTION]


def test_a_damaged_log_is_named(log: OperationLog) -> None:
    log.add(1, EventKind.BEGIN, {})
    log.path.write_bytes(b"{}\n" + log.path.read_bytes())
    with pytest.raises(InfrastructureError, match=str(log.path)):
        log.events()


def test_one_process_operates_at_a_time(log: OperationLog) -> None:
    with log.held(), pytest.raises(UsageError, match="operates already"), OperationLog(log.path.parents[1]).held():
        pass
    with log.held():
        pass


def test_an_honest_clock_is_not_noted(log: OperationLog, clocks: Clocks) -> None:
    for _ in range(3):
        log.check_clock(1, clocks.wall)
        log.add(1, EventKind.BEGIN, {})
        clocks.pass_by(7 * 86400)
    assert jumps(log) == []


def test_a_clock_that_went_back_a_year_is_noted_once_and_the_order_stays(log: OperationLog, clocks: Clocks) -> None:
    log.add(1, EventKind.BEGIN, {})
    log.add(1, EventKind.END, {})
    clocks.pass_by(60, -timedelta(days=365))
    for turn in (2, 3):
        log.check_clock(turn, NOW)
        log.add(turn, EventKind.BEGIN, {})
        clocks.pass_by(60)
    assert [each["behind"] for each in jumps(log)] == [365 * 86400 - 60]
    assert [event.turn for event in log.events() if event.kind is EventKind.BEGIN] == [1, 2, 3]


def test_rows_from_the_future_are_noted(log: OperationLog) -> None:
    log.check_clock(1, NOW + timedelta(days=3650))
    assert [each["behind"] for each in jumps(log)] == [3650 * 86400]


def test_a_clock_that_jumps_forward_while_it_runs_is_noted(log: OperationLog, clocks: Clocks) -> None:
    log.check_clock(1, None)
    clocks.pass_by(600, timedelta(days=3650))
    log.check_clock(2, None)
    assert [each["jumped"] for each in jumps(log)] == [3650 * 86400]


@pytest.mark.parametrize(("said", "seconds"), [
    ("weekly", 604800), ("7d", 604800), ("12h", 43200), ("30m", 1800), ("hourly", 3600), ("0d", None), ("7", None),
    ("0 1 * * 6", None), ("d", None),
])  # fmt: skip
def test_intervals(said: str, seconds: int | None) -> None:
    assert interval_seconds(said) == seconds
