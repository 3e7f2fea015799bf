"""`cra study scope` on small histories, from its clones to its files."""

import json
from pathlib import Path

from tests.support.commands import invoke
from tests.support.mining_history import Entry, write_history


def clones(folder: Path) -> Path:
    """Three repositories of two commits that can be asked about."""
    for name in ("ant", "dog", "elk"):
        files = {f"src/{name}/part{n}.py": f"def part{n}():\n    return {n}\n" for n in range(4)}
        entries = [Entry(f"Begin {name}", files)]
        for n in range(2):
            changed = {f"src/{name}/part{n}.py": f"def part{n}():\n    return {n + 10}\n"}
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
