"""The solve flow on a repository of one's own, with gold or a model that a scripted server plays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.packages.package import RepoPackage
from harness.runs.solving import SolveOrder, compare
from host.settings import load_settings
from models.errors import ProviderError, RepositoryError, UsageError
from models.outcomes import OutcomeKind
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from tests.support.bad_server import Fail, ScriptedServer
from tests.support.campaign_runs import coding, gold_code, newest, rows

pytestmark = pytest.mark.index

Configure = Callable[..., None]


def order(package: RepoPackage, **changes: Any) -> SolveOrder:
    instance = newest(package)
    given = {"task": instance.task, "repository": str(package.git.directory), "revision": instance.base_commit}
    return SolveOrder(**{**given, "tests": False, **changes})


def solved(order: SolveOrder, planner: str, **options: Any) -> Any:
    from flows.solve import SolveRequest, solve

    return solve("s", order, SolveRequest(planner=planner, **options))


def archive(found: Any) -> Path:
    return load_settings().data_dir / "sessions" / f"{found.trajectory}.json"


def test_gold_makes_the_commits_own_change_and_every_stage_is_on_record(
    sample: RepoPackage, configured: Configure
) -> None:
    configured("http://127.0.0.1:9/v1")
    found = solved(order(sample, gold=newest(sample).commit), "gold")
    assert found.outcome is OutcomeKind.UNTESTED
    assert set(newest(sample).production_files) <= set(found.work.files)
    assert found.work.alignment["files"] == 1.0
    assert archive(found).is_file()
    assert rows("SELECT count(DISTINCT call_type) FROM retrieval_llm_calls") == [(8,)]


def test_a_model_is_asked_once_and_has_no_answer_to_be_aligned_with(sample: RepoPackage, configured: Configure) -> None:
    with ScriptedServer(coding(gold_code(sample, newest(sample)))) as server:
        configured(server.url)
        found = solved(order(sample), "no-plan")
        assert found.outcome is OutcomeKind.UNTESTED
        assert found.work.alignment == {}
        asked = len(server.requests)
        assert solved(order(sample), "no-plan").work == found.work
        assert len(server.requests) == asked
        archive(found).unlink()
        with pytest.raises(UsageError, match="--sample gives another attempt"):
            solved(order(sample), "no-plan")


def test_a_revision_that_is_not_there_is_named_with_the_persons_own_path(
    sample: RepoPackage, configured: Configure
) -> None:
    configured("http://127.0.0.1:9/v1")
    with pytest.raises(RepositoryError) as raised:
        solved(order(sample, revision="nonsense"), "no-plan")
    assert str(raised.value) == f"{sample.git.directory} has no commit 'nonsense'"


def test_an_edit_that_fits_nowhere_is_told_with_its_step(sample: RepoPackage, configured: Configure) -> None:
    file = newest(sample).production_files[0]
    edit = f"### edit {file}\n<<<<<<< SEARCH\nnowhere\n=======\nx\n>>>>>>> REPLACE\n"
    with ScriptedServer(coding(edit)) as server:
        configured(server.url)
        found = solved(order(sample), "no-plan")
    assert found.outcome is OutcomeKind.EDIT_REJECTED
    assert found.detail.startswith("step task/task: ")
    assert file in found.detail


def test_a_provider_that_is_down_is_nobodys_failure_and_what_it_said_before_is_not_asked_again(
    sample: RepoPackage, configured: Configure
) -> None:
    code, down = coding(gold_code(sample, newest(sample))), [True]

    def script(request: dict[str, Any]) -> Any:
        coder = "You write one step" in request["messages"][0]["content"]
        return Fail(500) if coder and down[0] else code(request)

    with ScriptedServer(script) as server:
        configured(server.url)
        with pytest.raises(ProviderError):
            solved(order(sample), "no-plan")
        assert rows("SELECT kind FROM outcomes") == [("provider-error",)]
        asked, down[0] = len(server.requests), False
        assert solved(order(sample), "no-plan").outcome is OutcomeKind.UNTESTED
        assert len(server.requests) == asked + 1


def test_a_run_that_ends_badly_breaks_what_passed_before_it() -> None:
    def report(end: SuiteEnd, **cases: CaseStatus) -> SuiteReport:
        known = {name: CaseResult(id=name, status=status) for name, status in cases.items()}
        return SuiteReport(end=end, exit_code=0, seconds=1.0, cases=known)

    before = report(SuiteEnd.COMPLETED, a=CaseStatus.PASSED, b=CaseStatus.FAILED, c=CaseStatus.PASSED)
    after = report(SuiteEnd.CRASHED, a=CaseStatus.PASSED, d=CaseStatus.PASSED)
    check = compare(before, after)
    assert (check.broken, check.new) == (("c",), ("d",))
