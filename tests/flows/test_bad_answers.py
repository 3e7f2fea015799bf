"""A misconfigured endpoint answers rubbish, which is kept; its answers are taken back, and the right ones are asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage
from harness.runs.campaigns import estimate
from harness.runs.model_pool import ModelPool
from harness.runs.solving import SolveOrder
from host.settings import load_settings
from models.campaign_settings import Grid
from models.outcomes import OutcomeKind
from models.protocols import Stage
from store.runs.voiding import AnswerChoice, forget_answers, list_answers
from tests.support.bad_server import ScriptedServer
from tests.support.campaign_runs import coding, gold_code, newest, rows, run, store
from tests.support.commands import invoke

pytestmark = [pytest.mark.index, pytest.mark.slow]

Configure = Callable[..., None]
WARM = [0.3, 0.6]


def test_answers_of_a_misconfigured_endpoint_are_taken_back(sample: RepoPackage, configured: Configure) -> None:
    with ScriptedServer(lambda _: "The template of this server is wrong.") as server:
        configured(server.url)
        began = datetime.now(UTC) - timedelta(seconds=1)
        bad = run(sample, "no-plan", temperatures=WARM)
        assert (bad.planners["no-plan"].failed, bad.planners["no-plan"].passed) == (2, 0)
        asked = len(server.requests)
        server.script = coding(gold_code(sample, newest(sample)))
        assert run(sample, "no-plan", temperatures=WARM).planners["no-plan"].failed == 2
        assert len(server.requests) == asked, "finished, and so not asked again"

        [endpoint] = {each.endpoint for each in list_answers(store().engine, AnswerChoice())}
        before = {name: rows(f"SELECT count(*) FROM {name}") for name in ("answers", "retrieval_llm_calls", "outcomes")}
        choice = AnswerChoice(endpoint=endpoint, since=began)
        found = forget_answers(store().engine, choice, "wrong template")
        assert [(found.answers,)] == before["answers"]
        assert [(each.name, each.trajectories) for each in found.campaigns] == [("c", 2)]
        assert before == {name: rows(f"SELECT count(*) FROM {name}") for name in before}

        good = run(sample, "no-plan", temperatures=WARM)
    planner = good.planners["no-plan"]
    assert (planner.passed, planner.failed, planner.open) == (2, 0, 0)
    assert len(server.requests) > asked
    groups = list_answers(store().engine, AnswerChoice(endpoint=endpoint))
    assert sum(each.void for each in groups) == found.answers
    assert sum(each.answers for each in groups) > found.answers
    for line in store().trajectories("c", 9):
        trace = store().trace(line.id)
        assert [(each.attempt, each.kind.passed) for each in trace.outcomes] == [(1, False), (2, True)]
        assert [each.attempt for each in trace.reopenings] == [1]
        void = {(event.attempt, event.void) for event in trace.events if event.event == "call"}
        assert void == {(1, True), (2, False)}


def test_a_void_judgement_of_relevance_opens_all_samples_that_share_it(
    sample: RepoPackage, configured: Configure
) -> None:
    with ScriptedServer(coding(gold_code(sample, newest(sample)))) as server:
        configured(server.url)
        assert run(sample, "no-plan", temperatures=WARM).planners["no-plan"].passed == 2
        asked = len(server.requests)
        shared = rows("SELECT count(*) FROM retrieval_llm_calls WHERE call_type = 'scope' AND reused")
        assert shared[0][0] > 0
        found = forget_answers(store().engine, AnswerChoice(stages=(Stage.SCOPE,)), "x")
        assert found.trajectories == 2
        again = run(sample, "no-plan", temperatures=WARM)
        assert again.planners["no-plan"].passed == 2
        anew = len(server.requests) - asked
        assert 0 < anew < asked, "the answers of other stages are replayed"
    counts = again.planners["no-plan"]
    assert counts.replayed == counts.questions - len(server.requests)


def test_a_solve_that_rests_on_void_answers_is_done_anew(
    sample: RepoPackage, configured: Configure, tmp_path: Path
) -> None:
    instance = newest(sample)
    order = SolveOrder(
        task=instance.task, repository=str(sample.git.directory), revision=instance.base_commit, tests=False
    )
    from flows.solve import SolveRequest, solve

    with ScriptedServer(lambda _: "The template of this server is wrong.") as server:
        configured(server.url)
        bad = solve("s", order, SolveRequest(planner="no-plan"))
        assert bad.outcome is OutcomeKind.EDIT_REJECTED
        server.script = coding(gold_code(sample, instance))
        assert solve("s", order, SolveRequest(planner="no-plan")).outcome is bad.outcome
        done = invoke("answers", "forget", "--endpoint", "here", "--since", "1h", "--yes", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        good = solve("s", order, SolveRequest(planner="no-plan"))
    assert good.outcome is OutcomeKind.UNTESTED
    assert good.trajectory == bad.trajectory
    assert set(instance.production_files) <= set(good.work.files)


def test_the_estimate_knows_what_a_real_campaign_left(sample: RepoPackage, configured: Configure) -> None:
    def expected(**grid: object) -> tuple[int, int, int]:
        settings = load_settings()
        pool = ModelPool(settings.models, curated=settings.curated_url)
        found = estimate(store(), "other", [sample], Grid(planners=("no-plan",), limit=1, **grid), pool)
        assert found is not None
        return found.trajectories, found.replayed, found.retrieved

    with ScriptedServer(coding(gold_code(sample, newest(sample)))) as server:
        configured(server.url)
        assert expected(temperatures=(0.3,)) == (1, 0, 0)
        run(sample, "no-plan", temperatures=[0.3])
        assert expected(temperatures=(0.3,)) == (1, 1, 0)
        assert expected(temperatures=(0.3, 0.6)) == (2, 1, 1)
        forget_answers(store().engine, AnswerChoice(stages=(Stage.CODE,)), "x")
        assert expected(temperatures=(0.3,)) == (1, 0, 1)
        asked = len(server.requests)
        run(sample, "no-plan", temperatures=[0.3])
        assert len(server.requests) == asked + 1
