"""`cra answers`: what is counted, what is taken back, and what is asked before."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cli.answers import parse_time
from models.errors import UsageError
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage
from store.runs import RawStore, open_raw_store
from store.runs.answers import AUDIT
from tests.support.commands import Result, invoke
from tests.support.store_material import TASK, make_manifest

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    """A campaign of two trajectories: one rests on an answer of `bad`, one on an answer of `good`."""
    (tmp_path / "data").mkdir()
    store = open_raw_store(tmp_path / "data" / "raw.sqlite")
    keys = store.register_package(make_manifest())
    campaign = store.register_campaign({"planners": ["student"]})
    store.start_run(campaign, "first", "flow", [Path("lib")])
    for endpoint, instance in (("bad", "lib-0"), ("good", "lib-1")):
        slot = store.answer_slot(f"asked {endpoint}")
        answer = Answer(text="[red]rubbish", model="m\x1b[2J", endpoint=endpoint, prompt_tokens=12, cost=0.5)
        store.keep_answer(slot, Stage.CODE, answer)
        trajectory = store.open_trajectory(campaign, keys[instance], "student", "v1")
        attempt = store.begin_attempt(trajectory)
        assert attempt is not None
        recorder = store.recorder(trajectory, attempt)
        recorder.call(Request(stage=Stage.CODE, task=TASK), answer.model_copy(update={"answer_id": slot.id}))
        store.close_trajectory(trajectory, attempt, OutcomeKind.EDIT_REJECTED)
    return store


def answers(tmp_path: Path, *arguments: str) -> Result:
    return invoke("answers", *arguments, cwd=tmp_path, TZ="UTC")


def test_answers_are_counted_and_void_ones_are_told(store: RawStore, tmp_path: Path) -> None:
    shown = answers(tmp_path, "list")
    assert shown.returncode == 0
    assert "\x1b[2J" not in shown.stdout
    assert "2 answers, 0 of them void" in shown.stdout
    assert answers(tmp_path, "forget", "--endpoint", "bad", "--since", "1h", "--yes").returncode == 0
    listed = json.loads(answers(tmp_path, "list", "--json").stdout)["answers"]
    assert [(each["endpoint"], each["stage"], each["answers"], each["void"], each["cost"]) for each in listed] == [
        ("bad", "code", 1, 1, 0.5),
        ("good", "code", 1, 0, 0.5),
    ]
    assert json.loads(answers(tmp_path, "list", "--json", "--until", "1h").stdout)["answers"] == []
    assert json.loads(answers(tmp_path, "list", "--json", "--stage", "scope").stdout)["answers"] == []


def test_answers_to_audits_are_taken_back_alone(store: RawStore, tmp_path: Path) -> None:
    answer = Answer(text="{}", model="m", endpoint="bad", prompt_tokens=1, cost=0.25)
    store.keep_answer(store.answer_slot("audited"), AUDIT, answer)
    choice = ("--endpoint", "bad", "--since", "1h", "--stage", "audit", "--yes", "--json")
    done = json.loads(answers(tmp_path, "forget", *choice).stdout)
    assert [done[name] for name in ("answers", "cost", "trajectories")] == [1, 0.25, 0]
    left = json.loads(answers(tmp_path, "list", "--json", "--stage", "code", "--stage", "audit").stdout)["answers"]
    assert {each["stage"]: each["void"] for each in left if each["endpoint"] == "bad"} == {"audit": 1, "code": 0}
    refused = answers(tmp_path, "list", "--stage", "audits")
    assert refused.returncode == 2 and "audits" in refused.stderr and "meta_plan" in refused.stderr


def test_what_is_forgotten_is_said_and_traced(store: RawStore, tmp_path: Path) -> None:
    bad, good = sorted(store.trajectories("first", 9), key=lambda line: line.instance)
    done = answers(tmp_path, "forget", "--endpoint", "bad", "--since", "1h", "--reason", "its template", "--yes")
    assert done.returncode == 0
    assert "1 of first" in done.stdout
    assert store.report("first").planners["student"].open == 1
    traced = invoke("trace", bad.id, cwd=tmp_path)
    assert "its template" in traced.stdout and "void" in traced.stdout
    assert "opened again" not in invoke("trace", good.id, cwd=tmp_path).stdout
    again = answers(tmp_path, "forget", "--endpoint", "bad", "--since", "1h", "--yes", "--json")
    assert [json.loads(again.stdout)[name] for name in ("answers", "void_before", "trajectories")] == [0, 1, 0]


def test_results_on_file_of_solves_that_are_open_again_are_set_aside(store: RawStore, tmp_path: Path) -> None:
    bad, good = sorted(store.trajectories("first", 9), key=lambda line: line.instance)
    folder = tmp_path / "data" / "sessions"
    folder.mkdir()
    for line in (bad, good):
        (folder / f"{line.id}.json").write_text(line.instance)
    command = ("forget", "--endpoint", "bad", "--since", "1h")
    assert answers(tmp_path, *command, "--dry-run").returncode == 0
    assert len(list(folder.iterdir())) == 2 and (folder / f"{bad.id}.json").exists()
    assert answers(tmp_path, *command, "--yes").returncode == 0
    assert (folder / f"{good.id}.json").read_text() == good.instance
    [aside] = [path for path in folder.iterdir() if path.name != f"{good.id}.json"]
    assert aside.name != f"{bad.id}.json" and aside.read_text() == bad.instance


def test_a_dry_run_says_the_same_and_changes_nothing(store: RawStore, tmp_path: Path) -> None:
    command = ("forget", "--endpoint", "bad", "--since", "1h", "--json")
    tried = json.loads(answers(tmp_path, *command, "--dry-run").stdout)
    assert store.report("first").planners["student"].open == 0
    done = json.loads(answers(tmp_path, *command, "--yes").stdout)
    assert (tried.pop("dry_run"), done.pop("dry_run")) == (True, False)
    for each in (tried, done):
        each.pop("since")
    assert tried == done
    assert done["trajectories"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--endpoint", "bad", "--since", "1h"), "--yes"),
        (("--endpoint", "bad", "--since", "1h", "--json"), "--yes"),
        (("--endpoint", "worse", "--since", "1h", "--yes"), "bad, good"),
        (("--endpoint", "bad", "--since", "yesterday", "--yes"), "yesterday"),
        (("--endpoint", "bad", "--since", "", "--yes"), "--since"),  # an unset variable of a script
        (("--endpoint", "bad", "--since", "1h", "--until", "", "--yes"), "--until"),
        (("--endpoint", "bad", "--since", "1h", "--until", "2h", "--yes"), "exchange"),
    ],
)
def test_mistakes_are_refused_and_change_nothing(
    store: RawStore, tmp_path: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = answers(tmp_path, "forget", *arguments)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert store.report("first").planners["student"].open == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("90m", NOW - timedelta(minutes=90)),
        ("3d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-04-30T10:00Z", datetime(2026, 4, 30, 10, tzinfo=UTC)),
        ("2026-04-30T10:00+02:00", datetime(2026, 4, 30, 8, tzinfo=UTC)),
        ("2026-04-30", datetime(2026, 4, 30).astimezone()),
        ("2026-04-30 10:30", datetime(2026, 4, 30, 10, 30).astimezone()),
    ],
)
def test_times_are_dates_or_spans_and_local_unless_they_say_otherwise(text: str, expected: datetime) -> None:
    found = parse_time(text, "--since", NOW.astimezone(timezone(timedelta(hours=5))))
    assert (found, found.tzinfo) == (expected, UTC)


@pytest.mark.parametrize("text", ["", "2x", "h", "99999999999d", "2026-13-01", "0001-01-01T00:00+23:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        parse_time(text, "--since", NOW)
