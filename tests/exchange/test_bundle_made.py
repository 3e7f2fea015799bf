"""A bundle that is made: what is in it and what is not, the same bytes each time, parts, differentials, refusals."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exchange.bundle import install
from exchange.bundle.layout import BUNDLE, MANIFEST, BundleManifest, read_manifest
from exchange.bundle.plan import plan_bundle
from exchange.bundle.verify import verify_bundle
from harness.packages.package import package_findings, read_package
from models.errors import DiskFull, RegistryError, UsageError
from models.training import TrainingTarget
from repos.git import Git
from store.database import open_database
from tests.support.bundle_home import TOKEN, Machine, git, lay_out, make_machine, silent
from tests.support.registry_material import fresh
from training.adapters.registry import Registry

PART = 400_000


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path / "home")


def manifest_of(bundle: Path) -> BundleManifest:
    return read_manifest((bundle / MANIFEST / BUNDLE).read_bytes(), str(bundle))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found


def test_a_bundle_holds_what_an_installation_needs_and_no_secret(machine: Machine, tmp_path: Path) -> None:
    made = machine.make(tmp_path / "out")
    files = made.manifest.files
    assert files["code/scripts/run"].executable
    assert files["code/docs/guide.md"].category == "document"
    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert modes == {0o666 & ~_umask()}
    assert {"code/uv.lock", "code/pyproject.toml", "requirements.txt", "data/raw.sqlite", "data/curated.sqlite"} <= set(
        files
    )
    assert {"wheels/clean_room_agent-0.1.0-py3-none-any.whl", "data/datasets/scope-0123/sft.jsonl"} <= set(files)
    assert {f"data/keys/trusted/{made.fingerprint}.pub", "data/corpus/little/manifest.json"} <= set(files)
    assert {path.split("/")[1] for path in files if path.startswith("data/")} == {
        "adapters", "bases", "corpus", "curated.sqlite", "datasets", "keys", "raw.sqlite",
    }  # fmt: skip
    assert not [
        path for path in files if path.startswith(("code/notes", "data/corpus/unfinished")) or "cra.toml" in path
    ]
    assert set(made.manifest.plain) >= {"README.md", "sbom.json", install.INSTALLER + "/main.py"}
    private = (machine.keys / "signing-key.pem").read_bytes()
    everything = contents(tmp_path / "out")
    for secret in (private, private.splitlines()[1], TOKEN.encode(), str(tmp_path).encode()):
        assert not [path for path, content in everything.items() if secret in content]
    assert {each.what for each in made.left_out} >= {"keys", "server", "engine", "sessions", "cra.toml"}


def test_the_same_inputs_give_the_same_manifest(machine: Machine, tmp_path: Path) -> None:
    one, two = machine.make(tmp_path / "one"), machine.make(tmp_path / "two")
    assert contents(tmp_path / "one" / "part-0001") == contents(tmp_path / "two" / "part-0001")
    assert (tmp_path / "one" / MANIFEST / BUNDLE).read_bytes() == (tmp_path / "two" / MANIFEST / BUNDLE).read_bytes()
    assert one.manifest.id == two.manifest.id
    (machine.checkout / "cli.py").write_text("VERSION = '2'\n")
    git(machine.checkout, "commit", "--quiet", "--all", "-m", "two")
    changed = machine.make(tmp_path / "three").manifest
    assert changed.id != one.manifest.id
    different = {path for path in changed.files if changed.files[path] != one.manifest.files[path]}
    assert different == {"code/cli.py", "requirements.txt", "wheels/clean_room_agent-0.1.0-py3-none-any.whl"}


def test_what_was_laid_out_elsewhere_is_an_installation_that_trusts_and_has_its_own_key(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.make(tmp_path / "out")
    prefix = tmp_path / "prefix"
    lay_out(tmp_path / "out", prefix)
    shutil.rmtree(tmp_path / "home")
    monkeypatch.setenv("CRA_DATA_DIR", str(prefix / "data"))
    assert package_findings(prefix / "data" / "corpus" / "little") == []
    package = read_package(prefix / "data" / "corpus" / "little")
    assert Git(package.directory / "repo").text("rev-parse", "HEAD").strip() == package.manifest.head
    registry = Registry(open_database(prefix / "data" / "curated.sqlite", "curated"), prefix / "data")
    (only,) = registry.list()
    assert only.active
    assert only.path.is_relative_to(prefix / "data")
    assert registry.verify(only.name) == only
    other = fresh(registry, tmp_path, 2.0)
    assert registry.verify(other.name).target == TrainingTarget.SCOPE
    assert (prefix / "data" / "keys" / "signing-key.pem").is_file()
    (trusted,) = (prefix / "data" / "keys" / "trusted").iterdir()
    trusted.unlink()
    with pytest.raises(RegistryError, match="statement"):
        registry.verify(only.name)
    assert registry.verify(other.name) == other


def test_parts_are_no_larger_than_asked_and_each_is_verified_alone(machine: Machine, tmp_path: Path) -> None:
    made = machine.make(tmp_path / "out", part_bytes=PART)
    assert len(made.manifest.parts) > 2
    for number in made.manifest.parts:
        folder = tmp_path / "out" / f"part-{number:04d}"
        assert sum(map(len, contents(folder).values())) <= PART
        alone = tmp_path / f"medium-{number}"
        shutil.copytree(folder, alone)
        found = verify_bundle(alone, silent)
        assert found.parts == (number,)
        assert set(found.missing) == set(made.manifest.parts) - {number}
        assert found.elsewhere + found.whole == len(made.manifest.files)
    whole = verify_bundle(tmp_path / "out", silent, key=machine.keys / "signing-key.pub")
    assert (whole.elsewhere, whole.missing, whole.bytes) == (0, (), made.bytes)


def test_a_differential_holds_what_is_new_and_is_verified_alone_and_on_its_base(
    machine: Machine, tmp_path: Path
) -> None:
    first = machine.make(tmp_path / "first")
    new = machine.settings.data_dir / "datasets" / "code-4567" / "sft.jsonl"
    new.parent.mkdir()
    new.write_text("{}\n" * 1000)
    for since in (tmp_path / "first", tmp_path / "first" / MANIFEST / BUNDLE):
        second = machine.make(tmp_path / f"on-{since.name}", since=since)
        travels = [name for name, chunk in second.manifest.chunks.items() if chunk.part is not None]
        assert travels == list(second.manifest.files["data/datasets/code-4567/sft.jsonl"].chunks)
        assert second.manifest.base == first.manifest.id
    alone = verify_bundle(tmp_path / "on-first", silent)
    assert (alone.whole, alone.from_base) == (1, len(second.manifest.chunks) - 1)
    both = verify_bundle(tmp_path / "on-first", silent, base=tmp_path / "first")
    assert (both.whole, both.elsewhere) == (len(second.manifest.files), 0)
    nothing = machine.make(tmp_path / "third", since=tmp_path / "on-first")
    assert (nothing.bytes, nothing.manifest.parts) == (0, [])
    assert verify_bundle(tmp_path / "third", silent).elsewhere == len(nothing.manifest.files)
    with pytest.raises(UsageError, match="goes on top of"):
        verify_bundle(tmp_path / "third", silent, base=tmp_path / "first")


def test_a_plan_says_what_travels_what_stays_and_what_is_missing_and_writes_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    machine.make(tmp_path / "first")
    before = sorted(tmp_path.rglob("*"))
    plan = plan_bundle(machine.settings, machine.order(tmp_path / "out", part_bytes=PART, since=tmp_path / "first"))
    made = machine.make(tmp_path / "whole").manifest
    shutil.rmtree(tmp_path / "whole")
    counts = {line.category: line.files for line in plan.lines}
    for category in ("code", "document", "model", "adapter", "corpus", "key", "database", "wheel"):
        assert counts[category] == sum(entry.category == category for entry in made.files.values()), category
    assert [each for each in plan.missing if "evaluation set" in each]
    assert [each for each in plan.missing if "reserved" in each]
    assert not [each for each in plan.missing if "adapter:" in each or "a base" in each]
    assert 0 < plan.held < plan.bytes
    wanted = machine.settings.distillation
    short = {each.kind.value: each.missing for each in plan.examples}
    assert short["scope"] == wanted.scope.least > 0
    assert short["code"] == wanted.code.least
    assert "style" not in short
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] == []


def test_a_machine_without_data_is_told_what_it_lacks(machine: Machine, tmp_path: Path) -> None:
    shutil.rmtree(machine.settings.data_dir)
    plan = plan_bundle(machine.settings, machine.order(tmp_path / "out"))
    assert [each for each in plan.missing if "corpus" in each]
    assert [each for each in plan.missing if "curated" in each]
    assert plan.examples == ()
    assert not machine.settings.data_dir.exists()


def test_bad_orders_are_refused_before_anything_is_there(machine: Machine, tmp_path: Path) -> None:
    first = machine.make(tmp_path / "first")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "other").mkdir()
    for match, changes in {
        "is there already": {"out": tmp_path / "full"},
        "give at least": {"part_bytes": 1024},
        "is no bundle": {"since": tmp_path / "other"},
        "the project has none": {"extras": ("absent",)},
        "no git checkout": {"root": tmp_path},
    }.items():
        with pytest.raises(UsageError, match=match):
            machine.make(**({"out": tmp_path / "out"} | changes))  # type: ignore[arg-type]
        assert sorted(os.listdir(tmp_path)) == ["first", "full", "home", "other"]
    with pytest.raises(UsageError, match="which are in each part"):
        machine.make(tmp_path / "out", part_bytes=100_000)
    assert not (tmp_path / "out").exists()
    file = tmp_path / "first" / MANIFEST / BUNDLE
    file.write_bytes(file.read_bytes().replace(b'"python": "3.', b'"python": "3.9', 1))
    with pytest.raises((UsageError, RegistryError)):
        machine.make(tmp_path / "out", since=tmp_path / "first")
    assert (tmp_path / "full" / "mine").read_text() == "mine"
    assert first.manifest.base is None


def test_a_bundle_of_another_machine_is_no_base(machine: Machine, tmp_path: Path) -> None:
    machine.make(tmp_path / "first")
    shutil.rmtree(machine.keys)
    with pytest.raises(UsageError, match="not known here"):
        machine.make(tmp_path / "out", since=tmp_path / "first")


def test_changes_that_are_not_committed_travel_only_if_that_is_said(machine: Machine, tmp_path: Path) -> None:
    (machine.checkout / "cli.py").write_text("VERSION = 'draft'\n")
    with pytest.raises(UsageError, match=r"cli\.py has changes"):
        machine.make(tmp_path / "out")
    machine.make(tmp_path / "out", allow_dirty=True)
    lay_out(tmp_path / "out", tmp_path / "prefix")
    assert (tmp_path / "prefix" / "code" / "cli.py").read_text() == "VERSION = 'draft'\n"


def test_a_package_that_does_not_pass_and_a_link_are_refused(machine: Machine, tmp_path: Path) -> None:
    link = machine.settings.data_dir / "datasets" / "link"
    link.symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="is a link"):
        machine.make(tmp_path / "out")
    link.unlink()
    wheel = next((machine.settings.corpus / "little" / "packages").iterdir())
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(UsageError, match="package little cannot travel"):
        machine.make(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line_and_the_same_order_goes_on_afterwards(machine: Machine, tmp_path: Path) -> None:
    wanted = machine.make(tmp_path / "wanted").manifest.id
    argv = [
        sys.executable,
        "-m",
        "tests.support.bundle_home",
        str(tmp_path / "home"),
        str(tmp_path / "out"),
        "10000000",
    ]
    limited = subprocess.run(
        argv, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )  # fmt: skip
    assert limited.returncode != 0
    assert DiskFull.__name__ in limited.stderr or "DatabaseError" in limited.stderr
    assert not (tmp_path / "out").exists()
    machine.make(tmp_path / "out")
    assert manifest_of(tmp_path / "out").id == wanted
    assert sorted(os.listdir(tmp_path)) == ["home", "out", "wanted"]


def test_databases_on_a_server_travel_as_dumps(machine: Machine, postgres_url: str, tmp_path: Path) -> None:
    open_database(postgres_url, "raw").dispose()
    settings = machine.settings.model_copy(update={"raw_database": postgres_url})
    made = Machine(machine.checkout, settings).make(tmp_path / "out")
    assert made.manifest.files["databases/raw.dump"].category == "database"
    assert "data/raw.sqlite" not in made.manifest.files
    lay_out(tmp_path / "out", tmp_path / "prefix")
    assert (tmp_path / "prefix" / "databases" / "raw.dump").read_bytes().startswith(b"PGDMP")
