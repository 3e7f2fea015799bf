"""`cra bundle` as a person calls it."""

import json
from pathlib import Path

import pytest

from cli.bundle import parse_size, shown_size
from models.errors import UsageError
from store.database import open_database
from tests.support.commands import invoke


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 << 30), ("700MB", 700_000_000), ("1.5 KiB", 1536), ("12", 12), ("12B", 12), ("2TB", 2 * 10**12)],
)
def test_sizes_are_read_in_binary_and_decimal_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "4 G", "4iB", "1e9", "4gib"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--parts"):
        parse_size(text)


def test_sizes_are_shown_in_binary_units() -> None:
    assert [shown_size(n) for n in (0, 1023, 1536, 5 << 30)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]


def test_a_plan_of_this_checkout_counts_its_code_and_wheels(tmp_path: Path) -> None:
    done = invoke("bundle", "plan", "--extra", "none", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    lines = {line["category"]: line for line in plan["lines"]}
    assert lines["code"]["files"] > 500
    assert lines["wheel"]["bytes"] > 10 << 20
    assert plan["parts"] == 1
    assert plan["bytes"] == sum(line["bytes"] for line in plan["lines"])
    shown = invoke("bundle", "plan", "--extra", "none", "--parts", "50MiB", cwd=tmp_path)
    assert "wheel" in shown.stdout
    assert "missing" in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_plan_lists_the_examples_that_the_corpus_still_lacks(tmp_path: Path) -> None:
    (tmp_path / "cra.toml").write_text("[distillation]\nscope = {least = 12, target = 20}\ncode = {least = 0}\n")
    for kind in ("raw", "curated"):
        open_database(tmp_path / "data" / f"{kind}.sqlite", kind).dispose()  # type: ignore[arg-type]
    done = invoke("bundle", "plan", "--extra", "none", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lacks = json.loads(done.stdout)["examples"]
    assert lacks["scope"] == 12
    assert "code" not in lacks
    shown = invoke("bundle", "plan", "--extra", "none", cwd=tmp_path)
    assert any({"scope", "12"} <= set(line.split()) for line in shown.stdout.splitlines())


def test_a_folder_that_is_no_bundle_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "absent"):
        done = invoke("bundle", "verify", tmp_path / folder, cwd=tmp_path)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
