"""The code that leaves with a pack is code alone: no lists of held-out repositories, no labels, nothing untracked."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from exchange.outsource.code import ROOMS, copy_code
from host.checkout import ROOT
from host.process import run


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pack") / "code"
    copy_code(target)
    return target


def test_no_data_of_the_project_leaves(code: Path) -> None:
    files = {path.relative_to(code).as_posix() for path in code.rglob("*") if path.is_file()}
    assert {path.rpartition(".")[2] for path in files} == {"py", "jinja"}
    assert {path.rpartition("/")[0] for path in files if path.endswith(".jinja")} == {"agent/prompts"}
    assert {"exchange/outsource/work.py", "training/fit/fitting.py", "evals/study/plan.py"} <= files
    lists = [*(ROOT / "evals").rglob("*.toml"), *(ROOT / "evals").rglob("*.csv")]
    assert len(lists) >= 4
    sent = {path.read_bytes() for path in code.rglob("*") if path.is_file()}
    assert not {path.read_bytes() for path in lists} & sent


def test_no_held_out_name_leaves(code: Path) -> None:
    split = tomllib.loads((ROOT / "evals" / "study" / "split.toml").read_text())
    words = {"parse", "arrow", "dateutil"}  # also words of any program, or of a table of modules
    names = [name for name in split["held_out"] if name not in words]
    assert len(names) == len(split["held_out"]) - len(words)
    text = "\n".join(path.read_text() for path in sorted(code.rglob("*.*")) if path.is_file())
    assert [name for name in names if f'"{name}"' in text or f"'{name}'" in text] == []


def test_what_git_does_not_track_stays(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for room in ROOMS:
        (root / room).mkdir(parents=True)
        (root / room / "kept.py").write_text("")
    run(["git", "init", "--quiet"], cwd=root)
    run(["git", "add", "."], cwd=root)
    (root / "models" / "private.py").write_text("SECRET = 1")
    copy_code(tmp_path / "code", root)
    assert {path.name for path in (tmp_path / "code").rglob("*.py")} == {"kept.py"}
    shutil.rmtree(root / ".git")  # as installed
    copy_code(tmp_path / "installed", root)
    assert (tmp_path / "installed" / "models" / "kept.py").is_file()


def test_the_code_that_leaves_runs_by_itself(code: Path) -> None:
    pytest.importorskip("torch")
    modules = "exchange.outsource.work, training.fit.fitting, training.fit.returned, training.cycle.local_answers"
    argv = [sys.executable, "-c", f"import {modules}; import models; print(models.__file__)"]
    done = subprocess.run(argv, cwd=code, env={"PYTHONPATH": str(code)}, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(code)), done.stderr
