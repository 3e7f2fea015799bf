"""The installer of a bundle, run as its operator runs it: with Python alone, on small bundles that are signed."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.bundle_material import (
    DATA,
    SmallBundle,
    pip_wheel,
    project_files,
    refusal,
    tree,
    write_bundle,
)
from training.adapters.registry.signing import fingerprint

pytestmark = pytest.mark.slow
_LATER = [{"what": "model embedded", "verdict": "failed", "found": "none", "remedy": "point at one"}]
_SERIOUS = [{"what": "sandbox", "verdict": "failed", "found": "no bubblewrap", "remedy": "allow user namespaces"}]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def contents(place: Path) -> dict[str, bytes]:
    return {**project_files(pip_wheel(place), place / "project", _LATER), **DATA}


@pytest.fixture(scope="module")
def bundle(place: Path, contents: dict[str, bytes]) -> SmallBundle:
    folders = ["code/empty", "data/corpus/spans/repo/refs"]
    return write_bundle(place / "first", contents, place / "keys", folders=folders)


@pytest.fixture(scope="module")
def installed(place: Path, bundle: SmallBundle) -> Path:
    """A prefix with the first bundle; tests copy it before they change it."""
    prefix = place / "installed"
    mark = fingerprint(place / "keys" / "signing-key.pub")
    done = bundle.install(prefix, "--fingerprint", mark)
    assert done.returncode == 0, done.stderr
    assert mark in done.stdout
    assert "not yet: model embedded: none; point at one" in done.stdout
    return prefix


def lasting(prefix: Path) -> dict[str, str]:
    """What an installation consists of, without the environment's files, which name the prefix, and compiled ones."""
    found = tree(prefix, leave_out=[".install.lock"])
    return {name: digest for name, digest in found.items() if "/env/" not in name and "__pycache__" not in name}


def test_every_file_is_laid_below_the_prefix_as_it_was_packed(
    bundle: SmallBundle, contents: dict[str, bytes], installed: Path
) -> None:
    version = installed / "versions" / bundle.id[:16]
    for path, content in contents.items():
        file = installed / path if path.startswith("data/") else version / path
        assert file.read_bytes() == content, path
    assert (version / "code/empty").is_dir()
    assert (installed / "data/corpus/spans/repo/refs").is_dir()
    assert (installed / "current").readlink() == Path("versions") / bundle.id[:16]
    assert sorted(file.name for file in installed.iterdir()) == [
        ".install.lock", "bin", "current", "data", "installation.json", "versions",
    ]  # fmt: skip
    assert not (version / "incoming").exists()


def test_the_installed_command_runs_from_anywhere_with_the_data_of_the_prefix(installed: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/nowhere", "CRA_DATA_DIR": "/elsewhere"}
    done = subprocess.run([installed / "bin" / "cra", "--version"], capture_output=True, text=True, env=env, cwd="/")
    assert done.stdout == "7.1\n"
    text = (installed / "bin" / "cra").read_text()
    for line in (f"export CRA_DATA_DIR={installed}/data", "export CRA_AIR_GAPPED=true"):
        assert line in text.splitlines()


def test_a_second_run_changes_nothing(bundle: SmallBundle, installed: Path) -> None:
    before = lasting(installed)
    done = bundle.install(installed)
    assert done.returncode == 0, done.stderr
    assert lasting(installed) == before
    assert "building env/" not in done.stdout


def test_it_goes_on_after_kills_at_any_moment(bundle: SmallBundle, installed: Path, tmp_path: Path) -> None:
    draw, kills = random.Random(11), 0
    prefix = tmp_path / "killed"
    while kills < 20:
        process = subprocess.Popen(
            bundle.command(prefix), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(draw.uniform(0.1, 3.0))
            assert process.returncode == 0
            shutil.rmtree(prefix)  # it came to its end: once more from the beginning
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    done = bundle.install(prefix)
    assert done.returncode == 0, done.stderr
    assert lasting(prefix) == {
        name: _moved(name, digest, installed, prefix) for name, digest in lasting(installed).items()
    }
    names = [
        {path.relative_to(each / "current/env") for path in (each / "current/env").rglob("*.py")}
        for each in (prefix, installed)
    ]
    assert names[0] == names[1]


def _moved(name: str, digest: str, installed: Path, prefix: Path) -> str:
    """The hash of a file that names its prefix, for another prefix."""
    if name != "bin/cra":
        return digest
    return hashlib.sha256((installed / name).read_text().replace(str(installed), str(prefix)).encode()).hexdigest()


def test_media_are_given_one_after_another(place: Path, contents: dict[str, bytes], tmp_path: Path) -> None:
    whole = write_bundle(tmp_path / "whole", contents, place / "keys", parts=3)
    media = []
    for number in (1, 2, 3):
        medium = tmp_path / f"stick{number}"
        shutil.copytree(whole.folder, medium, ignore=shutil.ignore_patterns("part-*"))
        shutil.copytree(whole.folder / f"part-000{number}", medium, dirs_exist_ok=True)
        media.append(SmallBundle(medium, whole.manifest, whole.keys))
    prefix = tmp_path / "prefix"
    first = media[0].install(prefix)
    assert (first.returncode, "part 2, 3 of 3" in first.stderr) == (3, True)
    second = media[1].install(prefix)
    assert (second.returncode, "part 3 of 3" in second.stderr) == (3, True)
    assert not os.path.lexists(prefix / "current")
    assert not (prefix / "data").exists()
    last = media[2].install(prefix)
    assert last.returncode == 0, last.stderr
    assert {path: (prefix / path).read_bytes() for path in DATA} == DATA


def test_a_later_bundle_replaces_the_code_and_leaves_what_lives(
    place: Path, bundle: SmallBundle, installed: Path, contents: dict[str, bytes], tmp_path: Path
) -> None:
    prefix = tmp_path / "prefix"
    shutil.copytree(installed, prefix, symlinks=True)
    (prefix / "data/raw.sqlite").write_bytes(b"grown")
    (prefix / "data/corpus/spans/manifest.json").write_bytes(b"revised")
    (prefix / "data/keys").mkdir()
    (prefix / "data/keys/signing-key.pem").write_bytes(b"own")
    changed = contents | {
        "code/cli/more.py": b"MORE = 1\n",
        "data/raw.sqlite": b"older" * 100,
        "data/corpus/spans/manifest.json": b"other",
        "data/bases/def/model.safetensors": b"new" * 1000,
        "data/keys/signing-key.pem": b"theirs",
    }
    later = write_bundle(tmp_path / "later", changed, place / "keys", base=bundle)
    assert sum(1 for file in later.folder.glob("part-*/*/*")) < 10
    done = later.install(prefix)
    assert done.returncode == 0, done.stderr
    assert (prefix / "current").readlink().name == later.id[:16]
    assert (prefix / "current/code/cli/more.py").read_bytes() == b"MORE = 1\n"
    assert (prefix / "current/code/cli/main.py").read_bytes() == contents["code/cli/main.py"]
    assert (prefix / "data/bases/def/model.safetensors").read_bytes() == b"new" * 1000
    assert (prefix / "data/raw.sqlite").read_bytes() == b"grown"
    assert (prefix / "data/corpus/spans/manifest.json").read_bytes() == b"revised"
    assert (prefix / "data/keys/signing-key.pem").read_bytes() == b"own"
    left = {line.split()[4] for line in done.stdout.splitlines() if line.startswith("left as it is: ")}
    assert left == {"data/raw.sqlite", "data/corpus/spans", "data/keys/signing-key.pem"}
    assert (prefix / "versions" / bundle.id[:16] / "installed.json").is_file()


def test_what_the_earlier_bundle_holds_is_asked_for_where_it_is_not_there(
    place: Path, bundle: SmallBundle, contents: dict[str, bytes], tmp_path: Path
) -> None:
    later = write_bundle(tmp_path / "later", contents | {"code/new.py": b"1"}, place / "keys", base=bundle)
    said = refusal(later, tmp_path / "prefix")
    assert bundle.id[:16] in said
    assert "--part" in said
    done = later.install(tmp_path / "prefix", "--part", bundle.folder, "--dry-run")
    assert done.returncode == 0, done.stderr
    other = write_bundle(tmp_path / "other", {"code/a": b"a"}, place / "keys")
    assert "another bundle" in refusal(other, tmp_path / "fresh", "--part", bundle.folder)


def test_a_failed_self_test_leaves_the_version_in_use(
    place: Path, bundle: SmallBundle, installed: Path, contents: dict[str, bytes], tmp_path: Path
) -> None:
    prefix = tmp_path / "prefix"
    shutil.copytree(installed, prefix, symlinks=True)
    wheel = next(path for path in contents if path.startswith("wheels/pip-"))
    (tmp_path / Path(wheel).name).write_bytes(contents[wheel])
    broken = project_files(tmp_path / Path(wheel).name, tmp_path / "project", _SERIOUS)
    done = write_bundle(tmp_path / "broken", broken, place / "keys").install(prefix)
    assert done.returncode == 1
    assert "sandbox: no bubblewrap; allow user namespaces" in done.stderr.splitlines()[-1]
    assert (prefix / "current").readlink().name == bundle.id[:16]
