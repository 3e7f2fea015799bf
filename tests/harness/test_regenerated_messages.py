"""Descriptions of commits set aside: written, checked, judged, kept; each answer paid for once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.attacks._package import honest_package
from harness.mining import mine
from harness.mining.regenerated import MessageLedger
from harness.supplement.messages.asking import Answers
from harness.supplement.messages.run import clone_of
from harness.synthesis.run import synthesize
from models.errors import InfrastructureError, UsageError
from models.messages import MessageRecord, MessageRefusal
from models.mining import MiningRules
from models.protocols import Stage
from repos.git import Git
from store.database import reading
from store.runs import open_raw_store
from store.runs.closed_runs import read_runs
from tests.support.bad_server import Behaviour, Fail, HangUp, NoChoices, Raw, ScriptedServer, Stall
from tests.support.direct_material import STRIPPED, repository, settings_in
from tests.support.message_material import (
    GOOD,
    SIGN,
    SPEECHLESS,
    STRIP,
    described,
    judging,
    lexical_judge,
    model,
    models_of,
    prompt_of,
    run,
)
from tests.support.mining_history import Entry


def decisions(folder: Path, place: Path) -> dict[str, MessageRecord]:
    """The decisions about a repository's commits, by the messages that the commits have."""
    found = MessageLedger.of(folder / "data", Git(place)).decisions()
    return {record.original: record for record in found.values()}


def refusals(tmp_path: Path, *texts: str, **how: Any) -> list[tuple[str | None, str]]:
    """Reasons and details for the second commit of SPEECHLESS, whose model answers with these texts in turn."""
    place, said = repository(tmp_path / "spans.git", SPEECHLESS[:2]), list(texts)
    with ScriptedServer(model(lambda _: said.pop(0) if len(said) > 1 else said[0])) as server:
        run(tmp_path, place, models_of(server), **how)
    return [(each.reason, each.detail) for each in decisions(tmp_path, place).values()]


def test_commits_set_aside_are_described_and_judged_and_kept(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    with ScriptedServer(model()) as server:
        report = run(tmp_path, place, models_of(server))
    assert (report.aside, report.counts()) == (2, {"accepted": 2})
    found = decisions(tmp_path, place)
    assert {original: record.text for original, record in found.items()} == {
        "wip": f"{STRIP['subject']}\n\n{STRIP['body']}",
        "stuff": SIGN["subject"],
    }
    assert {record.scores.mean for record in found.values() if record.scores} == {4.75}
    assert {(record.fault, record.model) for record in found.values()} <= {
        (fault, "scripted") for fault in ("short", "generic")
    }
    assert [judging(request) for request in server.requests] == [False, True] * 2
    assert Git(place).text("log", "--format=%s").split("\n")[1:3] == ["stuff", "wip"]


def test_a_prompt_holds_the_change_its_symbols_their_users_and_tests_and_no_message(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    with ScriptedServer(model()) as server:
        run(tmp_path, place, models_of(server), limit=1)
    prompt = prompt_of(server.requests[0])
    assert "+    return sign * int(text.strip())" in prompt
    assert "src/spans/parse.py::parse (changed): def parse(text, sign=1)" in prompt
    assert "src/spans/show.py::show" in prompt
    assert "tests/test_parse.py: test_parse" in prompt
    assert "stuff" not in prompt
    assert "stuff" not in prompt_of(server.requests[1])


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    with ScriptedServer(model()) as server:
        assert run(tmp_path, place, models_of(server), limit=1).counts() == {"accepted": 1}
        assert run(tmp_path, place, models_of(server)).counts() == {"accepted": 1}
        asked = len(server.requests)
        again = run(tmp_path, place, models_of(server))
    assert (asked, len(server.requests), again.decided_before, again.lines) == (4, 4, 2, [])


def test_a_model_may_look_twice_and_sees_code_of_the_commit(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS[:2])
    looks = [
        {"look": [{"path": "src/spans/show.py", "symbol": "show"}, {"path": "../secret", "symbol": "x"}]},
        {"look": [{"path": "src/spans/parse.py", "symbol": "nothing"}]},
    ]
    texts = [json.dumps(each) for each in (*looks, STRIP)]
    with ScriptedServer(model(lambda _: texts.pop(0))) as server:
        assert run(tmp_path, place, models_of(server)).counts() == {"accepted": 1}
    second, third = (prompt_of(request) for request in server.requests[1:3])
    assert "    return str(parse(text))" in second
    assert "no file '../secret'" in second
    assert "def unused()" in third.partition("has no symbol 'nothing'")[2]
    assert '"look"' in second
    assert '"look"' not in third.rpartition("# Code")[2]


def test_a_look_at_the_last_step_and_an_unreadable_answer_are_asked_for_once_more(tmp_path: Path) -> None:
    look = json.dumps({"look": [{"path": "src/spans/show.py", "symbol": "show"}]})
    [(reason, detail)] = refusals(tmp_path, look)
    assert reason is MessageRefusal.MALFORMED
    assert "not look any more" in detail


def test_an_answer_that_is_mended_counts(tmp_path: Path) -> None:
    assert refusals(tmp_path, "Here you are: nothing", json.dumps(STRIP)) == [(None, "")]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("Strip \x1b[31m the text before parse reads it", "malformed"),
        ("Strip the text\u202e before parse reads it", "malformed"),
        ("Strip the text\nbefore parse reads it", "malformed"),
        ("Update", "generic"),
        ("Strip text", "short"),
        ("White space around the text of parse", "no-action"),
        ("Strip the text before parse reads it, see https://example.org/x", "url"),
        ("Strip the text before parse reads it (#12)", "trailer"),
        ("Replace it by return int(text.strip()) and nothing more", "quotes-diff"),
        ("Support the export of quarterly reports", "unrelated"),
    ],
)
def test_a_description_that_is_no_task_about_the_change_is_refused_before_it_is_judged(
    tmp_path: Path, subject: str, reason: str
) -> None:
    assert [found for found, _ in refusals(tmp_path, json.dumps({"subject": subject, "body": ""}))] == [reason]


@pytest.mark.parametrize("half", ["\\ud800", "\ud800"], ids=["as an escape", "as it is"])
def test_half_a_surrogate_pair_in_an_answer_is_refused_and_nothing_is_lost(tmp_path: Path, half: str) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)

    def write(request: dict[str, Any]) -> str:
        bad = '{"subject": "Strip HALF the text before parse", "body": ""}'.replace("HALF", half)
        return json.dumps(described(request)) if "sign * int" in prompt_of(request) else bad

    with ScriptedServer(model(write)) as server:
        assert run(tmp_path, place, models_of(server)).counts() == {"accepted": 1, "malformed": 1}


def test_a_low_score_refuses_and_a_lower_threshold_accepts_without_another_question(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS[:2])
    with ScriptedServer(model(scores=json.dumps(GOOD | {"fidelity": 1}))) as server:
        assert run(tmp_path, place, models_of(server)).counts() == {"below-threshold": 1}
        assert run(tmp_path, place, models_of(server, threshold=3.5)).counts() == {"accepted": 1}
        assert len(server.requests) == 2
        assert run(tmp_path, place, models_of(server, threshold=3.7)).lines == []


def test_a_judge_of_its_own_is_asked_and_named(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS[:2])
    with ScriptedServer(model()) as writer, ScriptedServer(lexical_judge, models=["judge"]) as judge:
        run(tmp_path, place, models_of(writer, judge, threshold=2.0))
        assert (len(writer.requests), len(judge.requests)) == (1, 1)
    [record] = decisions(tmp_path, place).values()
    assert record.scores is not None
    assert record.scores.mean >= 2
    assert len(record.prompt_hashes) == 1
    assert record.judge_prompt_hash not in record.prompt_hashes


@pytest.mark.parametrize(
    "behaviour",
    [Raw(b"<html>gateway</html>", "text/html"), Stall('{"sub'), NoChoices(), "", Fail(503), HangUp()],
    ids=["html", "stall", "no choices", "empty", "down", "hangs up"],
)
@pytest.mark.parametrize("of_judge", [False, True])
def test_a_fault_of_an_endpoint_decides_nothing_and_is_made_good_later(
    tmp_path: Path, behaviour: Behaviour, of_judge: bool
) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS[:2])
    bad = model(scores=behaviour) if of_judge else model(lambda _: behaviour)
    quick = {"attempts": 1, "stall": 0.3, "timeout": 5.0, "window": 30_000}
    with ScriptedServer(bad) as server:
        report = run(tmp_path, place, models_of(server, **quick))
    [line] = report.lines
    assert (line.state, line.record) == ("undecided", None)
    assert line.fault
    assert "\n" not in line.fault
    assert decisions(tmp_path, place) == {}
    with ScriptedServer(model()) as server:
        assert run(tmp_path, place, models_of(server, **quick)).counts() == {"accepted": 1}
        assert len(server.requests) == (1 if of_judge else 2)  # what was written is not paid for again


def test_scores_that_cannot_be_read_say_nothing_of_the_text(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS[:2])
    with ScriptedServer(model(scores='{"fidelity": 9}')) as server:
        report = run(tmp_path, place, models_of(server))
    assert report.counts() == {"undecided": 1}
    assert len(server.requests) == 3


def test_a_run_ends_after_some_faults_in_a_row(tmp_path: Path) -> None:
    edits = [
        Entry(f"wip {n}", {"src/spans/parse.py": STRIPPED.replace("return int", f"return {n} + int")}) for n in range(9)
    ]
    place = repository(tmp_path / "spans.git", [SPEECHLESS[0], *edits])
    with ScriptedServer(model(lambda _: Fail(401))) as server:
        report = run(tmp_path, place, models_of(server, window=30_000))
    assert report.aside == 9
    assert report.stopped
    assert len(report.lines) == 4


def test_a_change_without_text_is_refused_without_a_question(tmp_path: Path) -> None:
    mode = Entry("wip", {"src/spans/parse.py": ("100755", STRIPPED)})
    place = repository(tmp_path / "spans.git", [*SPEECHLESS[:2], mode])
    with ScriptedServer(model()) as server:
        report = run(tmp_path, place, models_of(server), limit=1)
    assert report.counts() == {"no-diff": 1}
    assert server.requests == []


def test_a_huge_change_is_cut_to_the_window_and_the_same_each_time(tmp_path: Path) -> None:
    long = STRIPPED + "".join(f"TABLE_{n} = '{'x' * 2000}'\n" for n in range(90))
    line = f"BLOB = '{'y' * 300_000}'\n"
    place = repository(
        tmp_path / "spans.git", [SPEECHLESS[0], Entry("wip", {"src/spans/parse.py": long, "src/spans/blob.py": line})]
    )
    with ScriptedServer(model(), window=4096) as server:
        assert run(tmp_path, place, models_of(server, window=4096)).counts() == {"accepted": 1}
        asked = prompt_of(server.requests[0])
        (tmp_path / "again").mkdir()
        run(tmp_path / "again", place, models_of(server, window=4096))
        assert prompt_of(server.requests[2]) == asked
    assert "more lines of this file are left out" in asked
    assert "+++ b/src/spans/blob.py" in asked
    assert "yyy" not in asked


def test_a_torn_last_line_is_done_again_and_a_bad_one_is_named(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    ledger = MessageLedger.of(tmp_path / "data", Git(place))
    with ScriptedServer(model()) as server:
        run(tmp_path, place, models_of(server))
        whole = ledger.path.read_bytes()
        ledger.path.write_bytes(whole[:-40])
        assert len(ledger.decisions()) == 1
        assert run(tmp_path, place, models_of(server)).counts() == {"accepted": 1}
        assert (ledger.path.read_bytes(), len(server.requests)) == (whole, 4)
        ledger.answers_path.write_bytes(ledger.answers_path.read_bytes()[:-10])
        ledger.path.unlink()
        run(tmp_path, place, models_of(server))
        assert (ledger.path.read_bytes(), len(server.requests)) == (whole, 5)
    ledger.path.write_bytes(b"{}\n" + whole)
    with pytest.raises(InfrastructureError, match="line 1"):
        ledger.decisions()


def test_another_process_at_the_same_repository_is_named(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    ledger = MessageLedger.of(tmp_path / "data", Git(place))
    with ledger.held(), ScriptedServer(model()) as server:
        with pytest.raises(InfrastructureError, match=str(os.getpid())):
            run(tmp_path, place, models_of(server))
        assert server.requests == []
    assert not ledger.path.exists()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_pays_for_no_answer_twice(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    command = [sys.executable, "-c", "from cli.main import main; main()", "messages", "regenerate", str(place)]
    with ScriptedServer(model(scores=Stall())) as server:
        (tmp_path / "cra.toml").write_text(f'[models.endpoints.here]\nurl = "{server.url}"\nmodel = "scripted"\n')
        places = {"CRA_DATA_DIR": str(tmp_path / "data"), "CRA_CACHE_DIR": str(tmp_path / "cache")}
        process = subprocess.Popen(
            [*command, "--with", "here"], env=os.environ | places, cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        while len(server.requests) < 2:
            assert process.poll() is None
        process.kill()
        process.wait()
    answers = MessageLedger.of(tmp_path / "data", Git(place)).answers_path
    assert len(Answers(answers)._known) == 1
    with ScriptedServer(model()) as server:
        (tmp_path / "cra.toml").write_text(f'[models.endpoints.here]\nurl = "{server.url}"\nmodel = "scripted"\n')
        done = subprocess.run([*command, "--with", "here"], env=os.environ | places, cwd=tmp_path, check=True)
        assert (done.returncode, len(server.requests)) == (0, 3)
    assert len(decisions(tmp_path, place)) == 2


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with ScriptedServer(model()) as server, pytest.raises(UsageError, match="nowhere"):
        run(tmp_path, tmp_path / "nowhere", models_of(server))


def test_a_package_and_its_repository_share_their_files(tmp_path: Path) -> None:
    package = honest_package(tmp_path)
    with clone_of(package, tmp_path / "cache") as of_package, clone_of(package / "repo", tmp_path / "cache") as clone:
        assert of_package.directory != clone.directory
        assert MessageLedger.of(tmp_path, of_package) == MessageLedger.of(tmp_path, clone)
    with ScriptedServer(model()) as server:
        assert run(tmp_path, package, models_of(server)).stopped == ""


def test_accepted_descriptions_become_tasks_of_pairs_that_name_their_model(tmp_path: Path) -> None:
    place, settings = repository(tmp_path / "spans.git", SPEECHLESS), settings_in(tmp_path, Stage.SCOPE)
    with ScriptedServer(model()) as server:
        run(tmp_path, place, models_of(server))
    plain = synthesize([place], settings, MiningRules())
    wider = synthesize([place], settings, MiningRules(), messages=tmp_path / "data")
    assert (plain.total.commits, wider.total.commits, wider.total.done_before) == (1, 2, 1)
    assert [each.described for each in wider.repositories] == [2]
    with reading(open_raw_store(settings.raw_url).engine) as connection:
        runs = list(read_runs(connection))
    tasks = {each.instance.task: each.provenance(0, "gold", None).task_model for each in runs}
    assert tasks == {
        "Remove unused from the parser": None,
        SIGN["subject"]: "scripted",
        f"{STRIP['subject']}\n\n{STRIP['body']}": "scripted",
    }


def test_what_is_unset_is_not_stored(tmp_path: Path) -> None:
    place, settings = repository(tmp_path / "spans.git", SPEECHLESS), settings_in(tmp_path, Stage.SCOPE)
    synthesize([place], settings, MiningRules())
    with reading(open_raw_store(settings.raw_url).engine) as connection:
        one = next(read_runs(connection))
    assert "message" not in one.instance.model_dump()
    assert "task_model" not in one.provenance(0, "gold", None).model_dump()


def test_commits_set_aside_are_those_of_mining(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    assert [commit.subject for commit in mine(Git(place)).aside] == ["stuff", "wip"]
