"""`cra curate-data` and `cra train-plan` as a user types them."""

import json
from pathlib import Path

import pytest

from tests.support.commands import Result, invoke
from tests.support.pairs_material import Repository, World, gold_runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(tmp_path_factory.mktemp("curating"))
    gold_runs(world, Repository("one"), Repository("two"), campaign="first")
    return world.folder


def cra(folder: Path, *arguments: str) -> Result:
    return invoke(*arguments, cwd=folder, CRA_DATA_DIR=str(folder))


def test_a_rule_that_is_broken_ends_in_one_line_and_its_remedy_works(folder: Path) -> None:
    refused = cra(folder, "curate-data", "--stage", "scope")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: organisations: ")
    assert refused.stderr.count("\n") == 1
    assert not (folder / "datasets").exists()
    made = cra(folder, "curate-data", "--stage", "scope", "--min-organisations", "2", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert Path(told["directory"]).is_dir()
    assert told["card"]["examples"]["sft"] == 8
    assert told["card"]["config"]["overrides"] == {"min_organisations": 2}


def test_a_dry_run_shows_the_funnel_and_what_would_be_refused(folder: Path) -> None:
    shown = cra(folder, "curate-data", "--stage", "precision", "--dry-run", "--campaign", "first", "--limit", "3")
    assert shown.returncode == 0, shown.stderr
    assert "over the limit of 3" in shown.stdout
    assert "this would be refused: organisations" in shown.stdout
    assert "nothing was written" in shown.stdout
    assert not list(folder.glob("datasets/precision-*"))


def test_a_plan_is_printed_with_the_id_that_curation_takes(folder: Path) -> None:
    shown = cra(folder, "train-plan")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(cra(folder, "train-plan", "--json").stdout)
    assert told["id"] in shown.stdout
    assert told["needs"][0]["target"] == "code"
    made = cra(folder, "curate-data", "--stage", "code", "--plan", told["id"][:12], "--dry-run", "--json")
    assert json.loads(made.stdout)["card"]["config"]["plan"] == told["id"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stage", "scoop"), "'scoop' is not one of"),
        (("--stage", "scope", "--campaign", "none"), "no campaign 'none' was run; known: first"),
        (("--stage", "scope", "--plan", "ffff"), "no plan 'ffff'"),
        (("--stage", "scope", "--base", "gone"), "no base 'gone'"),
        (("--stage", "scope", "--max-prompt-tokens", "1"), "prompt over 1 tokens (the shortest has "),
    ],
)
def test_a_mistake_is_named(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    failed = cra(folder, "curate-data", *arguments)
    assert failed.returncode != 0
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
