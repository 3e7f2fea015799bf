"""The whole way as a new user goes it: demo, report, trace, export, import; killed in the middle; on PostgreSQL."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.chat import read_prompt
from models.protocols import Stage
from store.runs import Triple, open_raw_store
from tests.support.commands import invoke

pytestmark = pytest.mark.index

CRA = Path(sys.executable).parent / "cra"


def variables(root: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRA_", "PREFECT_"))}
    places = {"CRA_DATA_DIR": root / "data", "CRA_CACHE_DIR": root / "cache", "PREFECT_HOME": root / "engine"}
    return {**kept, **{name: str(place) for name, place in places.items()}}


def cra(root: Path, *arguments: str | Path, ends_with: int = 0, **more: str) -> str:
    done = invoke(*arguments, cwd=root, **more)
    assert done.returncode == ends_with, done.stderr
    return done.stdout


def triples(target: str | Path, name: str) -> list[Triple]:
    store = open_raw_store(target)
    return list(store.triples(store.report(name).campaign_id))


@pytest.fixture(scope="module")
def demo(prefect_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the installed program leaves, with an engine of its own."""
    root = tmp_path_factory.mktemp("demo")
    argv = [str(CRA), "demo", "--json", str(root / "figures.json"), "--dir", str(root / "work")]
    done = subprocess.run(argv, cwd=root, env=variables(root), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


def test_the_demo_gives_the_figures_it_must(demo: Path) -> None:
    figures = json.loads((demo / "figures.json").read_text())
    assert figures["instances"] == 7
    assert figures["gold"] == {"passed": 7, "failed": 0, "infrastructure": 0}
    assert figures["null"] == {"passed": 0, "failed": 7, "infrastructure": 0}
    assert figures["seconds"] > 0


def test_a_finished_campaign_is_not_run_again(demo: Path) -> None:
    database = demo / "data" / "raw.sqlite"
    before = triples(database, "demo")
    again = json.loads(
        cra(
            demo,
            "campaign",
            demo / "work/corpus/spans",
            "--planner",
            "gold",
            "--planner",
            "null",
            "--name",
            "demo",
            "--json",
        )
    )
    assert again["planners"]["gold"]["passed"] == 7
    assert triples(database, "demo") == before


def test_a_trace_leads_from_the_outcome_to_its_causes(demo: Path) -> None:
    listed = json.loads(cra(demo, "report", "demo", "--json"))["trajectories"]
    gold = next(each["id"] for each in listed if each["planner"] == "gold")
    trace = json.loads(cra(demo, "trace", gold[:12], "--json"))
    assert trace["outcome"] == "passed"
    calls = [event for event in trace["events"] if event["event"] == "call"]
    assert {call["stage"] for call in calls} == {stage.value for stage in Stage}
    scope = json.loads(cra(demo, "trace", gold[:12], "--stage", "scope", "--json"))["events"]
    asked = [event for event in scope if event["event"] == "call"]
    assert asked and [message.role for message in read_prompt(asked[0]["prompt"])] == ["system", "user"]
    assert all(event["rung"] for event in trace["events"] if event["event"] == "edit")
    (outcome,) = trace["outcomes"]
    assert outcome["alignment"] == {"files": 1.0, "symbols": 1.0, "order": 1.0}
    assert outcome["validation"]["f2p_failed"] == []
    assert "diff --git" in outcome["patch"]
    assert "asked gold" in cra(demo, "trace", gold[:12])


def test_exported_instances_are_read_again(demo: Path) -> None:
    lines = cra(demo, "export", "demo", "--format", "swebench")
    assert len(lines.splitlines()) == 7
    (demo / "instances.jsonl").write_text(lines)
    read = json.loads(cra(demo, "import", "instances.jsonl", "--json"))
    assert {each["repo"] for each in read} == {"spans"}
    assert all(each["FAIL_TO_PASS"] for each in read)


def test_whole_symbols_reproduce_the_commits_as_well(demo: Path) -> None:
    report = json.loads(
        cra(
            demo,
            "campaign",
            demo / "work/corpus/spans",
            "--planner",
            "gold",
            "--edit-format",
            "whole-symbol",
            "--name",
            "symbols",
            "--json",
        )
    )
    assert report["planners"]["gold"]["passed"] == 7


def test_preparing_again_gives_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    cra(demo, "prepare", demo / "work/spans", "--out", tmp_path / "corpus")
    first, second = (root / "corpus/spans/manifest.json" for root in (demo / "work", tmp_path))
    assert first.read_bytes() == second.read_bytes()


def test_a_killed_campaign_ends_with_the_same_triples(demo: Path, tmp_path: Path) -> None:
    shutil.copytree(demo / "cache" / "environments", tmp_path / "cache" / "environments", symlinks=True)
    package = demo / "work/corpus/spans"
    campaign = ("campaign", package, "--planner", "gold", "--planner", "null", "--name", "demo", "--json")
    for seconds in (9, 14):
        argv = [str(CRA), *map(str, campaign)]
        running = subprocess.Popen(
            argv, cwd=tmp_path, env=variables(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            running.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    cra(tmp_path, *campaign)
    assert triples(tmp_path / "data" / "raw.sqlite", "demo") == triples(demo / "data" / "raw.sqlite", "demo")


def test_a_campaign_runs_on_postgresql(demo: Path, postgres_url: str) -> None:
    report = json.loads(
        cra(
            demo,
            "campaign",
            demo / "work/corpus/spans",
            "--planner",
            "null",
            "--name",
            "pg",
            "--json",
            CRA_RAW_DATABASE=postgres_url,
        )
    )
    assert report["planners"]["null"] == report["planners"]["null"] | {"passed": 0, "failed": 7, "infrastructure": 0}
    assert len(triples(postgres_url, "pg")) == 7


def test_a_missing_wheel_is_the_environments_fault_and_mended_by_running_again(demo: Path, tmp_path: Path) -> None:
    shutil.copytree(demo / "work/corpus/spans", tmp_path / "spans")
    campaign = ("campaign", tmp_path / "spans", "--planner", "null", "--name", "wheels", "--json")
    wheels = sorted((tmp_path / "spans/packages").glob("pytest-*.whl"))
    for wheel in wheels:
        wheel.rename(tmp_path / wheel.name)
    report = json.loads(cra(tmp_path, *campaign, ends_with=1))
    assert report["planners"]["null"]["outcomes"] == {"environment-broken": 7}
    assert report["planners"]["null"]["infrastructure"] == 7
    for wheel in wheels:
        (tmp_path / wheel.name).rename(wheel)
    report = json.loads(cra(tmp_path, *campaign))
    assert report["planners"]["null"]["outcomes"] == {"empty-patch": 7}
