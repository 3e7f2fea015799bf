"""A suite that leaves something behind, a tree that is hard to delete or a waiting thread, still has its verdict."""

import subprocess
import sys
from pathlib import Path

import pytest

from host.throwaway import discard
from models.limits import Limits
from models.suite import CaseStatus, SuiteEnd
from repos.git import Git
from runtime.sandbox import Mount, open_sandbox
from runtime.testing import Selection, SuiteSetup
from runtime.testing.pytest_runner import run_suite
from runtime.trees import checked_out, project_in

pytestmark = pytest.mark.slow

VENV, BASE = Path(sys.prefix), Path(sys.base_prefix)
SETUP = SuiteSetup(
    python=VENV / "bin" / "python", mounts=(Mount(VENV, VENV), Mount(BASE, BASE)), import_roots=("src", "")
)
NEST = """
import os
def nest(place, name):
    here = os.getcwd()
    os.chdir(place)
    for _ in range(3000):
        os.mkdir(name)
        os.chdir(name)
    os.chdir(here)
"""
LEFTOVERS = {
    "nested": "nest('.', 'd')",
    "nested under long names": "nest('.', 'd' * 255)",
    "nested among the results": "nest('/cra/suite/results', 'd')",
    "without rights": "os.makedirs('a/b'); os.chmod('a/b', 0); os.chmod('a', 0); os.chmod('.', 0)",
    "many": "[os.mkdir(f'{n:0255d}') for n in range(5000)]",
}


@pytest.fixture
def git(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    (root / "lib.py").write_text("VALUE = 1\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return Git(root / ".git")


@pytest.mark.parametrize("leave", LEFTOVERS.values(), ids=LEFTOVERS.keys())
def test_each_run_over_it_has_an_end_and_it_is_out_of_the_way_at_once(git, tmp_path, leave):
    scratch = tmp_path / "scratch"
    test = f"{NEST}\ndef test_it():\n    try:\n        {leave}\n    except OSError: pass\n"
    with checked_out(git, git.resolve("HEAD"), scratch) as tree:
        (tree / "test_it.py").write_text(test)
        for _ in range(2):
            limits = Limits(wall_seconds=60)
            report = run_suite(open_sandbox("bubblewrap"), tree, SETUP, Selection(), limits)
            assert report.end in (SuiteEnd.COMPLETED, SuiteEnd.CRASHED, SuiteEnd.TIMEOUT), report.output
            project_in(tree)
    assert [path.name for path in scratch.iterdir() if not path.name.startswith(".cra-trash-")] == []
    discard(scratch)


def test_a_thread_that_waits_for_ever_takes_nothing_from_the_results(git, tmp_path):
    test = """
import os, threading
def test_it():
    os.mkfifo("pipe")
    threading.Thread(target=lambda: open("pipe", "w")).start()
    assert 1 == 2
def test_that():
    print("fine")
"""
    with checked_out(git, git.resolve("HEAD"), tmp_path / "scratch") as tree:
        (tree / "test_it.py").write_text(test)
        report = run_suite(open_sandbox("bubblewrap"), tree, SETUP, Selection(), Limits(wall_seconds=300))
    assert report.end is SuiteEnd.COMPLETED
    assert report.passed == {"test_it.py::test_that"}
    assert report.ids(CaseStatus.FAILED) == {"test_it.py::test_it"}
