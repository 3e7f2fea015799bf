"""Rounds of the operation with real parts, and one that is killed in each of its phases and comes to the same end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("xllamacpp")

from harness.packages.package import RepoPackage, read_package
from runtime.trees import Runtime
from tests.support.real_operation import PHASES
from tests.support.sample import write_sample_package
from tests.support.shared import made_once, shared_root
from tests.training.test_export_llama import make_base

pytestmark = [pytest.mark.index, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reserved(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> RepoPackage:
    """The package of the other sample repository."""
    folder = shared_root(tmp_path_factory) / "other-sample"
    made_once(folder, lambda folder: write_sample_package(runtime, folder, other=True))
    return read_package(folder / "corpus" / "words")


def operate(
    folder: Path, learn: RepoPackage, reserved: RepoPackage, runtime: Runtime, rounds: int, *kills: str
) -> dict[str, Any]:
    """What so many rounds came to, with a SIGKILL in each phase that is named."""
    base = make_base(folder.parent / "base", "llama")
    places = [folder, learn.directory, reserved.directory, runtime.environments.root, base]
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.real_operation", *map(str, places), str(rounds), *kills],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_real_rounds_end_with_verdicts_and_kills_change_nothing(
    sample: RepoPackage, reserved: RepoPackage, runtime: Runtime, tmp_path: Path
) -> None:
    calm = operate(tmp_path / "calm", sample, reserved, runtime, 2)
    assert calm["lineage"] == []
    assert [number for number, finished, _ in calm["rounds"] if finished] == [1, 2]
    assert [[line[1] for line in lines] for _, _, lines in calm["rounds"]] == [["scope-v1"], ["scope-v2"]]
    assert [stage for turn, stage in calm["stages"] if turn == 1] == [
        "begin", "retention", "round", "measure", "upkeep", "end",
    ]  # fmt: skip
    [first, second] = calm["measures"]
    assert all(item.startswith("words@") for item in first[0]) and first[0] == second[0]
    disturbed = operate(tmp_path / "disturbed", sample, reserved, runtime, 1, *PHASES)
    for name in ("rounds", "measures", "standings"):
        assert disturbed[name] == calm[name][:1], name
    assert disturbed["stages"] == [each for each in calm["stages"] if each[0] == 1]
    assert disturbed["decisions"] == [each for each in calm["decisions"] if each[1] == "scope-v1"]
    assert disturbed["lineage"] == []
