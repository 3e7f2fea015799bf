"""A campaign whose specialist gives no usable answer and whose generalist does: recorded, counted, replayed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.audit import ReplayPlaces
from harness.audit import audit_trajectory
from harness.packages.package import RepoPackage
from host.settings import load_settings
from models.protocols import FALLBACK
from store.runs.events import CallEvent, DecisionEvent
from store.runs.results import closed_trajectories
from tests.support.bad_server import ScriptedServer
from tests.support.campaign_runs import run, store
from tests.support.commands import invoke
from tests.support.scripted_student import Student

pytestmark = pytest.mark.index

Configure = Callable[..., None]


def test_fallbacks_are_recorded_counted_and_follow_from_the_log(
    sample: RepoPackage, configured: Configure, tmp_path: Path
) -> None:
    with ScriptedServer("I cannot say.") as poor, ScriptedServer(Student(sample, spoilt=False)) as good:
        configured(poor.url)
        with Path("cra.toml").open("a") as file:
            file.write(f'[models.endpoints.whole]\nurl = "{good.url}"\nmodel = "scripted"\nattempts = 1\n')
        settings = Path("cra.toml").read_text().replace('coding = "here"\n', 'coding = "here"\ngeneralist = "whole"\n')
        Path("cra.toml").write_text(settings)
        report = run(sample, "student", step_tests="on")
    assert report.planners["student"].passed == 1
    raw = store()
    [key] = closed_trajectories(raw.engine, "c")
    trace = raw.trace(key, prompts=True)
    by_generalist = [each for each in trace.events if isinstance(each, CallEvent) and each.endpoint == "whole"]
    decided = [each for each in trace.events if isinstance(each, DecisionEvent) and each.decision == FALLBACK]
    assert [each.stage for each in by_generalist] == [each.stage for each in decided]
    assert {"meta_plan", "part_plan", "code", "test_plan", "adjustment"} <= {each.stage for each in decided}
    assert all(each.reason.startswith("unusable: ") for each in decided)
    variables = {"CRA_DATA_DIR": str(tmp_path / "data"), "CRA_CACHE_DIR": str(tmp_path / "cache")}
    shown = json.loads(invoke("report", "c", "--json", cwd=tmp_path, **variables).stdout)
    counted = {each["stage"]: each["fallbacks"] for each in shown["quality"]["student"]["stages"]}
    assert counted == {stage: sum(each.stage == stage for each in decided) for stage in counted}
    status = json.loads(invoke("status", "--json", cwd=tmp_path, **variables).stdout)
    assert status["campaigns"][0]["fallbacks"] == {stage: count for stage, count in sorted(counted.items()) if count}
    places = ReplayPlaces(raw, [], load_settings().cache_dir / "audits")
    audited = audit_trajectory(raw, key, places.of)
    assert audited.findings == ()
    assert audited.checked["replay"] >= len(decided)
