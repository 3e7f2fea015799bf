"""The locks of the project and of its environments: they hold what their projects ask for, and extras stay apart."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from host.checkout import ROOT, locked_versions
from llm.serving.environments import NAMES, environments
from training.fit.installed import EXTRAS, NEEDED

PLACES = [ROOT, *(each.folder for each in environments())]


def exported(*extras: str) -> set[str]:
    """The packages, with versions, that these extras of the project's lock install."""
    options = [part for extra in extras for part in ("--extra", extra)]
    done = subprocess.run(
        ["uv", "export", "--frozen", "--offline", "--quiet", "--no-dev", "--no-emit-project", "--no-hashes",
         "--no-header", "--no-annotate", *options],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line.partition(" ")[0] for line in done.stdout.splitlines()}


def test_each_environment_has_a_lock_with_one_version_of_vllm() -> None:
    assert [each.name for each in environments()] == list(NAMES)
    for each in environments():
        asked = tomllib.loads((each.folder / "pyproject.toml").read_text())["project"]["dependencies"]
        assert [requirement.partition(">=")[0] for requirement in asked] == [each.name]
        assert each.locked() in locked_versions(each.folder)[each.name]


@pytest.mark.index
@pytest.mark.parametrize("folder", PLACES, ids=lambda folder: folder.name)
def test_a_lock_is_that_of_its_project(folder: Path) -> None:
    done = subprocess.run(
        ["uv", "lock", "--check", "--project", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", list(NEEDED))
def test_the_extras_of_a_back_end_hold_all_that_it_needs(backend: str) -> None:
    names = {line.partition("==")[0] for line in exported(*EXTRAS[backend])}  # type: ignore[index]
    assert set(NEEDED[backend]) <= names  # type: ignore[index]


def test_unsloth_changes_nothing_for_those_who_do_not_ask_for_it() -> None:
    plain, trained, unsloth = exported(), exported("train"), exported("unsloth")
    assert not any(line.startswith("unsloth") for line in plain | trained)
    assert plain <= trained
    assert {line for line in trained if line.startswith("trl==")} != {
        line for line in unsloth if line.startswith("trl==")
    }
    refused = subprocess.run(
        ["uv", "export", "--frozen", "--offline", "--quiet", "--extra", "train", "--extra", "unsloth"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert refused.returncode != 0
