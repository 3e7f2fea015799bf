"""Audits of real campaigns' logs: nothing is found in them as they are, and planted faults are found where they are."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.audit_faults import measure
from benchmarks.audit_plants import PLANTS
from cli.audit import ReplayPlaces
from harness.audit import AuditReport, audit_trajectory
from harness.audit.doubts import ask_doubts, packed
from harness.audit.record import AttemptLog
from harness.packages.package import RepoPackage
from host.settings import load_settings
from models.errors import PromptTooLong
from store.runs.results import closed_trajectories
from store.runs.voiding import AnswerChoice, forget_answers
from tests.support.asking import router
from tests.support.bad_server import ScriptedServer
from tests.support.campaign_runs import coding, gold_code, newest, rows, run, store
from tests.support.commands import invoke

pytestmark = pytest.mark.index

Configure = Callable[..., None]


def audited(corpus: list[Path] | None = None) -> list[AuditReport]:
    raw = store()
    places = ReplayPlaces(raw, corpus or [], load_settings().cache_dir / "audits")
    return [audit_trajectory(raw, key, places.of) for key in closed_trajectories(raw.engine, "c")]


def test_logs_of_gold_and_null_follow_from_themselves(sample: RepoPackage, configured: Configure) -> None:
    configured("http://127.0.0.1:1")
    run(sample, "gold", "null", limit=2, step_tests="on")
    reports = audited()
    assert len(reports) == 4
    assert [report.findings for report in reports] == [()] * 4
    assert [report.not_checked for report in reports] == [{}] * 4
    of_gold = [report for report in reports if report.outcome == "passed"]
    assert len(of_gold) == 2
    for report in of_gold:
        assert report.checked["prompts"] == report.checked["calls"] > 5
        assert report.checked["replay"] > report.checked["edits"] > 0
        assert report.checked["tests"] > 0


def test_logs_of_a_model_that_fails_follow_from_themselves(sample: RepoPackage, configured: Configure) -> None:
    file = newest(sample).production_files[0]
    answers = ("I cannot say.", f"### create {file}.txt\n```\nnothing of use\n```\n", gold_code(sample, newest(sample)))
    for number, answer in enumerate(answers):
        with ScriptedServer(coding(answer)) as server:
            configured(server.url)
            run(sample, "student", "no-plan", temperatures=[0.1 * number], step_tests="on")
            reports = audited()
        assert {report.outcome for report in reports} >= {"plan-malformed"}
        assert [report.findings for report in reports] == [()] * len(reports)
        assert all("replay" in report.checked for report in reports)


def test_planted_faults_are_found(sample: RepoPackage, configured: Configure) -> None:
    configured("http://127.0.0.1:1")
    run(sample, "gold", limit=1, step_tests="on")
    source = Path(load_settings().raw_url.removeprefix("sqlite:///"))
    assert measure(source, "c", "none", None, None, 0)[1:] == (1, 0, 0)
    for kind, plant in PLANTS.items():
        found = measure(source, "c", kind, plant, None, 1)
        if kind in ("swap prompts", "swap answers") and not found.planted:
            continue  # an instance of one step has one prompt of code
        assert (found.planted, found.found) == (1, 1), kind


def test_without_the_package_the_rest_is_checked_and_the_gap_is_named(
    sample: RepoPackage, configured: Configure, tmp_path: Path
) -> None:
    configured("http://127.0.0.1:1")
    run(sample, "gold")
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text(json.dumps({}))
    raw = store()
    places = ReplayPlaces(raw, [], tmp_path / "audits")
    places.clone = lambda package, instance: None  # type: ignore[assignment]
    [report] = [audit_trajectory(raw, key, places.of) for key in closed_trajectories(raw.engine, "c")]
    assert report.is_sound
    assert "replay" not in report.checked
    assert sample.manifest.name in report.not_checked["replay"]


def test_doubts_must_cite_the_log(sample: RepoPackage, configured: Configure) -> None:
    configured("http://127.0.0.1:1")
    run(sample, "gold")
    raw = store()
    [key] = closed_trajectories(raw.engine, "c")
    log = AttemptLog(raw, raw.trace(key, prompts=True))
    edit = next(event for event in log.events if event.event == "edit")
    said = [
        {"cites": [edit.seq], "quote": edit.path, "why": "it changes a file that the task does not name"},
        {"cites": [len(log.events) + 5], "quote": edit.path, "why": "cites no row"},
        {"cites": [edit.seq], "quote": "words that nobody wrote", "why": "quotes what is not there"},
    ]
    with ScriptedServer(lambda _: json.dumps({"doubts": said})) as server:
        doubts = ask_doubts(log, router(server), "here", raw)
        [asked] = server.requests
    assert [finding.cites for finding in doubts.findings] == [(edit.seq,)]
    assert doubts.findings[0].severity == "doubt"
    assert doubts.dropped == 2
    shown = asked["messages"][-1]["content"]
    assert f"[{edit.seq}] edit" in shown
    assert log.request(log.calls[0]).task.text in shown
    with ScriptedServer(lambda _: "I doubt it all") as server:
        unread = ask_doubts(log, router(server, model="other"), "here", raw)  # the answer above is kept
        assert len(server.requests) == 2
    assert unread.findings == ()
    assert unread.unreadable
    with ScriptedServer(lambda _: "{}") as server, pytest.raises(PromptTooLong, match="here"):
        ask_doubts(log, router(server, window=600), "here", raw)


def test_a_log_that_is_too_long_is_packed_without_retrieval(sample: RepoPackage, configured: Configure) -> None:
    configured("http://127.0.0.1:1")
    run(sample, "gold")
    raw = store()
    [key] = closed_trajectories(raw.engine, "c")
    log = AttemptLog(raw, raw.trace(key, prompts=True))
    whole, nothing = packed(log)
    shorter, left_out = packed(log, whole=False)
    assert nothing == ""
    assert left_out and left_out in shorter
    assert len(shorter) < len(whole)
    assert all(f"[{event.seq}]" in whole for event in log.events)


def test_the_command_exits_by_what_it_finds(sample: RepoPackage, configured: Configure, tmp_path: Path) -> None:
    configured("http://127.0.0.1:1")
    run(sample, "gold")
    variables = {"CRA_DATA_DIR": str(tmp_path / "data"), "CRA_CACHE_DIR": str(tmp_path / "cache")}
    sound = invoke("audit", "c", "--json", cwd=tmp_path, **variables)
    assert sound.returncode == 0
    [report] = json.loads(sound.stdout)
    assert report["findings"] == []
    one = invoke("audit", report["trajectory"][:12], cwd=tmp_path, **variables)
    assert one.returncode == 0
    nothing = invoke("audit", "other", cwd=tmp_path, **variables)
    assert nothing.returncode != 0
    assert "other" in nothing.stderr
    assert "c" in nothing.stderr


def test_answers_about_a_log_are_kept_and_not_asked_for_again(sample: RepoPackage, configured: Configure) -> None:
    configured("http://127.0.0.1:1")
    run(sample, "gold")
    raw = store()
    [key] = closed_trajectories(raw.engine, "c")
    log = AttemptLog(raw, raw.trace(key, prompts=True))
    edit = next(event for event in log.events if event.event == "edit")
    doubts = [{"cites": [edit.seq], "quote": edit.path, "why": "so"}]
    with ScriptedServer(["no", json.dumps({"doubts": doubts})]) as server:
        first = ask_doubts(log, router(server), "here", raw)
        again = ask_doubts(log, router(server), "here", raw)
        assert len(server.requests) == 2
    assert (first.asked, again.asked) == (2, 0)
    assert first.findings == again.findings
    assert first.answers == again.answers
    assert set(first.cited) == {edit.seq}
    assert edit.path in first.cited[edit.seq]
    kept = rows("SELECT stage, endpoint FROM answers WHERE stage = 'audit'")
    assert kept == [("audit", "here")] * 2
    choice = AnswerChoice(endpoint="here")
    assert forget_answers(raw.engine, choice, "bad").answers == 2
    with ScriptedServer(json.dumps({"doubts": []})) as server:
        anew = ask_doubts(log, router(server), "here", raw)
    assert (anew.asked, anew.findings) == (1, ())
