"""`cra relevance`, and the probabilities of `cra retrieve --no-model`."""

import json
from pathlib import Path

import pytest

from tests.support.commands import invoke
from tests.support.index_material import repository
from tests.support.mining_history import Entry, write_history

ONE = "from app.two import half\n\n\ndef one(x):\n    return half(x)\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    repository(
        tmp_path / "app.git",
        {"app/one.py": ONE, "app/two.py": "def half(x):\n    return x / 2\n", "app/three.py": "THREE = 3\n"},
        {"app/one.py": ONE.replace("half(x)\n", "half(x) + 1\n")},
        {"app/three.py": "THREE = 4\n"},
        messages=("Begin the app with three files", "Let one count from one more", "Set three to four at last"),
    )
    return tmp_path / "app.git"


def test_retrieval_without_a_model_tells_probability_and_class_of_each_file(app: Path, tmp_path: Path) -> None:
    said = invoke("retrieve", "Halve in app/two.py", "--repo", app, "--no-model", "--json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    files = {each["path"]: each for each in json.loads(said.stdout)["files"]}
    assert set(files) == {"app/one.py", "app/two.py", "app/three.py"}
    assert files["app/two.py"]["class"] == "relevant"
    assert files["app/two.py"]["estimate"]["relevant"] > files["app/three.py"]["estimate"]["relevant"]
    table = invoke("retrieve", "Halve in app/two.py", "--repo", app, "--no-model", cwd=tmp_path)
    assert f"{files['app/two.py']['estimate']['relevant']:.3f}" in table.stdout


def test_figures_of_a_repository_are_the_same_when_they_are_asked_again(app: Path, tmp_path: Path) -> None:
    first, again = (invoke("relevance", "evaluate", app, "--contexts", "--json", cwd=tmp_path) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert again.stdout == first.stdout
    figures = json.loads(first.stdout)
    assert [each["questions"] for each in figures["repositories"]] == [2]
    assert figures["together"]["candidates"]["rows"] == 6
    assert figures["together"]["contexts"]["questions"] == 2
    assert figures["mean"]["ranking @5"] == 1.0


def test_a_classifier_is_shown_with_the_repositories_it_learned_from(tmp_path: Path) -> None:
    said = invoke("relevance", "show", "--json", cwd=tmp_path)
    shown = json.loads(said.stdout)
    assert "attrs" in shown["trained_on"]
    assert invoke("relevance", "show", cwd=tmp_path).stdout.count(shown["content"][:40]) == 1


def test_a_bad_classifier_is_refused_in_one_line_wherever_it_is_used(app: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"format": "relevance-0"}')
    shown = invoke("relevance", "show", bad, cwd=tmp_path)
    used = invoke("retrieve", "x", "--repo", app, "--no-model", cwd=tmp_path, CRA_RELEVANCE_FILE=str(bad))
    for said in (shown, used):
        assert said.returncode == 2
        assert len(said.stderr.strip().splitlines()) == 1
        assert "relevance-0" in said.stderr


def test_what_cannot_be_fitted_or_measured_is_refused(app: Path, tmp_path: Path) -> None:
    few = invoke("relevance", "fit", app, cwd=tmp_path)
    twice = invoke("relevance", "fit", app, "--validation", app, cwd=tmp_path)
    repository(tmp_path / "single.git", {"a.py": "A = 1\n"}, messages=("Begin with a single file",))
    none = invoke("relevance", "evaluate", tmp_path / "single.git", cwd=tmp_path)
    for said, word in ((few, "too few"), (twice, "named twice"), (none, "more history")):
        assert said.returncode == 2
        assert word in said.stderr
    assert not (tmp_path / "relevance.json").exists()


def test_one_repository_gets_a_classifier_of_its_own_only_if_that_helps(app: Path, tmp_path: Path) -> None:
    parts = {f"src/app/part{n}.py": f"def part{n}():\n    return {n}\n" for n in range(5)}
    entries = [Entry("Begin the app", parts)]
    for number in range(56):
        path = f"src/app/part{number % 5}.py"
        text = f"def part{number % 5}():\n    return {number + 10}\n"
        entries.append(Entry(f"Return another number from part{number % 5}", {path: text}))
    write_history(tmp_path / "long.git", entries)
    said = invoke("relevance", "fit", tmp_path / "long.git", "--out", "own.json", "--json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert (
        found["chosen"] is (tmp_path / "own.json").exists() is (found["after"] > found["before"] and found["p"] <= 0.05)
    )
    assert 30 <= found["judged"] <= 36 and "long" in found["trained_on"] and "attrs" in found["trained_on"]
    held = invoke("relevance", "fit", tmp_path / "long.git", "--validation", app, cwd=tmp_path)
    assert held.returncode == 2 and "--validation" in held.stderr
