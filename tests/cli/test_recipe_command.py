"""`cra synthesize --recipe` as a user types it."""

import json
from pathlib import Path

from harness.packages.sample import build_sample
from models.training import Pair, PairSource
from tests.support.commands import invoke as cra
from training.data.sources.collections import read_card, read_collection

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
    for arguments, code_, said in (
        ([place, "--recipe", "nope"], 2, "nope"),
        ([place, "--recipe", "lintseq", "--stages", "scope"], 2, "--stages"),
        ([tmp_path / "nowhere", "--recipe", "lintseq"], 2, "nowhere"),
        ([place, "--recipe", "lintseq"], 1, "does not parse"),
    ):
        done = cra("synthesize", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (code_, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not list((tmp_path / "data" / "collections").iterdir())
