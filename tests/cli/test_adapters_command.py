"""`cra adapters`: list, show, promote, rollback, verify, as a person calls them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from models.errors import GuardrailError, UsageError
from models.training import TrainingTarget
from store.database import open_database
from tests.support.registry_material import fresh, make_base, report
from training.adapters.registry import Registry

runner = CliRunner()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    make_base(curated, tmp_path)
    registry = Registry(curated, tmp_path)
    for mark in (1.0, 2.0):
        fresh(registry, tmp_path, mark)
    return registry


def said(*words: str) -> str:
    result = runner.invoke(app, ["adapters", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_promotion_needs_a_report_or_a_reason(registry: Registry) -> None:
    with pytest.raises(GuardrailError, match="no passing report"):
        said("promote", "scope-v1")
    assert "scope-v1 serves (before: the base)" in said("promote", "scope-v1", "--override", "first of all")
    assert json.loads(said("show", "scope-v1", "--json"))["decisions"][0]["override"] == "first of all"
    assert "promote" in said("log", "--target", "scope")
    assert "scope-v2 serves" in said("promote", "scope-v2", "--override", "next")
    assert "scope: scope-v1 serves" in said("rollback", "scope", "--reason", "worse")
    assert [each["active"] for each in json.loads(said("list", "--json"))] == [True, False]
    assert json.loads(said("rollback", "scope", "--json")) == {"target": "scope", "serves": None}
    actions = [(row["action"], row["reason"]) for row in json.loads(said("log", "--json"))]
    assert actions[2:] == [("rollback", "worse"), ("rollback", "by hand")]


def test_what_changed_nothing_says_so(registry: Registry) -> None:
    assert said("log").strip() == "no decision yet"
    said("promote", "scope-v1", "--override", "first of all")
    assert "scope-v1 is already active" in said("promote", "scope-v1")
    assert len(registry.log()) == 1


def test_a_promotion_that_nobody_will_notice_says_so(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    unnoticed = "[models.endpoints.embedded]"
    promote = ["adapters", "promote", "scope-v1", "--override", "a trial"]
    assert unnoticed in " ".join(runner.invoke(app, promote).output.split())
    registry.rollback(TrainingTarget.SCOPE, "again")
    monkeypatch.setenv("CRA_MODELS__ENDPOINTS", json.dumps({"embedded": {"base": "tiny"}}))
    assert unnoticed not in runner.invoke(app, promote).output


def test_a_report_from_before_a_rollback_is_not_enough(registry: Registry) -> None:
    one = registry.show("scope-v1")
    registry.promote(one, report(one, None))
    registry.rollback(one.target, "to see")
    with pytest.raises(GuardrailError, match=r"scope-v1 was rolled back \(to see\)"):
        said("promote", "scope-v1")
    registry.promote(one, report(one, None))
    assert "accuracy 0.500 to 0.700" in json.loads(said("log", "--json"))[-1]["reason"]


def test_an_empty_reason_is_none(registry: Registry) -> None:
    with pytest.raises(UsageError, match="--override is empty"):
        said("promote", "scope-v1", "--override", " ")


def test_verification_ends_with_one_where_something_is_wrong(registry: Registry) -> None:
    assert "scope-v1 is intact" in said("verify")
    weights = registry.show("scope-v2").path / "adapter_model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    result = runner.invoke(app, ["adapters", "verify", "--all", "--json"])
    assert result.exit_code == 1
    first, second = json.loads(result.output)
    assert (first["intact"], second["intact"]) == (True, False)
    assert "scope-v2: its files in" in second["fault"]
    assert "scope-v1 is intact" in said("verify", "scope-v1")
    with pytest.raises(UsageError, match="not both"):
        said("verify", "scope-v1", "--all")


def test_there_is_no_way_to_delete() -> None:
    assert "delete" not in said("--help").replace("deleted", "")
