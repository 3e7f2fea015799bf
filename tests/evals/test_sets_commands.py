"""`cra eval-sets` and `cra evaluate`, as a user types them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from models.errors import EvaluationError, GuardrailError, RegistryError, UsageError
from store.database import open_database
from store.runs import RawStore
from tests.support.evaluation_runs import run, train_on

BUILD = ("eval-sets", "build", "--target", "scope", "--repository", "one")


@pytest.fixture
def data(short_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with a gold run on two repositories."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    store = RawStore(open_database(tmp_path / "data" / "raw.sqlite", "raw"))
    run(store, "one", 3)
    run(store, "two", 2)
    return tmp_path / "data"


def cra(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_a_set_is_shown_before_it_is_frozen_and_listed_afterwards(data: Path) -> None:
    shown = json.loads(cra(*BUILD, "--dry-run", "--json"))
    assert (shown["items"], shown["repositories"], shown["frozen"]) == (3, {"one": 3}, False)
    assert json.loads(cra("eval-sets", "list", "--json")) == {"sets": [], "reserved": {}}
    said = cra(*BUILD)
    assert "3 items, frozen" in said
    assert "fewer than 6 items: no difference can be seen, and no adapter promoted" in said
    assert "scope" in cra(*BUILD) and "was frozen before" in cra(*BUILD)
    listed = json.loads(cra("eval-sets", "list", "--json"))
    assert [each["id"] for each in listed["sets"]] == [shown["id"]]
    assert listed["reserved"] == {"one": "evaluation of scope"}
    assert "one: was reserved before" in cra("eval-sets", "reserve", "one", "two", "--reason", "whole runs")
    assert "whole runs" in cra("eval-sets", "list")
    with pytest.raises(UsageError, match=r"no campaign has run on three, .* known: one, two\. Add --unseen"):
        cra("eval-sets", "reserve", "two", "three", "--reason", "whole runs")
    assert "three: reserved" in cra("eval-sets", "reserve", "three", "--unseen", "--reason", "whole runs")
    with pytest.raises(UsageError, match="--reason is empty"):
        cra("eval-sets", "reserve", "one", "--reason", " ")


def test_an_unknown_repository_is_answered_with_those_that_are_known(data: Path) -> None:
    with pytest.raises(UsageError, match="no campaign has run on nope; known: one, two"):
        cra("eval-sets", "build", "--target", "scope", "--repository", "nope")


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_dry_run_is_refused_what_the_real_one_is(data: Path, more: tuple[str, ...]) -> None:
    train_on(open_database(data / "raw.sqlite", "raw"), "one")
    with pytest.raises(GuardrailError, match="repository 'one' was trained on"):
        cra(*BUILD, *more)


def test_datasets_that_a_set_makes_useless_are_named(data: Path) -> None:
    train_on(open_database(data / "raw.sqlite", "raw"), "one", planned=False)
    said = cra(*BUILD)
    assert "dataset dddddddddddd has examples of these repositories and will be refused; make another: " in said


@pytest.mark.slow
def test_what_cannot_be_evaluated_is_said_in_a_line(data: Path) -> None:
    with pytest.raises(EvaluationError, match="no evaluation set of scope is frozen"):
        cra("evaluate", "scope", "--adapter", "base")
    cra(*BUILD)
    with pytest.raises(UsageError, match="name it with --base"):
        cra("evaluate", "scope", "--adapter", "base")
    with pytest.raises(RegistryError, match="no adapter 'scope-v1'"):  # nor anything to compare it with
        cra("evaluate", "scope", "--adapter", "scope-v1")


@pytest.mark.slow
def test_a_base_is_evaluated_once_and_found_the_second_time(prefect_engine: None, data: Path, tmp_path: Path) -> None:
    from tests.support.tiny import make_tiny_base

    cra("bases", "add", str(make_tiny_base(tmp_path / "tiny")), "--name", "tiny")
    cra(*BUILD, "--base", "tiny")
    asked = ("evaluate", "scope", "--adapter", "base", "--against", "base", "--base", "tiny")
    first = json.loads(cra(*asked, "--json"))
    assert first["report"]["verdict"] == "inconclusive"
    assert {test["metric"] for test in first["report"]["tests"]} >= {"accuracy", "relevant_recall", "macro_f1"}
    assert (first["settings"]["constrained"], first["classes"]["tiny"]["relevant"]["expected"]) == (0, 3)
    [journal] = (data / "evaluations").glob("*.jsonl")
    journal.unlink()
    said = cra(*asked)
    assert "inconclusive" in said
    assert "measured without the JSON schemas" in said
    assert not journal.exists()
