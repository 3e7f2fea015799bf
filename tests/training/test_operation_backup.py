"""Backups that are made while the operation runs: restored, it goes on where it was and comes to the same end."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from cli.main import app
from tests.support.tiny import make_tiny_base

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TURNS = 2
OPERATES = """
import json, sys
from pathlib import Path
from tests.support.operation_kills import outcome, run_to_end
from tests.support.operation_material import Simulation

simulation = Simulation(Path(sys.argv[1]))
simulation.prepare(Path(sys.argv[2]))
run_to_end(simulation, int(sys.argv[3]))
print(json.dumps(outcome(simulation)))
"""


def test_a_backup_made_while_it_operates_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, base = tmp_path / "operation", make_tiny_base(tmp_path / "tiny")
    monkeypatch.setenv("CRA_DATA_DIR", str(root / "data"))
    monkeypatch.setenv("CRA_CACHE_DIR", str(root / "data" / "cache"))
    operates = [sys.executable, "-c", OPERATES, str(root), str(base), str(TURNS)]
    backups, corpus = list[Path](), list[set[str]]()
    with (tmp_path / "first").open("w+") as printed:
        with subprocess.Popen(operates, cwd=ROOT, stdout=printed) as child:
            while child.poll() is None:  # as often as it goes, whatever is being done
                place = tmp_path / f"backup-{len(backups)}"
                corpus.append({each.name for each in (root / "data" / "corpus").glob("*")})
                made = CliRunner().invoke(app, ["backup", str(place), "--json"])
                assert made.exit_code == 0, made.output
                backups.append(place)
        assert child.returncode == 0
        printed.seek(0)
        end = json.loads(printed.read().splitlines()[-1])
    assert len(end["rounds"]) == TURNS
    begun = [number for number, each in enumerate(backups) if (each / "operation-log.jsonl").exists()]
    assert begun
    for number in {begun[len(begun) // 3], begun[2 * len(begun) // 3]}:
        restore(backups[number], root / "data")
        for package in (root / "data" / "corpus").glob("*"):
            if package.name not in corpus[number]:
                shutil.rmtree(package)
        again = subprocess.run(operates, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        assert json.loads(again.stdout.splitlines()[-1]) == end


def restore(backup: Path, data: Path) -> None:
    """Put the copies in their places, as the list says."""
    for copy in json.loads((backup / "backup.json").read_text())["copies"]:
        place = data / ("operation/log.jsonl" if copy["of"] == "operation" else copy["file"])
        assert str(place) in copy["restore"]
        for beside in ("-wal", "-shm"):
            place.with_name(place.name + beside).unlink(missing_ok=True)
        shutil.copyfile(backup / copy["file"], place)
