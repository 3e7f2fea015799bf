"""A later bundle over an installation: its new bases and adapters become known, and what is there stays as it is."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from exchange.bundle.data import DATABASES
from exchange.bundle.registry import register
from models.errors import RegistryError
from models.settings import Settings
from models.training import TrainingTarget
from store.database import HEADS, open_database
from store.learning.bases import list_bases
from store.learning.datasets import add_dataset
from store.learning.trainings import FinishedTraining, find_training, store_training, store_training_job
from store.upkeep import database_facts
from tests.support.bundle_home import Machine, lay_out, make_machine
from tests.support.bundle_material import SmallBundle, pip_wheel, project_files, tree, write_bundle
from tests.support.database_versions import at_version
from tests.support.registry_material import fresh, make_base
from training.adapters.registry import Registry

SCOPE = TrainingTarget.SCOPE


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registered")


@pytest.fixture(scope="module")
def machine(place: Path) -> Machine:
    return make_machine(place / "home")


def _registry(data: Path) -> Registry:
    return Registry(open_database(data / "curated.sqlite", "curated"), data)


@pytest.fixture(scope="module")
def bundles(place: Path, machine: Machine) -> tuple[Path, Path]:
    """The files of a first bundle, and of a later one with a base and two adapters more, one of them with a training
    on record. The later machine has promoted another adapter since."""
    machine.make(place / "first")
    data = machine.settings.data_dir
    registry = _registry(data)
    make_base(registry._curated, data / "bases", "larger")
    registry.promote(fresh(registry, place / "home", 2.0), override="better")
    third = fresh(registry, place / "home", 3.0)
    raw = open_database(data / "raw.sqlite", "raw")
    add_dataset(
        raw, third.dataset_id, SCOPE, source="gold", examples=1, config={"considered": "none"}, repositories=["r"],
        content="the card", considered="{}",
    )  # fmt: skip
    store_training_job(raw, third.plan_id, SCOPE, "gold", third.base, third.dataset_id, {})
    job = FinishedTraining(third.plan_id, third.id, data / "trainings" / "three", "trl-cpu", 1, 2, 3.0, {})
    store_training(raw, job, "{}\n")
    machine.make(place / "later")
    for name in ("first", "later"):
        lay_out(place / name, place / f"{name}-files")
    return place / "first-files", place / "later-files"


def _installed(bundles: tuple[Path, Path], prefix: Path) -> Settings:
    """An installation of the first bundle, where the files of the later one have arrived."""
    first, later = bundles
    shutil.copytree(first / "data", prefix / "data")
    for name in ("bases", "adapters", "keys"):
        shutil.copytree(later / "data" / name, prefix / "data" / name, dirs_exist_ok=True)
    return Settings(data_dir=prefix / "data", cache_dir=prefix / "cache")


def _state(data: Path) -> list[list[tuple[object, ...]]]:
    """The rows of the registry, and who serves."""
    with closing(sqlite3.connect(data / "curated.sqlite")) as opened:
        tables = ("bases", "adapter_metadata", "promotions", "base_decisions")
        return [opened.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables]


def test_what_is_new_is_known_and_does_not_serve(
    bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _installed(bundles, tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(settings.data_dir))
    before = _state(settings.data_dir)
    planned = register(settings, bundles[1] / "registry", check_only=True)
    assert _state(settings.data_dir) == before
    done = register(settings, bundles[1] / "registry")
    assert done == planned == (("larger",), ("scope-v2", "scope-v3"), False)
    registry = _registry(settings.data_dir)
    assert [(each.name, each.active) for each in registry.list()] == [
        ("scope-v1", True), ("scope-v2", False), ("scope-v3", False),
    ]  # fmt: skip
    assert sorted(base.name for base in list_bases(registry._curated)) == ["larger", "tiny"]
    third = registry.verify("scope-v3")
    assert third.path.is_relative_to(settings.data_dir)
    training = find_training(open_database(settings.data_dir / "raw.sqlite", "raw"), third.plan_id)
    assert training is not None
    assert training.result == third.id
    with closing(sqlite3.connect(settings.data_dir / "raw.sqlite")) as opened:
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
    after = _state(settings.data_dir)
    assert after[2:] == before[2:]
    assert set(before[0]) <= set(after[0])
    assert set(before[1]) <= set(after[1])
    assert register(settings, bundles[1] / "registry") == ((), (), False)
    assert _state(settings.data_dir) == after
    registry.promote("scope-v3", override="tried here")


def test_databases_on_a_server_are_added_to_as_well(
    bundles: tuple[Path, Path], postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = _installed(bundles, tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(own.data_dir))
    settings = own.model_copy(update={"raw_database": postgres_url, "curated_database": postgres_url})
    assert register(settings, bundles[0] / "registry").absent  # nothing is made in a database that is to be restored
    for kind in DATABASES:
        open_database(postgres_url, kind).dispose()
    assert register(settings, bundles[0] / "registry") == (("tiny",), ("scope-v1",), False)
    assert register(settings, bundles[1] / "registry") == (("larger",), ("scope-v2", "scope-v3"), False)
    registry = Registry(open_database(postgres_url, "curated"), own.data_dir)
    assert [(each.name, each.active) for each in registry.list()] == [(f"scope-v{n}", False) for n in (1, 2, 3)]
    assert find_training(open_database(postgres_url, "raw"), registry.verify("scope-v3").plan_id) is not None
    assert register(Settings(data_dir=tmp_path / "other"), bundles[1] / "registry").absent


def test_names_are_compared_on_a_server_of_an_earlier_version_which_is_left_as_it_is(
    bundles: tuple[Path, Path], postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the version that is being installed could bring it up, and it is not in use yet."""
    own = _installed(bundles, tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(own.data_dir))
    at_version(postgres_url.replace("postgresql://", "postgresql+psycopg://"), "curated", "curated_0004")
    settings = own.model_copy(update={"raw_database": postgres_url, "curated_database": postgres_url})
    expected = (("larger", "tiny"), ("scope-v1", "scope-v2", "scope-v3"), False)
    assert register(settings, bundles[1] / "registry", check_only=True) == expected
    assert database_facts(postgres_url, "curated").schema == "curated_0004"
    assert register(settings, bundles[1] / "registry") == expected
    assert database_facts(postgres_url, "curated").schema == HEADS["curated"]


def test_a_name_that_is_taken_is_refused_and_nothing_is_added(
    bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _installed(bundles, tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(settings.data_dir))
    own = fresh(_registry(settings.data_dir), tmp_path, 7.0)
    assert own.name == "scope-v2"
    before = _state(settings.data_dir)
    for check_only in (True, False):
        with pytest.raises(RegistryError, match=f"scope-v2 with the hash .* here scope-v2 is {own.id[:12]}"):
            register(settings, bundles[1] / "registry", check_only=check_only)
        assert _state(settings.data_dir) == before


def test_files_that_are_not_as_they_were_signed_are_not_registered(
    bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _installed(bundles, tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(settings.data_dir))
    held = [{file.relative_to(each) for file in each.rglob("adapter_config.json")} for each in bundles]
    file = tmp_path / min(held[1] - held[0])
    file.chmod(0o644)
    file.write_text(file.read_text().replace('"r": 4', '"r": 8'))
    before = _state(settings.data_dir)
    with pytest.raises(RegistryError):
        register(settings, bundles[1] / "registry")
    assert _state(settings.data_dir) == before


def _small(place: Path, files: Path, name: str, base: SmallBundle | None = None) -> SmallBundle:
    """A bundle that installs within seconds, with the data and the registry of another."""
    held = [*(files / "data").rglob("*"), *(files / "registry").rglob("*")]
    data = {file.relative_to(files).as_posix(): file.read_bytes() for file in held if file.is_file()}
    wheel = pip_wheel(place)
    return write_bundle(place / name, project_files(wheel, place / f"{name}-project") | data, place / "keys", base=base)


@pytest.mark.slow
def test_the_installer_registers_what_is_new_whenever_it_was_killed(
    place: Path, bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _small(place, bundles[0], "one")
    later = _small(place, bundles[1], "two", base=first)
    prefix = tmp_path / "prefix"
    assert first.install(prefix).returncode == 0
    monkeypatch.setenv("CRA_DATA_DIR", str(prefix / "data"))
    draw = random.Random(3)
    for _ in range(6):
        process = subprocess.Popen(
            later.command(prefix), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(draw.uniform(0.5, 8.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    done = later.install(prefix)
    assert done.returncode == 0, done.stderr
    names = [(each.name, each.active) for each in _registry(prefix / "data").list()]
    assert names == [("scope-v1", True), ("scope-v2", False), ("scope-v3", False)]
    assert (prefix / "current").readlink().name == later.id[:16]


@pytest.mark.slow
def test_the_installer_refuses_a_name_that_is_taken_before_anything_is_changed(
    place: Path, bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _small(place, bundles[0], "three")
    later = _small(place, bundles[1], "four", base=first)
    prefix = tmp_path / "prefix"
    assert first.install(prefix).returncode == 0
    monkeypatch.setenv("CRA_DATA_DIR", str(prefix / "data"))
    fresh(_registry(prefix / "data"), tmp_path, 7.0)
    state, files = _state(prefix / "data"), tree(prefix / "data", leave_out=["raw", "curated"])
    done = later.install(prefix)
    assert done.returncode == 1
    assert "scope-v2" in done.stderr.splitlines()[-1]
    assert "--without-registry" in done.stderr.splitlines()[-1]
    assert (prefix / "current").readlink().name == first.id[:16]
    assert _state(prefix / "data") == state
    assert tree(prefix / "data", leave_out=["raw", "curated"]) == files
    left = later.install(prefix, "--without-registry")
    assert left.returncode == 0, left.stderr
    assert (prefix / "current").readlink().name == later.id[:16]
    assert _state(prefix / "data") == state
