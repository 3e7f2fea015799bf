"""`cra study scope` and `precision` on small histories, from their clones to their files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from models.errors import UsageError
from store.database import open_database
from tests.support.commands import invoke
from tests.support.evaluation_runs import train_on
from tests.support.mining_history import Entry, write_history
from tests.support.registry_material import fresh, make_base
from training.adapters.registry import Registry


def module(n: int, value: int) -> str:
    """Two functions and a constant."""
    return f"LIMIT{n} = 1\n\n\ndef begin{n}():\n    return None\n\n\ndef part{n}():\n    return {value}\n"


def clones(folder: Path) -> Path:
    """Three repositories of two commits that can be asked about, of modules with three symbols each."""
    for name in ("ant", "dog", "elk"):
        files = {f"src/{name}/part{n}.py": module(n, n) for n in range(4)}
        entries = [Entry(f"Begin {name}", files)]
        for n in range(2):
            changed = {f"src/{name}/part{n}.py": module(n, n + 10)}
            entries.append(Entry(f"Return another number from part{n} of {name}", changed))
        write_history(folder / f"{name}.git", entries)
    return folder


def test_a_finished_study_is_kept_from_a_run_with_other_options(tmp_path: Path) -> None:
    parts = ("--clones", clones(tmp_path), "--repositories", "ant", "--validation", "dog", "--held-out", "elk")
    command = ("study", "scope", "--out", tmp_path / "out", *parts, "--json")
    first = invoke(*command, "--rows", "4", "--seeds", "0", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    kept = {name: (tmp_path / "out" / name).read_bytes() for name in ("study.json", "study.html")}
    other = invoke(*command, "--rows", "4", "--seeds", "1", cwd=tmp_path)
    assert other.returncode != 0
    assert len(other.stderr.strip().splitlines()) == 1
    assert "seeds was 0, is 1" in other.stderr
    assert {name: (tmp_path / "out" / name).read_bytes() for name in kept} == kept
    again = invoke(*command, "--rows", "4", "--seeds", "0", cwd=tmp_path)
    assert json.loads(again.stdout) == json.loads(first.stdout)


def test_symbols_are_studied_by_the_same_options_in_a_folder_of_their_own(tmp_path: Path) -> None:
    parts = ("--clones", clones(tmp_path), "--repositories", "ant", "--validation", "dog", "--held-out", "elk")
    command = ("--out", tmp_path / "out", *parts, "--rows", "4", "--seeds", "0", "--json")
    first = invoke("study", "precision", *command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert report["configuration"]["kind"] == "precision"
    assert report["configuration"]["settings"]["negatives"] == 0.125
    assert [(each["questions"], each["judgements"], each["relevant"]) for each in report["repositories"]] == [
        (2, 6, 2),
        (2, 6, 2),
        (2, 6, 2),
    ]
    kept = (tmp_path / "out" / "study.json").read_bytes()
    other = invoke("study", "scope", *command, cwd=tmp_path)
    assert other.returncode != 0
    assert len(other.stderr.strip().splitlines()) == 1
    assert "was precision, is scope" in other.stderr
    assert (tmp_path / "out" / "study.json").read_bytes() == kept


def test_an_adapter_that_learned_from_what_is_held_out_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(data))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    curated = open_database(data / "curated.sqlite", "curated")
    make_base(curated, data)
    fresh(Registry(curated, data), tmp_path, 1.0)
    parts = ("--clones", clones(tmp_path), "--repositories", "ant", "--validation", "dog", "--held-out", "elk")
    command = ("study", "scope", "--out", tmp_path / "out", *parts, "--adapter", "scope-v1")

    def refusal() -> str:
        raised = CliRunner().invoke(app, [str(each) for each in command]).exception
        assert isinstance(raised, UsageError)
        return str(raised)

    assert "not known what scope-v1 learned from" in refusal()
    train_on(open_database(data / "raw.sqlite", "raw"), "Owner/Elk")
    assert "scope-v1 learned from elk" in refusal()
    assert not (tmp_path / "out").exists()
