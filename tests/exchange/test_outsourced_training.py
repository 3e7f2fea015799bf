"""A training goes to a machine without network, of which nothing is known but its Python, and comes back."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from sqlalchemy import select

pytest.importorskip("torch")

from evals.sets import latest_set
from exchange.lock import fetch_wheels
from exchange.outsource import layout
from exchange.outsource.accepting import accept
from exchange.outsource.verifying import unread, verify_pack
from exchange.outsource.work import work
from models.errors import CleanRoomError, InfrastructureError, UsageError
from models.protocols import Stage
from models.training import TrainingTarget
from store.learning.trainings import find_training
from store.tables import TrainingPlan, table_of
from tests.support.outsource_material import FEW, Home, clean_environment, kill_elsewhere, make_home, run_elsewhere
from tests.support.tiny import ROOT, make_adapter
from tests.support.wheels import digest, make_wheel
from training.data.datasets import read_dataset
from training.fit.job import job_for

pytestmark = pytest.mark.slow

PLANS = table_of(TrainingPlan)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exchange.outsource.questions.ANSWER_TOKENS", dict.fromkeys(Stage, 16))
        yield make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def packed(home: Home) -> Path:
    return home.pack(home.folder / "away" / "pack").folder


def test_the_same_inputs_give_the_same_manifest(home: Home, packed: Path, tmp_path: Path) -> None:
    again = home.pack(tmp_path / "again")
    assert (again.folder / "manifest" / "pack.json").read_bytes() == (packed / "manifest" / "pack.json").read_bytes()
    assert verify_pack(packed, home.context.registry.keys) == again.manifest
    other = home.pack(tmp_path / "other", with_base=False)
    assert (other.manifest.id, other.manifest.job) != (again.manifest.id, again.manifest.job)
    assert other.manifest.job == again.manifest.job
    assert not (other.folder / "base").exists()


@pytest.mark.parametrize("form", ["cra", "llamafactory"])
def test_a_training_elsewhere_is_never_taken_for_one_here(home: Home, tmp_path: Path, form: str) -> None:
    packed = home.pack(tmp_path / "pack", format=form).manifest
    here = job_for(read_dataset(home.dataset), home.dataset, home.base, "sft", FEW)
    assert (packed.recipe, packed.backend) == (here.recipe, here.config["backend"])
    assert packed.job != here.id
    with home.context.raw_engine.connect() as connection:
        rows = connection.execute(select(PLANS.c.id, PLANS.c.config)).all()
    assert {row.id: row.config["elsewhere"] for row in rows}[packed.job] == form
    assert here.id not in {row.id for row in rows}


def test_what_gold_answers_and_keys_do_not_leave(home: Home, packed: Path) -> None:
    frozen = latest_set(home.context.curated, TrainingTarget.SCOPE)
    sent = (packed / layout.QUESTIONS).read_text()
    assert len(sent.splitlines()) == len(frozen.items)
    for item in frozen.items:
        assert item.messages[-1].content in [json.loads(line)["messages"][-1]["content"] for line in sent.splitlines()]
        for secret in (item.expected, item.id, item.commit):
            assert secret not in sent
            assert json.dumps(secret)[1:-1] not in sent
    names = {path.name for path in packed.rglob("*")}
    assert not names & {"signing-key.pem", "cra.toml", ".env", "raw.sqlite", "curated.sqlite"}
    key = (home.context.registry.keys / "signing-key.pem").read_bytes()
    assert not any(key in path.read_bytes() for path in packed.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["run.py", "data/sft.jsonl", "base/model.safetensors", "manifest/pack.json", "new.py"])
def test_a_changed_pack_is_refused_here_and_there(home: Home, packed: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(packed, tmp_path / "pack", ignore=shutil.ignore_patterns("env", "work", "returned")))
    content = (folder / name).read_bytes() if (folder / name).exists() else b"x"
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CleanRoomError):
        verify_pack(folder, home.context.registry.keys)
    told = verify_pack(packed, home.context.registry.keys).id
    argv = [sys.executable, folder / "run.py", "--dry-run", "--id", told]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert name in done.stderr


def test_code_that_was_planted_in_an_intact_pack_does_not_run(home: Home, packed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(packed, tmp_path / "pack", ignore=shutil.ignore_patterns("env", "work", "returned")))
    python, ran = folder / "env" / "bin" / "python", tmp_path / "ran"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {ran}\n")
    python.chmod(0o755)
    (folder / "env" / ".built").write_text(hashlib.sha256((folder / layout.REQUIREMENTS).read_bytes()).hexdigest())
    verify_pack(folder, home.context.registry.keys)
    assert unread(folder) == ["env"]
    done = subprocess.run([sys.executable, "-I", folder / "run.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, ran.exists()) == (1, False)
    assert "env/ is there already" in done.stderr
    shutil.rmtree(folder / "env")
    (folder / "hashlib.py").write_text(f"open({str(ran)!r}, 'w')\n")
    argv = [sys.executable, "-I", folder / "run.py", "--dry-run"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, ran.exists()) == (1, False)
    assert "hashlib.py is not in the manifest" in done.stderr


def test_a_training_comes_back_from_a_machine_without_network(home: Home, packed: Path) -> None:
    python = clean_environment(home.folder / "environment", packed / layout.REQUIREMENTS)
    shown = run_elsewhere(packed, python, "--dry-run").stdout
    assert verify_pack(packed, home.context.registry.keys).id in shown
    assert not (packed / "work").exists()
    kill_elsewhere(packed, python, "step 1 ")
    assert "give --resume" in run_elsewhere(packed, python, check=False).stderr
    assert "step 2 of 2" in run_elsewhere(packed, python, "--resume").stdout
    done = accept(home.context, packed / "returned")
    version = home.context.registry.verify(done.name)
    assert (version.name, version.active, version.plan_id) == ("scope-v1", False, done.job)
    assert (done.agreement.rows, done.agreement.questions) == (2, 3)
    assert done.agreement.loss < 0.001
    assert find_training(home.context.raw_engine, done.job) is not None
    assert accept(home.context, packed / "returned") == done
    assert [each.name for each in home.context.registry.list()] == ["scope-v1"]
    verify_pack(packed, home.context.registry.keys)  # what was made there is no part of the pack


KILLED = """
import os, signal, sys
from pathlib import Path
import {module} as place
from exchange.outsource.accepting import accept
from models.settings import Settings
from training.cycle.context import open_context
def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)
place.{name} = die
accept(open_context(Settings(data_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))), Path(sys.argv[3]))
"""


def test_a_kill_in_the_middle_registers_nothing_and_the_next_call_all(home: Home, tmp_path: Path) -> None:
    packed = home.pack(tmp_path / "pack", format="llamafactory").folder
    work(packed, packed / "base", make_adapter(home.base.path, tmp_path / "trained", seed=3))
    before = [each.name for each in home.context.registry.list()]
    settings = home.context.settings
    for module, name in (
        ("exchange.outsource.accepting", "store_training"),
        ("training.adapters.registry.registry", "add_adapter"),
    ):
        argv = [sys.executable, "-c", KILLED.format(module=module, name=name), settings.data_dir, settings.cache_dir,
                packed / "returned"]  # fmt: skip
        assert subprocess.run(argv, cwd=ROOT, check=False).returncode == -signal.SIGKILL
        assert [each.name for each in home.context.registry.list()] == before
    done = accept(home.context, packed / "returned")
    assert home.context.registry.verify(done.name).id == done.id
    left = [path.name for path in (settings.data_dir / "outsourced").iterdir() if path.name.startswith(".accepting")]
    assert left == []


def test_a_whole_base_comes_back_as_the_role_s_next(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--role"):
        home.pack(tmp_path / "pack", method="full")
    packed = home.pack(tmp_path / "pack", method="full", role="reasoning")
    work(packed.folder, packed.folder / "base", None)
    done = accept(home.context, packed.folder / "returned")
    assert done.name == "reasoning-base-v1"
    assert (done.folder / "tokenizer.json").read_bytes() == (home.base.path / "tokenizer.json").read_bytes()
    assert done.id != home.base.id


def test_rules_refuse_before_anything_is_packed(home: Home, tmp_path: Path) -> None:
    altered = Path(shutil.copytree(home.dataset, tmp_path / "dataset"))
    rows = (altered / "sft.jsonl").read_text().splitlines()
    (altered / "sft.jsonl").write_text("\n".join(rows[1:]) + "\n")
    with pytest.raises(CleanRoomError, match=r"sft\.jsonl"):
        home.pack(tmp_path / "pack", dataset=altered)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(UsageError, match="--out"):
        home.pack(tmp_path / "full")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize("license", [None, "CC-BY-NC-4.0"])
def test_data_that_may_not_be_handed_on_stays(tmp_path: Path, license: str | None) -> None:
    home = make_home(tmp_path / "home", license=license)
    with pytest.raises(UsageError, match="--accept-licence"):
        home.pack(tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
    packed = home.pack(tmp_path / "pack", accept_licence=True)
    [(name, count)] = read_dataset(home.dataset).licenses.items()
    assert any(name in note and str(count) in note for note in packed.notes)


def test_files_of_other_methods_stay(home: Home, packed: Path) -> None:
    card = read_dataset(home.dataset)
    assert {"sft.jsonl", "dpo.jsonl"} <= card.files.keys()
    assert {path.name for path in (packed / "data").iterdir()} == {"card.json", "sft.jsonl"}


def test_only_wheels_with_the_locks_hashes_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = make_wheel(tmp_path / "index", "alpha", "1.0", {"alpha.py": "VALUE = 41\n"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"alpha==1.0 \\\n    --hash=sha256:{digest(alpha)}\n")
    fetch_wheels(requirements, tmp_path / "wheels")
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == [alpha.name]
    requirements.write_text(f"alpha==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(InfrastructureError, match="wheels"):
        fetch_wheels(requirements, tmp_path / "others")


def test_an_environment_is_built_from_wheels_without_network(packed: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "pack" / "wheels"
    alpha = make_wheel(wheels, "alpha", "1.0", {"alpha/__init__.py": "VALUE = 41\n"})
    pip = distribution("pip")
    with zipfile.ZipFile(wheels / f"pip-{pip.version}-py3-none-any.whl", "w") as archive:
        for file in pip.files or ():
            if file.parts[0] == "pip" and file.suffix != ".pyc":
                archive.write(str(pip.locate_file(file)), str(file))
    requirements = tmp_path / "pack" / "requirements.txt"
    requirements.write_text(f"alpha==1.0 \\\n    --hash=sha256:{digest(alpha)}\n")
    script = Path(shutil.copy(packed / "run.py", tmp_path / "pack" / "build.py"))
    build = (
        f"import sys; sys.path.insert(0, {str(script.parent)!r}); import build; print(build.environment(build.HERE))"
    )
    argv = ["unshare", "--map-root-user", "--net", sys.executable, "-c", build]
    python = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    shown = subprocess.run([python, "-c", "import alpha; print(alpha.VALUE)"], capture_output=True, text=True)
    assert shown.stdout == "41\n"
    requirements.write_text(f"alpha==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    assert subprocess.run(argv, capture_output=True, check=False).returncode != 0
