"""The table of contexts at other thresholds: its rows, its figures, and which repositories it refuses."""

import sys
import tomllib
from pathlib import Path

import pytest

from agent.retrieve.thresholds import IN_USE
from benchmarks.context_thresholds import asked, main, varied
from evals.study import plan
from evals.study.questions import root_commits
from repos.git import Git
from tests.support.index_material import repository

BODY = "".join(f"    step_{line} = x + {line}\n" for line in range(200))
ONE = f"def one(x):\n{BODY}    return x\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thresholds") / "app.git"
    files = {"app/one.py": ONE, "app/two.py": "def half(x):\n    return x / 2\n"}
    messages = ("Begin the app with two files", "Let one return one more")
    repository(folder, files, {"app/one.py": ONE.replace("return x", "return x + 1")}, messages=messages)
    return folder


def test_every_combination_of_the_values_is_a_row() -> None:
    found = varied(["relevant=0.1,0.2", "heads=1,3"])
    assert [(each.relevant, each.heads) for each in found] == [(0.1, 1), (0.1, 3), (0.2, 1), (0.2, 3)]
    assert {each.whole for each in found} == {IN_USE.whole}
    with pytest.raises(SystemExit, match="no threshold"):
        varied(["height=1"])


def test_a_context_that_asks_more_of_symbols_shows_fewer_of_them(source: Path) -> None:
    ((generous, strict),) = asked(str(source), 5, varied(["primary=0.0001,0.9999", "whole=0.9999"]))
    assert generous.holds_all
    assert strict.holds_all
    assert (generous.symbols, strict.symbols) == (1.0, 0.0)
    assert strict.tokens < generous.tokens


def test_a_repository_that_is_held_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["context_thresholds.py", "/clones/marko.git"])
    with pytest.raises(SystemExit, match="marko is held out"):
        main()


def test_a_renamed_clone_of_a_repository_that_is_held_out_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [root] = root_commits(Git(source))
    roots = tmp_path / "roots.toml"
    roots.write_text(f'[roots]\nmarko = ["{root}"]\n')
    monkeypatch.setattr(plan, "HELD_OUT_ROOTS", roots)
    with pytest.raises(SystemExit, match="marko is held out"):
        next(asked(str(source), 5, varied([])))


def test_the_first_commits_of_every_repository_that_is_held_out_are_known() -> None:
    roots = tomllib.loads(plan.HELD_OUT_ROOTS.read_text())["roots"]
    assert sorted(roots) == sorted(plan.default_split().held_out)
    assert all(len(each) == 40 for commits in roots.values() for each in commits)
    assert all(roots.values())
