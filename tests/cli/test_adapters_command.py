"""`cra adapters`: list, show, promote, rollback, verify, as a person calls them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from models.class_bias import CLASS_BIAS, ClassBias
from models.errors import GuardrailError, UsageError
from models.training import TrainingTarget
from store.database import open_database
from tests.support.registry_material import fresh, make_adapter, make_base, report
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


def test_a_class_bias_is_shown_with_where_it_is_applied(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = ClassBias(
        offsets={"irrelevant": 0.0, "relevant": 1.25}, tokens={"irrelevant": (57,), "relevant": (66,)}, decisions=120,
        macro_f1_without=0.4, macro_f1_with=0.55, macro_f1_across=0.5,
    )  # fmt: skip
    for mark, each in ((3.0, bias), (4.0, ClassBias(note="4 validation rows have decisions, and 5 are needed"))):
        stated = {CLASS_BIAS: each.model_dump(mode="json")}
        folder = make_adapter(tmp_path / f"trained-{mark}", mark)
        registry.register(folder, TrainingTarget.SCOPE, "tiny", "d" * 64, "p" * 64, stated, {"r": 4} | stated, "abc")
    monkeypatch.setenv("COLUMNS", "400")
    assert "class bias" not in said("show", "scope-v1")
    assert "none: 4 validation rows" in said("show", "scope-v4")
    shown = said("show", "scope-v3")
    assert "relevant +1.25" in shown and "0.500" in shown and "not set to serve base tiny" in shown
    for questions, applied in (({}, "as logit_bias"), ({"answers": "paths"}, "name classes in full")):
        here = {"base": "tiny", "questions": questions}
        monkeypatch.setenv("CRA_MODELS__ENDPOINTS", json.dumps({"embedded": here}))
        told = json.loads(said("show", "scope-v3", "--json"))["class_bias_applied"]
        assert applied in told
