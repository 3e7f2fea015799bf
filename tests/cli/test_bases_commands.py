"""`cra bases`: which base each role uses, by whom, and what that ended, as people and programs read it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.base_tables import show_report
from cli.bases import app
from evals.base_gate import forgotten
from evals.base_report import base_markdown, forgetting_rows, loss_rows
from models.base_evaluation import BaseReport, Forgetting, ForgettingBounds, ObjectiveTest
from models.errors import GuardrailError, RegistryError, UsageError
from models.evaluation import GateVerdict, Subject
from models.objectives import Objective
from models.training import TrainingTarget
from store.database import open_database
from tests.support.registry_material import fresh, make_base, report
from training.adapters.registry import Registry


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A base with an adapter that serves, and another base; the commands' data directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    made = Registry(curated, tmp_path)
    for name in ("tiny", "larger"):
        make_base(curated, tmp_path, name)
    adapter = fresh(made, tmp_path, 1.0)
    made.promote(adapter, report(adapter, None))
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_an_adoption_names_what_it_ends_and_a_rollback_what_it_brings_back(registry: Registry) -> None:
    adopted = json.loads(run("adopt", "larger", "--role", "reasoning", "--reason", "bigger", "--json").stdout)
    [change] = adopted
    assert (change["before"], change["now"], change["stopped"]) == (None, "larger", ["scope-v1"])
    [invalid] = change["invalid"]
    assert (invalid["adapter"], invalid["was_active"], invalid["hours"]) == ("scope-v1", True, None)
    run("adopt", "tiny", "--role", "reasoning", "--reason", "smaller")
    registry.promote("scope-v1", override="it still fits")
    [back] = json.loads(run("rollback", "reasoning", "--reason", "worse", "--json").stdout)
    assert (back["before"], back["now"], back["stopped"]) == ("tiny", "larger", ["scope-v1"])
    log = json.loads(run("log", "--role", "reasoning", "--json").stdout)
    assert [row["action"] for row in log] == ["adopt", "adopt", "rollback"]
    assert registry.active(TrainingTarget.SCOPE) is None
    shown = json.loads(run("show", "reasoning", "--json").stdout)
    assert (shown["name"], shown["lineage"], len(shown["decisions"])) == ("larger", None, 3)


def test_tables_are_printed_for_people(registry: Registry) -> None:
    said = run("adopt", "larger", "--reason", "bigger").stdout
    assert "reasoning uses larger" in said and "coding uses larger" in said and "scope-v1 stopped serving" in said
    assert run("adopt", "larger", "--reason", "again").stdout.strip() == "it is in use already"
    assert "bigger" in run("log").stdout and "larger" in run("show", "larger").stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["promote", "larger"], UsageError),
        (["promote", "nothing"], RegistryError),
        (["rollback", "coding", "--reason", "so"], RegistryError),
        (["adopt", "larger", "--reason", ""], UsageError),
        (["tune", "reasoning", "--base", "tiny"], UsageError),
        (["show", "coding"], RegistryError),
    ],
)
def test_what_cannot_be_done_is_refused(registry: Registry, words: list[str], error: type[Exception]) -> None:
    refused = run(*words)
    assert isinstance(refused.exception, error) and not isinstance(refused.exception, GuardrailError)
    assert "\n" not in str(refused.exception)


def test_a_report_shows_what_decided(capsys: pytest.CaptureFixture[str]) -> None:
    subjects = [Subject(name=name, base=name) for name in ("old", "reasoning-base-v1")]
    test = ObjectiveTest(
        objective=Objective.PLANNING, champion=2.0, challenger=1.5, difference=-0.5, low=-0.6, high=-0.4,
        p_repository=0.0078, p_adjusted=0.0156, rows=16, repositories=8,
    )  # fmt: skip
    bounds = ForgettingBounds(rise=0.2, agreement=0.7)
    forgetting = Forgetting(kind="own-code", prompts=16, tokens=900, before=0.4, after=0.7, agreement=0.9)
    made = BaseReport(
        role="reasoning",
        champion=subjects[0],
        challenger=subjects[1],
        verdict=GateVerdict.REJECT,
        reason="forgetting: " + forgotten(forgetting, bounds),
        objectives=(test,),
        forgetting=(forgetting,),
        bounds=bounds,
        notes=("code was not measured",),
    )
    show_report(made)
    printed, markdown = capsys.readouterr().out, base_markdown(made)
    for text in (printed, markdown):
        assert "reject: forgetting: loss on own-code 0.400 to 0.700" in text and "code was not measured" in text
    assert "| planning | 2.000 | 1.500 | -0.500 | -0.600 to -0.400 | 0.0156 | 8 repositories, 16 rows |" in markdown
    assert loss_rows(made)[0][0] == "planning" and forgetting_rows(made)[0][-1] == "no"
