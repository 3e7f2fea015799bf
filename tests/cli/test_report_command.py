"""`cra report` in a terminal: what was replayed, why trajectories have no verdict, and rows that are not cut."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.outcomes import OutcomeKind
from store.database import open_database
from store.runs import RawStore
from tests.support.commands import invoke
from tests.support.report_material import FAULT, make_campaign


@pytest.fixture
def run(tmp_path: Path) -> Path:
    make_campaign(RawStore(open_database(tmp_path / "data" / "raw.sqlite", "raw")))
    return tmp_path


def test_replays_and_reasons_are_shown_and_are_in_json(run: Path) -> None:
    known = json.loads(invoke("report", "arms", "--json", cwd=run).stdout)
    shown = invoke("report", "arms", cwd=run).stdout
    assert f"{known['replayed']} answers were replayed" in shown
    [fault] = known["faults"]
    assert (fault["kind"], fault["trajectories"], fault["planners"]) == ("provider-error", 2, ["no-plan"])
    assert any(" 2 " in line and "provider-error" in line and fault["reason"] in line for line in shown.splitlines())
    assert {each["planner"] for each in known["funnel"]["planners"]} == {"no-plan", "student", "teacher"}
    assert all(each["median"] <= each["p90"] <= each["slowest"] for each in known["latencies"])


@pytest.mark.slow
def test_a_piped_report_shows_whole_messages_in_one_line(run: Path) -> None:
    store = RawStore(open_database(run / "data" / "raw.sqlite", "raw"))
    [waiting] = [line.id for line in store.trajectories("arms", 100) if line.detail == FAULT.format(4)]
    long = " ".join(f"word{number}" for number in range(100))
    store.close_trajectory(waiting, store.begin_attempt(waiting) or 0, OutcomeKind.TESTS_FAILED, detail=long)
    command = [str(Path(sys.executable).parent / "cra"), "report", "arms", "--limit", "100"]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"CRA_DATA_DIR": str(run / "data"), "CRA_CACHE_DIR": str(run / "cache")}
    done = subprocess.run(command, cwd=run, env=environment, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if waiting[:12] in line and long in line]
