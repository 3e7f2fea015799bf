"""A rehearsal in a real process that is killed, or whose disk is full; and a machine that cannot isolate."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.doctor import sandbox_findings
from cli.rehearse import machine_evidence
from models.errors import UsageError
from models.rehearsal import Finding, RehearsalOrder
from models.settings import Settings
from models.targets import TrainingTarget
from runtime.sandbox import opening
from runtime.sandbox.bubblewrap import Bubblewrap, programs
from store.database import open_database
from store.snapshots import snapshot_sqlite
from tests.support.plain_steps import student_settings
from tests.support.registry_material import fresh, make_base
from tests.support.unasked import Unasked
from training.adapters.registry import Registry
from training.cycle.context import open_context
from training.cycle.rehearsal.alias import move_alias
from training.cycle.rehearsal.checks import serving
from training.cycle.rehearsal.workspace import Workspace

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:9/v1"

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.support.plain_steps import student_settings
from training.adapters.registry import Registry
from training.cycle.context import open_context
from training.cycle.rehearsal.alias import move_alias
from tests.support.unasked import Unasked

folder, adapter, before = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
Registry.rollback = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
move_alias(open_context(student_settings(folder, "http://127.0.0.1:9/v1")), adapter, {"scope": before}, Unasked())
"""

FULL = """
import sys
from pathlib import Path
from models.rehearsal import RehearsalOrder, StepEvidence
from tests.support.plain_steps import plain_steps, student_settings
from training.cycle.context import open_context
from training.cycle.rehearsal import RehearsalParts, rehearse

data, out = Path(sys.argv[1]), Path(sys.argv[2])
parts = RehearsalParts(
    open_context=lambda: open_context(student_settings(data, "http://127.0.0.1:9/v1")),
    training=plain_steps(lambda asked: ""),
    run_gold=lambda *asked: None,
    server=lambda: None,
    around=lambda label, do: do(),
)
machine = StepEvidence(step="machine", verdict="ok", found=())
print(rehearse(RehearsalOrder(out=out, packages=(data,)), machine, parts).model_dump_json())
"""


def script(text: str, *arguments: object, inside: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    command = [*inside, sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_a_kill_between_promotion_and_rollback_is_undone_by_the_next_start(tmp_path: Path) -> None:
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    make_base(curated, tmp_path)
    registry = Registry(curated, tmp_path)
    first, second = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(first, override="it serves")
    before = serving(curated)
    assert before == {"scope": first.served}
    done = script(KILLED, tmp_path, second.id, first.served)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert serving(curated) == {"scope": second.served}
    context = open_context(student_settings(tmp_path, URL))
    for _ in range(2):  # a second time changes nothing
        came = move_alias(context, second.id, before, Unasked())
        assert came.figures["after"] == before == serving(curated)
        assert came.figures["actions"] == ["promote", "rollback"]
    log = [(entry.action, entry.override) for entry in registry.log(TrainingTarget.SCOPE)]
    assert log == [("promote", "it serves"), ("promote", "rehearsal"), ("rollback", None)]


@pytest.mark.slow
def test_a_full_disk_is_the_first_thing_that_is_not_operational(tmp_path: Path) -> None:
    open_database(tmp_path / "curated.sqlite", "curated")
    out = tmp_path / "out"
    out.mkdir()
    small = (str(programs()[-1]), "--dev-bind", "/", "/", "--size", str(64 * 1024), "--tmpfs", str(out))
    done = script(FULL, tmp_path, out, inside=small)
    report = json.loads(done.stdout or "{}")
    assert (report.get("operational"), report.get("missing")) == (False, "folder"), done.stderr
    assert "free some space" in report["steps"][-1]["remedy"]


def test_a_step_whose_evidence_cannot_be_kept_is_not_operational(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.state.mkdir()
    (workspace.state / "steps.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        workspace.record(machine_evidence([Finding(what="git", verdict="ok", found="2")]))


def test_a_line_that_a_kill_cut_off_is_no_finished_step(tmp_path: Path) -> None:
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    workspace, order = Workspace(tmp_path / "out"), RehearsalOrder(out=tmp_path / "out")
    assert workspace.open(order, curated, tmp_path) == []
    whole = machine_evidence([Finding(what="git", verdict="ok", found="2")])
    workspace.record(whole)
    with (workspace.state / "steps.jsonl").open("a") as file:
        file.write('{"step": "gold", "verd')
    assert Workspace(order.out).open(order, curated, tmp_path) == [whole]
    workspace.record(whole.model_copy(update={"step": "gold"}))
    assert [each.step for each in Workspace(order.out).open(order, curated, tmp_path)] == ["machine", "gold"]
    assert Workspace(order.out).open(order.model_copy(update={"items": 9}), curated, tmp_path) == []
    workspace.close()
    assert Workspace(order.out).open(order.model_copy(update={"items": 9}), curated, tmp_path) == []


@pytest.mark.slow
def test_a_machine_whose_sandbox_has_a_hole_is_not_operational(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaky = Bubblewrap(programs()[-1], ("--share-net",))
    monkeypatch.setattr(opening, "sandboxes", lambda: [leaky])
    monkeypatch.setattr(opening, "tested", opening.tested.__wrapped__)
    evidence = machine_evidence(sandbox_findings(Settings(data_dir=tmp_path)))
    assert evidence.verdict == "failed"
    assert evidence.found[0].startswith("sandbox: ") and "does not isolate" in evidence.found[0]
    assert "cannot reach the network" in evidence.remedy


def test_a_machine_without_a_sandbox_is_not_operational(tmp_path: Path) -> None:
    evidence = machine_evidence(sandbox_findings(Settings(data_dir=tmp_path, sandbox="none")))
    assert evidence.verdict == "failed"
    assert evidence.found == ("sandbox: none: tests can do what you can",) and evidence.remedy


def test_the_first_failed_check_of_a_machine_is_named_with_its_remedy() -> None:
    found = [
        Finding(what="git", verdict="ok", found="2"),
        Finding(what="corpus", verdict="warning", found="none", remedy="make one"),
        Finding(what="disk of data", verdict="failed", found="0.1 GiB free", remedy="free some space"),
        Finding(what="workers", verdict="failed", found="none", remedy="cra up"),
    ]
    evidence = machine_evidence(found)
    assert (evidence.verdict, evidence.found, evidence.remedy) == (
        "failed", ("disk of data: 0.1 GiB free",), "free some space",
    )  # fmt: skip
    assert machine_evidence(found[:2]).verdict == "warning"


def test_a_data_directory_named_as_a_rehearsals_folder_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "state"
    curated = open_database(data / "curated.sqlite", "curated")
    make_base(curated, data)
    before = {path: path.read_bytes() for path in data.rglob("*.json")}
    with pytest.raises(UsageError, match="was not made by a rehearsal"):
        Workspace(tmp_path).open(RehearsalOrder(out=tmp_path), curated, data / "keys")
    assert before and {path: path.read_bytes() for path in data.rglob("*.json")} == before
    assert serving(curated) == {}


def test_what_serves_holds_in_a_rehearsal_also_where_it_came_in_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, data, out = tmp_path / "old", tmp_path / "data", tmp_path / "out"
    curated = open_database(old / "curated.sqlite", "curated")
    make_base(curated, old)
    registry = Registry(curated, old)
    version = fresh(registry, tmp_path, 1.0)
    registry.promote(version, override="it serves")
    shutil.copytree(old, data)
    snapshot_sqlite(old / "curated.sqlite", data / "curated.sqlite", old)
    shutil.rmtree(old)
    monkeypatch.setenv("CRA_DATA_DIR", str(data))
    installed = open_database(data / "curated.sqlite", "curated")
    Registry(installed, data).verify(version.name)
    workspace = Workspace(out)
    assert workspace.open(RehearsalOrder(out=out), installed, data / "keys") == []
    monkeypatch.setenv("CRA_DATA_DIR", str(workspace.state))
    rehearsed = open_database(workspace.curated, "curated")
    Registry(rehearsed, workspace.state).verify(version.name)
    assert serving(rehearsed) == {"scope": version.served}
    own, given = workspace.state / "keys" / "signing-key.pub", data / "keys" / "signing-key.pub"
    assert not own.exists() or own.read_bytes() != given.read_bytes(), "the private key stays where it is"
