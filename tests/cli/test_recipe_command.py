"""`cra synthesize --recipe` as a user types it."""

import json
from pathlib import Path

import pytest

import cli.recipes
from harness.packages.sample import build_sample
from models.training import Pair, PairSource
from tests.support.commands import invoke as cra
from training.data.sources.collections import read_card, read_collection
from training.data.sources.lintseq.recipe import SourceProgram, examples_of
from training.data.sources.recipes import Made, RecipeSettings

PROGRAM = (
    '"""Greet."""\n\nimport sys\n\n\ndef greet(name):\n    return f"Hello {name}"\n\n\nprint(greet(sys.argv[1]))\n'
)


def code(folder: Path) -> Path:
    folder.mkdir()
    (folder / "greet.py").write_text(PROGRAM)
    (folder / "broken.py").write_text("def (:\n")
    return folder


def test_a_collection_is_written_and_the_same_again(tmp_path: Path) -> None:
    place = code(tmp_path / "code")
    first, second, parallel = (
        json.loads(cra("synthesize", place, "--recipe", "lintseq", "--json", *more, cwd=tmp_path).stdout)
        for more in ([], [], ["--jobs", "2"])
    )
    assert first["collection"] == second["collection"] == parallel["collection"]
    assert first["rows"] == {"offered": 2, "kept": 1}
    assert first["dropped"]["does not parse"] == 1
    rows = list(read_collection(Path(first["collection"])))
    assert len(rows) == first["examples"]
    assert all(isinstance(row, Pair) and row.source is PairSource.LINTSEQ for row in rows)
    assert read_card(Path(first["collection"])).offered == 2
    other = json.loads(cra("synthesize", place, "--recipe", "lintseq", "--seed", "1", "--json", cwd=tmp_path).stdout)
    assert other["collection"] != first["collection"]


def test_order_and_company_do_not_change_what_a_program_gives(tmp_path: Path) -> None:
    alone, together = tmp_path / "alone.py", tmp_path / "other.py"
    alone.write_text(PROGRAM)
    together.write_text("x = 1\ny = x\n")
    answers = []
    for places in ([alone], [together, alone]):
        told = json.loads(cra("synthesize", *places, "--recipe", "lintseq", "--json", cwd=tmp_path).stdout)
        rows = read_collection(Path(told["collection"]))
        answers.append([row.answer for row in rows if isinstance(row, Pair) and row.provenance.repository == "alone"])
    assert answers[0] == answers[1] != []


def test_a_repository_is_taken_apart_by_both_recipes_in_both_formats(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    for recipe in ("lintseq", "random-deletion"):
        for edit_format in ("search-replace", "whole-symbol"):
            options = ["--recipe", recipe, "--edit-format", edit_format, "--samples", "1", "--limit", "2"]
            shown = cra("synthesize", sample, *options, cwd=tmp_path)
            assert shown.returncode == 0, shown.stderr
            assert "rows offered" in shown.stdout
    assert len(list((tmp_path / "data" / "collections").iterdir())) == 4


def test_wrong_use_is_said_in_one_line(tmp_path: Path) -> None:
    place = code(tmp_path / "code")
    (place / "greet.py").unlink()
    rows = tmp_path / "evol.json"
    rows.write_text(json.dumps([{"instruction": "Greet.", "output": PROGRAM}]))
    for arguments, code_, said in (
        ([place, "--recipe", "nope"], 2, "nope"),
        ([place, "--recipe", "lintseq", "--stages", "scope"], 2, "--stages"),
        ([tmp_path / "nowhere", "--recipe", "lintseq"], 2, "nowhere"),
        ([place, "--recipe", "lintseq"], 1, "does not parse"),
        ([place, "--accept-licence"], 2, "--accept-licence"),
        ([rows, "--recipe", "lintseq"], 2, "cra datasets import"),
    ):
        done = cra("synthesize", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (code_, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not list((tmp_path / "data" / "collections").iterdir())


def test_rows_without_a_licence_are_taken_on_record(tmp_path: Path) -> None:
    rows = tmp_path / "evol.json"
    rows.write_text(json.dumps([{"instruction": "Greet.", "output": PROGRAM}]))
    done = cra("synthesize", rows, "--recipe", "lintseq", "--accept-licence", "--json", cwd=tmp_path)
    card = read_card(Path(json.loads(done.stdout)["collection"]))
    assert card.made_from["accepted_license"] == "none named"
    assert (set(card.licenses), card.contents) == ({"unknown"}, {})


def test_the_card_has_the_content_of_code_without_a_repository(tmp_path: Path) -> None:
    places = [code(tmp_path / "code"), code(tmp_path / "more")]
    (places[1] / "greet.py").write_text(
        "".join(f"def f{n}(first, second):\n    return g{n}(second)\n" for n in range(50))
    )
    done = cra("synthesize", *places, "--recipe", "lintseq", "--samples", "1", "--json", cwd=tmp_path)
    card = read_card(Path(json.loads(done.stdout)["collection"]))
    assert card.contents.keys() == {"code", "more"}
    assert card.contents["code"] != card.contents["more"]
    (tmp_path / "elsewhere").mkdir()
    places[1].rename(tmp_path / "elsewhere" / "code")
    refused = cra("synthesize", places[0], tmp_path / "elsewhere" / "code", "--recipe", "lintseq", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "code" in refused.stderr


def test_a_row_lost_to_a_bug_is_named_and_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(program: SourceProgram, settings: RecipeSettings) -> Made:
        if program.path == "broken.py":
            raise KeyError("a defect")
        return examples_of(program, settings)

    monkeypatch.setattr(cli.recipes, "examples_of", defective)
    done = cra("synthesize", code(tmp_path / "code"), "--recipe", "lintseq", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["dropped"]["bug"], told["rows"]["kept"]) == (1, 1, 1)
    assert "broken.py" in done.stderr
    assert "a defect" in done.stderr
    assert read_card(Path(told["collection"])).dropped["bug"] == 1
