"""Campaigns of models that a scripted server plays: what is asked, what is paid for, how they end."""

import json
from collections.abc import Callable

import pytest

from harness.packages.package import RepoPackage
from tests.support.bad_server import Fail, ScriptedServer
from tests.support.campaign_runs import coding, gold_code, newest, rows, run

pytestmark = pytest.mark.index

Configure = Callable[..., None]


def test_samples_share_retrieval_and_nothing_finished_is_asked_again(
    sample: RepoPackage, configured: Configure
) -> None:
    instance = newest(sample)
    with ScriptedServer(coding(gold_code(sample, instance))) as server:
        configured(server.url)
        report = run(sample, "no-plan", temperatures=[0.3, 0.6])
        assert report.planners["no-plan"].passed == 2
        asked = len(server.requests)
        assert sorted(
            r["temperature"] for r in server.requests if "You write one step" in r["messages"][0]["content"]
        ) == [0.3, 0.6]
        assert run(sample, "no-plan", temperatures=[0.3, 0.6]).planners["no-plan"].passed == 2
        assert len(server.requests) == asked
        grown = run(sample, "no-plan", temperatures=[0.3, 0.6, 0.9])
        assert grown.planners["no-plan"].passed == 3
        assert len(server.requests) == asked + 1
    judged = rows("SELECT task_run_id, reused, cost FROM retrieval_llm_calls WHERE call_type <> 'code'")
    assert {reused for _, reused, _ in judged} == {0, 1}
    assert rows("SELECT count(DISTINCT context_tokens) FROM retrieval_llm_calls WHERE call_type = 'code'") == [(1,)]
    assert rows("SELECT count(*) FROM test_runs WHERE purpose = 'baseline'")[0][0] > 0


def test_a_failure_is_the_models_and_is_attributed(sample: RepoPackage, configured: Configure) -> None:
    file = newest(sample).production_files[0]
    with ScriptedServer(coding(f"### create {file}.txt\n```\nnothing of use\n```\n")) as server:
        configured(server.url)
        report = run(sample, "student", "no-plan")
    assert report.planners["student"].outcomes == {"plan-malformed": 1}
    assert report.planners["no-plan"].outcomes == {"tests-failed": 1}
    assert {label for (label,) in rows("SELECT label FROM attributions")} == {"plan", "code"}
    malformed = rows("SELECT stage FROM retrieval_decisions WHERE decision = 'malformed' AND stage = 'meta_plan'")
    assert len(malformed) == 2


def test_a_cap_ends_a_campaign_in_good_order_and_a_higher_one_lets_it_go_on(
    sample: RepoPackage, configured: Configure
) -> None:
    with ScriptedServer(coding(gold_code(sample, newest(sample)))) as server:
        configured(server.url)
        stopped = run(sample, "no-plan", temperatures=[0.3, 0.6], max_tokens=6000)
        assert "the cap of 6000 tokens is reached" in stopped.stopped
        assert stopped.planners["no-plan"].passed == 0
        assert stopped.planners["no-plan"].infrastructure + stopped.planners["no-plan"].open == 2
        asked = len(server.requests)
        assert asked > 0
        whole = run(sample, "no-plan", temperatures=[0.3, 0.6])
        assert (whole.stopped, whole.planners["no-plan"].passed) == ("", 2)
        questions = [json.dumps(request, sort_keys=True) for request in server.requests]
        assert len(set(questions)) == len(questions)


def test_an_outage_is_the_providers_fault_and_stops_the_campaign(sample: RepoPackage, configured: Configure) -> None:
    good = coding(gold_code(sample, newest(sample)))
    with ScriptedServer(lambda _: Fail(500, "out of order")) as server:
        configured(server.url)
        report = run(sample, "no-plan", samples=3)
        assert report.planners["no-plan"].failed == 0
        assert report.planners["no-plan"].outcomes.keys() == {"provider-error"}
        assert "2 trajectories in a row could not ask their model" in report.stopped
        server.script = good
        assert run(sample, "no-plan", samples=3).planners["no-plan"].passed == 3


def test_a_prompt_that_outgrows_the_window_is_named_and_final(sample: RepoPackage, configured: Configure) -> None:
    with ScriptedServer("I cannot say.") as server:
        configured(server.url, window=300)
        report = run(sample, "student")
        asked = len(server.requests)
        assert (report.planners["student"].outcomes, report.stopped) == ({"prompt-too-long": 1}, "")
        run(sample, "student")
        assert len(server.requests) == asked


def test_a_bad_grid_is_refused(sample: RepoPackage, configured: Configure) -> None:
    from models.errors import UsageError

    configured("http://127.0.0.1:1/v1")
    with pytest.raises(UsageError, match="numbers from 0 to 2"):
        run(sample, "student", temperatures=[3.0])
    with pytest.raises(UsageError, match="planner oracle is unknown"):
        run(sample, "oracle")
