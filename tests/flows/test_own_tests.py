"""The tests that a model writes are measured once its patch is judged: those that notice the change, and others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.quality import qualities
from harness.packages.package import RepoPackage
from models.test_quality import TestQuality
from tests.support.bad_server import ScriptedServer
from tests.support.campaign_runs import coding, gold_code, newest, rows, run, store

pytestmark = pytest.mark.index

Configure = Callable[..., None]
NOTICES = 'assert show(-5400) == "-1h 30m"'
NOTICES_NOTHING = 'assert show(60) == "1m"'


def solution(package: RepoPackage, check: str) -> str:
    """The instance's own change, and a test module of the model's."""
    module = f"from spans import show\n\n\ndef test_mine():\n    {check}\n"
    return f"{gold_code(package, newest(package))}\n### create tests/test_mine.py\n```\n{module}```\n"


def by_temperature(cool: str, warm: str) -> Callable[[dict[str, Any]], str]:
    return lambda request: coding(cool if request["temperature"] < 0.5 else warm)(request)


def cra(*arguments: str) -> str:
    from cli.main import app

    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def measured() -> dict[float, TestQuality | None]:
    """What was found of each trajectory, by temperature."""
    traces = [store().trace(line.id) for line in store().trajectories("c", 9)]
    return {trace.temperature: trace.outcomes[-1].own_tests for trace in traces}


def test_a_test_that_notices_the_change_is_told_from_one_that_does_not(
    sample: RepoPackage, configured: Configure
) -> None:
    answers = by_temperature(solution(sample, NOTICES), solution(sample, NOTICES_NOTHING))
    with ScriptedServer(answers) as server:
        configured(server.url)
        assert run(sample, "no-plan", temperatures=[0.3, 0.6]).planners["no-plan"].passed == 2
    found = measured()
    good, idle = found[0.3], found[0.6]
    assert good and idle
    assert good.tests == idle.tests == ("tests/test_mine.py::test_mine",)
    assert (good.coverage, idle.coverage) == (1.0, 0.5)
    assert good.total == idle.total == good.killed > 0
    assert (idle.killed, len(idle.survivors)) == (0, idle.total)

    [(own,)] = [(each.own_tests,) for each in qualities(store().usage("c"))]
    assert own is not None
    assert (own.trajectories, own.tests, own.steady, own.lines_run, own.hunks_noticed) == (2, 2, 2, 0.75, 0.5)
    assert json.loads(cra("report", "c", "--json"))["quality"]["no-plan"]["own_tests"] == own.model_dump(mode="json")
    assert "Tests that planners wrote" in cra("report", "c")

    [(key, reason)] = rows(
        "SELECT d.subject, d.reason FROM retrieval_decisions d JOIN task_runs t ON t.id = d.task_run_id "
        "WHERE d.stage = 'test_plan' AND d.decision = 'measured' AND t.temperature > 0.5"
    )
    assert rows(f"SELECT coverage, killed FROM test_quality WHERE id = '{key}'") == [(0.5, 0)]
    assert reason == idle.sentence == f"1 test: 1 of 2 changed lines run, 0 of {idle.total} reverted hunks noticed"
    warm = next(line.id for line in store().trajectories("c", 9) if store().trace(line.id).temperature > 0.5)
    shown = cra("trace", warm)
    assert f"its own tests: {reason}" in " ".join(shown.split())
    assert "not noticed: src/spans/show.py" in shown


def test_tests_are_measured_though_the_patch_fails_and_no_verdict_depends_on_it(
    sample: RepoPackage, configured: Configure
) -> None:
    wrong = "### edit src/spans/show.py\n<<<<<<< SEARCH\n    parts = []\n=======\n    parts = list()\n>>>>>>> REPLACE\n"
    module = "from spans import show\n\n\ndef test_mine():\n    assert show(60) == '1m'\n"
    answer = f"{wrong}\n### create tests/test_mine.py\n```\n{module}```\n"
    with ScriptedServer(coding(answer)) as server:
        configured(server.url)
        assert run(sample, "no-plan").planners["no-plan"].outcomes == {"tests-failed": 1}
    [found] = measured().values()
    assert found is not None
    assert (found.coverage, found.killed, found.total) == (1.0, 0, 1)


@pytest.mark.parametrize("reason", ["switched off", "no tests written"])
def test_nothing_is_measured_where_there_is_no_need(sample: RepoPackage, configured: Configure, reason: str) -> None:
    written = reason == "switched off"
    answer = solution(sample, NOTICES) if written else gold_code(sample, newest(sample))
    with ScriptedServer(coding(answer)) as server:
        configured(server.url)
        if written:
            with Path("cra.toml").open("a") as settings:
                settings.write("measure_tests = false\n")
        assert run(sample, "no-plan").planners["no-plan"].passed == 1
    assert measured() == {0.0: None}
    assert rows("SELECT count(*) FROM test_quality") == [(0,)]
    [quality] = qualities(store().usage("c"))
    assert quality.own_tests is None


def test_a_measurement_that_goes_wrong_leaves_the_verdict(
    sample: RepoPackage, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.errors import EnvironmentFault
    from store.runs.supplements import SupplementStore

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(SupplementStore, "add_quality", broken)
    with ScriptedServer(coding(solution(sample, NOTICES))) as server:
        configured(server.url)
        for number, error in enumerate((EnvironmentFault("the disk is gone"), ValueError("a bug")), 1):  # noqa: B007
            assert run(sample, "no-plan", samples=number).planners["no-plan"].passed == number
    assert set(measured().values()) == {None}
