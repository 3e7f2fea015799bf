"""What is shown of long work: where it stands after a restart, and nothing that was done before as its rate."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from cli.progress import ProgressBars
from flows.progress import watched_by
from flows.training_context import open_training_context


@pytest.fixture
def display() -> Progress:
    return Progress(console=Console(file=io.StringIO()))


def test_work_that_goes_on_is_counted_from_where_it_was(
    display: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path))
    with watched_by(ProgressBars(display)):
        notify = open_training_context().notify
        assert [task.description for task in display.tasks] == ["starting"]
        notify("train scope", 0, None)
        [bar] = display.tasks
        assert (bar.description, bar.total, bar.completed) == ("train scope", None, 0)
        notify("train scope", 30, 70)
        [bar] = display.tasks
        assert (bar.completed, bar.total, bar.speed) == (30, 70, None)
        notify("train scope", 30, 70)
        notify("train scope", 34, 70)
        [bar] = display.tasks
        assert (bar.completed, bar.fields["note"], len(bar._progress)) == (34, "34 of 70", 1)
        notify("evaluate scope", 0, 8)
        assert [task.description for task in display.tasks] == ["train scope", "evaluate scope"]


@pytest.mark.slow
def test_the_engine_and_its_server_write_nothing_among_our_lines() -> None:
    script = """
import logging
from typer.testing import CliRunner
from cli.main import app
CliRunner().invoke(app, ["config", "show"])
from prefect.logging.configuration import setup_logging
setup_logging()
print([logging.getLogger(name).getEffectiveLevel() for name in ("prefect.flow_runs", "prefect.server.services")])
"""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    said = subprocess.run([sys.executable, "-c", script], env=plain, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[50, 50]"
