"""The weekly page of the operation in a browser: arrivals and refusals, pictures in words, narrow screens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from cli.pages.operation import operation_page
from models.intake import ArrivedPackage, IntakeEvent, IntakeVerdict
from models.refusals import RefusalReason
from models.targets import TrainingTarget
from tests.support.browser import accessible, open_page
from training.cycle.improvement import TargetLine
from training.cycle.past_rounds import PastRound
from training.operation.arrivals import arrivals_of, refusals_in_words
from training.operation.history import OperationHistory, ServingLine, TurnRecord
from training.operation.measuring import group_rates, measured
from training.operation.retention import DiskState
from training.operation.standing import Standing, State
from training.operation.upkeep import DatabaseUpkeep, Forecast

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
STOPPED = Standing(state=State.STOPPED, rule="diversity", reason="pass@k fell from 0.700 to 0.400")
REFUSED = RefusalReason.EXECUTABLE


def event(name: str, verdict: IntakeVerdict, day: int, **more: object) -> IntakeEvent:
    package = ArrivedPackage(source=f"/media/usb/{name}", name=name, valid=5)
    at = (START + timedelta(days=day)).isoformat()
    return IntakeEvent.model_validate({"id": name, "at": at, "verdict": verdict, "package": package, **more})


def past(number: int, *repositories: str) -> PastRound:
    line = TargetLine(
        round=number, target=TrainingTarget.SCOPE, verdict="promote", reason="accuracy 0.5 to 0.7",
        adapter=f"scope-v{number}",
    )  # fmt: skip
    return PastRound(
        number=number, repositories=repositories, fresh=repositories[-1:], base="tiny", targets=(TrainingTarget.SCOPE,),
        began_at=START + timedelta(days=7 * number), ended_at=START + timedelta(days=7 * number, hours=3),
        abandoned=False, lines=(line,), gates=(),
    )  # fmt: skip


EVENTS = [
    event("alpha", IntakeVerdict.ACCEPTED, 1, use="training", valid=4),
    event("worm", IntakeVerdict.REFUSED, 2, reason=REFUSED, detail="payload.exe is a program"),
    event("beta", IntakeVerdict.REFUSED, 3, reason=REFUSED, detail="run.sh is a script"),
    event("beta", IntakeVerdict.ACCEPTED, 9, use="training", valid=5),
    event("held", IntakeVerdict.CHECKED, 10),
]
ROUNDS = (past(1, "alpha"), past(2, "alpha", "beta"))


def history() -> OperationHistory:
    disks = [DiskState(used=(n + 10) << 28, free=1 << 36) for n in (1, 2)]
    rates = []
    for turn in (1, 2):
        passes = {(f"r{n % 6}@{n}", k): (n + k + turn) % 3 == 0 for n in range(24) for k in range(4)}
        rates += group_rates(measured(turn, turn, {}, passes), {"r0", "r1"})
    turns = tuple(
        TurnRecord(
            number=n, round=n, began_at=START + timedelta(days=7 * n), ended_at=START + timedelta(days=7 * n, hours=4),
            standing=STOPPED if n == 2 else Standing(state=State.GOES_ON), freed=5 << 20, deleted=2,
            databases={"raw": DatabaseUpkeep(bytes=n << 26, before=n << 26, rewritten=False, note="compact")},
            disk=disks[n - 1],
        )
        for n in (1, 2)
    )  # fmt: skip
    arrivals = tuple(arrivals_of(EVENTS, ROUNDS))
    return OperationHistory(
        standing=STOPPED, turns=turns, rounds=ROUNDS, rates=tuple(rates), unlike=("r0", "r1"),
        serving=(ServingLine(target=TrainingTarget.SCOPE, adapter="scope-v2", decision=4, since=START),),
        sizes={"datasets": 1 << 28, "adapters": 1 << 27}, disk=disks[1],
        forecast=Forecast(bytes_per_turn=1 << 28, turns_left=40), clock=(), arrivals=arrivals,
        wanted=("stopped by diversity: pass@k fell", *refusals_in_words(arrivals)),
    )  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "operation.html"
    file.write_text(operation_page(history()))
    return file


def test_arrivals_know_their_first_round_and_whether_a_refusal_was_made_good() -> None:
    found = arrivals_of(EVENTS, ROUNDS)
    assert [(each.name, each.verdict.value, each.round, each.settled) for each in found] == [
        ("alpha", "accepted", 1, False), ("worm", "refused", None, False), ("beta", "refused", None, True),
        ("beta", "accepted", 2, False),
    ]  # fmt: skip
    [said] = refusals_in_words(found)
    assert "worm" in said and "beta" not in said
    assert refusals_in_words(found[:1]) == []


@pytest.mark.slow
def test_the_page_shows_arrivals_and_every_picture_in_words(browser: Browser, page: Path) -> None:
    with open_page(browser, page) as (shown, foreign):
        rows = shown.locator("#arrivals tbody tr").all()
        cells = [[text.strip() for text in row.locator("th, td").all_inner_texts()] for row in rows]
        images = [node for node in accessible(shown) if node["role"] == "image"]
        assert len(images) == shown.locator("svg").count() == 3
        assert foreign == [] and shown.locator("script, img, iframe, object, link").count() == 0
    assert [row[1:6] for row in cells] == [
        ["beta", "accepted", "training", "5", "2"], ["beta", "refused", "-", "-", "-"],
        ["worm", "refused", "-", "-", "-"], ["alpha", "accepted", "training", "4", "1"],
    ]  # fmt: skip
    assert "payload.exe" in cells[2][6]
    assert all(image["description"] for image in images)


@pytest.mark.slow
def test_a_narrow_screen_scrolls_tables_and_not_the_page(browser: Browser, page: Path) -> None:
    with open_page(browser, page, viewport={"width": 360, "height": 740}) as (shown, _):
        assert shown.evaluate("document.documentElement.scrollWidth") == 360
