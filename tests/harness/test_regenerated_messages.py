"""Descriptions of commits set aside: written, checked, judged, kept; each answer paid for once."""

from pathlib import Path

from harness.mining.regenerated import MessageLedger
from repos.git import Git
from tests.support.bad_server import ScriptedServer
from tests.support.direct_material import repository
from tests.support.message_material import SIGN, SPEECHLESS, STRIP, judging, model, models_of, run


def test_commits_set_aside_are_described_and_judged_and_kept(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    with ScriptedServer(model()) as server:
        report = run(tmp_path, place, models_of(server))
    assert (report.aside, report.counts()) == (2, {"accepted": 2})
    decisions = MessageLedger.of(tmp_path / "data", Git(place)).decisions()
    texts = {record.original: record.text for record in decisions.values()}
    assert texts == {"wip": f"{STRIP['subject']}\n\n{STRIP['body']}", "stuff": SIGN["subject"]}
    assert {record.scores.mean for record in decisions.values() if record.scores} == {4.75}
    assert [judging(request) for request in server.requests] == [False, True] * 2
    assert Git(place).text("log", "--format=%s").split("\n")[1:3] == ["stuff", "wip"]


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    with ScriptedServer(model()) as server:
        assert run(tmp_path, place, models_of(server), limit=1).counts() == {"accepted": 1}
        assert run(tmp_path, place, models_of(server)).counts() == {"accepted": 1}
        asked = len(server.requests)
        again = run(tmp_path, place, models_of(server))
    assert (asked, len(server.requests), again.decided_before, again.lines) == (4, 4, 2, [])
