"""A rehearsal with real parts and the tiny base: gold, student, dataset, training, gate, alias; and what stops one."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.pages.rehearsal import rehearsal_page
from cli.rehearse import machine_evidence
from evals.sets import build_set, freeze, reserve
from harness.packages.contents import package_content
from harness.packages.package import RepoPackage
from models.rehearsal import Finding, RehearsalOrder, RehearsalReport, StepEvidence
from models.targets import TrainingTarget
from tests.support.bad_server import ScriptedServer
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.tiny import make_tiny_base
from training.adapters.registry import Registry
from training.bases.bases import Base, add_base

pytestmark = [pytest.mark.index, pytest.mark.slow]

Configure = Callable[..., None]
MACHINE = machine_evidence([Finding(what="sandbox", verdict="ok", found="bubblewrap: claims tested")])
STEPS = [
    "machine", "bases", "packages", "gold", "evaluation set", "student", "dataset", "training", "gate", "alias",
    "installation", "server",
]  # fmt: skip


@pytest.fixture
def world(configured: Configure, short_answers: None, tmp_path: Path) -> World:
    """An installation with a base and a frozen set of a reserved repository."""
    made = World(tmp_path / "data")
    varied_gold_runs(made, Repository("hidden"))
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    freeze(made.curated, made.raw.engine, build_set(made.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=3))
    return made


def order(package: Path, tmp_path: Path, **changes: Any) -> RehearsalOrder:
    given = {"out": tmp_path / "out", "packages": (package,), "items": 2, "training_steps": 4}
    return RehearsalOrder.model_validate({**given, **changes})


def rehearsed(wanted: RehearsalOrder, machine: StepEvidence = MACHINE) -> RehearsalReport:
    from flows.rehearse import rehearse

    report: RehearsalReport = rehearse(wanted, machine)
    return report


def found_missing(report: RehearsalReport, step: str) -> StepEvidence:
    """The evidence of the step that a rehearsal ended with."""
    assert (report.operational, report.missing, report.steps[-1].step) == (False, step, step), report.steps[-1]
    return report.steps[-1]


def installation(world: World) -> dict[str, str]:
    """Hashes of every file of the installation, but of what SQLite keeps beside its databases."""
    return {
        str(path.relative_to(world.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(world.folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


class Killed(BaseException):
    """As good as a kill: nothing catches it."""


def test_the_whole_loop_is_rehearsed_and_killed_and_nothing_of_it_is_left_in_the_installation(
    sample: RepoPackage, world: World, configured: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, wanted = installation(world), order(sample.directory, tmp_path)

    def killed(*args: object) -> None:
        raise Killed

    with ScriptedServer(lambda request: "I cannot say.") as server:
        configured(server.url, base='"tiny"', window=32768)
        with monkeypatch.context() as patched:
            patched.setattr(Registry, "rollback", killed)
            with pytest.raises(Killed):
                rehearsed(wanted)
        ledger = wanted.out / "state" / "steps.jsonl"
        finished = [json.loads(line)["step"] for line in ledger.read_text().splitlines()]
        assert finished == STEPS[1 : STEPS.index("alias")]
        asked = len(server.requests)
        report = rehearsed(wanted)
        assert len(server.requests) == asked
    assert (report.operational, report.missing) == (True, "")
    assert [each.step for each in report.steps] == STEPS
    assert installation(world) == before
    _check_evidence({each.step: each.figures for each in report.steps}, sample)
    page = rehearsal_page(report)
    assert "Operational." in page and "scope-v1" in page and "<svg" in page


def _check_evidence(figures: dict[str, dict[str, Any]], sample: RepoPackage) -> None:
    valid = sum(each.valid for each in sample.manifest.instances)
    assert figures["gold"] == {"instances": valid, "gold_passed": valid, "null_passed": 0, "null_failed": valid}
    assert figures["evaluation set"]["items"] == 2
    assert figures["student"]["passed"] + figures["student"]["failed"] == 1
    assert figures["dataset"]["repositories"].keys() == {sample.manifest.name}
    trained = figures["training"]
    assert (trained["name"], trained["steps"], len(trained["losses"])) == ("scope-v1", 4, 4)
    assert all(loss > 0 for loss in trained["losses"])
    assert figures["gate"]["verdict"] in ("inconclusive", "reject")  # two items show nothing
    alias = figures["alias"]
    assert alias["before"] == alias["after"] == {}
    assert alias["actions"] == [figures["gate"]["verdict"], "promote", "rollback"]
    assert "promoted" not in alias, "the scripted server loads no adapters"
    assert figures["installation"]["after"] == {}
    assert figures["server"]["run"] and figures["server"]["listed"] > 10


def test_gold_that_fails_here_is_named_with_its_instance(
    sample: RepoPackage, world: World, configured: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured("http://127.0.0.1:9/v1")
    monkeypatch.setenv("CRA_LIMITS__WALL_SECONDS", "0.05")  # no suite ends in that
    evidence = found_missing(rehearsed(order(sample.directory, tmp_path, limit=1)), "gold")
    assert "1 of 1 instances" in evidence.found[0] and "spans" in evidence.found[0]
    assert "cra report" in evidence.remedy


def test_a_package_with_a_broken_wheel_is_found_before_anything_is_run(
    sample: RepoPackage, world: World, configured: Configure, tmp_path: Path
) -> None:
    configured("http://127.0.0.1:9/v1")
    package = shutil.copytree(sample.directory, tmp_path / "corpus" / "spans")
    wheel = sorted((package / "packages").glob("*.whl"))[0]
    wheel.chmod(0o644)
    wheel.write_bytes(wheel.read_bytes()[:-1])
    evidence = found_missing(rehearsed(order(package, tmp_path)), "packages")
    assert wheel.name in evidence.found[0] and evidence.remedy


def test_a_reserved_repository_is_not_learned_from_under_its_own_name_or_another(
    sample: RepoPackage, world: World, configured: Configure, tmp_path: Path
) -> None:
    configured("http://127.0.0.1:9/v1")
    world.raw.register_contents([("original", package_content(sample))])
    reserve(world.curated, world.raw.engine, ["original"], "to be measured on")
    evidence = found_missing(rehearsed(order(sample.directory, tmp_path)), "packages")
    assert "copy of 'original'" in evidence.found[0]
    reserve(world.curated, world.raw.engine, [sample.manifest.name], "to be measured on")
    evidence = found_missing(rehearsed(order(sample.directory, tmp_path)), "packages")
    assert "free to learn from" in evidence.found[0]


def test_a_base_without_its_files_is_found_first(
    sample: RepoPackage, world: World, configured: Configure, tmp_path: Path
) -> None:
    configured("http://127.0.0.1:9/v1")
    base: Base = add_base(world.curated, world.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    (base.path / "model.safetensors").unlink()
    evidence = found_missing(rehearsed(order(sample.directory, tmp_path)), "bases")
    assert "model.safetensors is missing or altered" in evidence.found[0]
    assert "add the base again" in evidence.remedy


def test_a_folder_that_no_rehearsal_made_is_left_alone(
    sample: RepoPackage, world: World, configured: Configure, tmp_path: Path
) -> None:
    from models.errors import UsageError

    configured("http://127.0.0.1:9/v1")
    mine = tmp_path / "out" / "state" / "thesis.tex"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    with pytest.raises(UsageError, match="was not made by a rehearsal"):
        rehearsed(order(sample.directory, tmp_path))
    assert mine.read_text() == "years of work"
