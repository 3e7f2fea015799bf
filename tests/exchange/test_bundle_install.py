"""The installer of a bundle, run as its operator runs it: with Python alone, on small bundles that are signed."""

import fcntl
import hashlib
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.bundle_material import DATA, SmallBundle, pip_wheel, project_files, tree, write_bundle
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


def altered_copy(bundle: SmallBundle, folder: Path) -> SmallBundle:
    shutil.copytree(bundle.folder, folder)
    return SmallBundle(folder, bundle.manifest, bundle.keys)


def lasting(prefix: Path) -> dict[str, str]:
    """What an installation consists of, without the environment's files, which name the prefix, and compiled ones."""
    found = tree(prefix, leave_out=[".install.lock"])
    return {name: digest for name, digest in found.items() if "/env/" not in name and "__pycache__" not in name}


def refusal(bundle: SmallBundle, prefix: Path, *options: str | Path) -> str:
    done = bundle.install(prefix, *options)
    lines = done.stderr.splitlines()
    assert done.returncode == 1, done.stdout + done.stderr
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not os.path.lexists(prefix / "current")
    return lines[-1]


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
    while kills < 8:
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


def test_one_flipped_byte_in_any_chunk_is_found(bundle: SmallBundle, tmp_path: Path) -> None:
    draw, altered = random.Random(3), altered_copy(bundle, tmp_path / "altered")
    chunks = sorted(altered.folder.glob("part-*/*/*"))
    for at in range(6):
        chunk = draw.choice(chunks)
        content = bytearray(chunk.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        good, _ = chunk.read_bytes(), chunk.write_bytes(content)
        assert chunk.name in refusal(altered, tmp_path / f"prefix{at}")
        chunk.write_bytes(good)


def test_what_is_in_no_manifest_is_refused(bundle: SmallBundle, tmp_path: Path) -> None:
    altered = altered_copy(bundle, tmp_path / "altered")
    chunk = next(altered.folder.glob("part-*/*/*"))
    added = [
        "more.txt", "autorun.inf", "part-0001/more", f"part-0001/{chunk.parent.name}/{'0' * 64}", "part-0002/x",
        "installer/extra.py", "installer/__init__.py", "manifest/extra", "README.MD", ".hidden", "folder/x",
    ]  # fmt: skip
    for name in added:
        file = altered.folder / name
        made = [above for above in file.parents if not above.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        refusal(altered, tmp_path / "prefix")
        file.unlink()
        for above in made:
            above.rmdir()
    (altered.folder / "link").symlink_to("/etc/passwd")
    refusal(altered, tmp_path / "prefix")
    (altered.folder / "link").unlink()
    os.mkfifo(altered.folder / "part-0001" / "pipe")
    refusal(altered, tmp_path / "prefix")
    (altered.folder / "part-0001" / "pipe").unlink()
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    assert "link" in refusal(altered, tmp_path / "prefix")


def test_an_altered_installer_is_not_run(bundle: SmallBundle, tmp_path: Path) -> None:
    altered = altered_copy(bundle, tmp_path / "altered")
    file, mark = altered.folder / "installer" / "faults.py", tmp_path / "ran"
    file.write_text(file.read_text() + f"\nopen({str(mark)!r}, 'w').close()\n")
    assert "faults.py was altered" in refusal(altered, tmp_path / "prefix")
    assert not mark.exists()
    assert not (tmp_path / "prefix").exists()


def test_another_key_is_refused_before_anything_is_written(bundle: SmallBundle, place: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "other", {"code/a": b"a"}, tmp_path / "keys")
    stranger = tmp_path / "keys" / "signing-key.pub"
    refusal(bundle, tmp_path / "prefix", "--key", stranger)
    refusal(bundle, tmp_path / "prefix", "--fingerprint", fingerprint(stranger))
    assert not (tmp_path / "prefix").exists()
    own = bundle.install(tmp_path / "prefix", "--key", place / "keys" / "signing-key.pub", "--dry-run")
    assert own.returncode == 0, own.stderr
    assert not (tmp_path / "prefix").exists()


def test_prefixes_that_are_somebody_elses_or_unsafe_are_refused(bundle: SmallBundle, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "pyvenv.cfg").write_text("")
    marked = tmp_path / "marked"
    marked.mkdir()
    (marked / "installation.json").write_text('{"project": "another"}\n')
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "target")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link").symlink_to(tmp_path)
    shared.chmod(0o777)
    file = tmp_path / "file"
    file.write_text("")
    prefixes = [
        bundle.folder / "inside", bundle.folder, bundle.folder.parent, others, marked, linked, shared / "new", shared,
        shared / "link" / "new", file, file / "below", Path("/proc/nothing"), tmp_path / "a:b", tmp_path / "a\nb",
    ]  # fmt: skip
    for prefix in prefixes:
        refusal(bundle, prefix)
    assert sorted(path.name for path in others.iterdir()) == ["pyvenv.cfg"]
    assert not (tmp_path / "target").exists()


def mounted(bundle: SmallBundle, folder: Path, options: str) -> "subprocess.CompletedProcess[str]":
    """Install below a small file system in memory that is mounted with the options, in a namespace of its own."""
    folder.mkdir()
    script = 'mount -t tmpfs -o "$1" none "$2" || exit 77; shift 2; exec "$@"'
    argv = ["unshare", "-rm", "sh", "-c", script, "sh", options, str(folder), *bundle.command(folder / "prefix")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    return done


def test_a_full_disk_is_foreseen(bundle: SmallBundle, tmp_path: Path) -> None:
    done = mounted(bundle, tmp_path / "small", "size=4m")
    assert done.returncode == 1
    assert "are needed" in done.stderr.splitlines()[-1]


def test_a_file_system_without_programs_is_refused(bundle: SmallBundle, tmp_path: Path) -> None:
    done = mounted(bundle, tmp_path / "noexec", "size=100m,noexec")
    assert done.returncode == 1
    assert "noexec" in done.stderr.splitlines()[-1]


def test_other_machines_are_refused(
    bundle: SmallBundle, place: Path, contents: dict[str, bytes], tmp_path: Path
) -> None:
    strange = write_bundle(tmp_path / "arm", contents, place / "keys", platform="linux-aarch64")
    assert "linux-aarch64" in refusal(strange, tmp_path / "prefix")
    newer = write_bundle(tmp_path / "newer", contents, place / "keys", changes={"python": "3.99"})
    assert "3.99" in refusal(newer, tmp_path / "prefix")
    assert "of no version" in refusal(bundle, tmp_path / "prefix", "--python", "/bin/true")
    assert "does not run" in refusal(bundle, tmp_path / "prefix", "--python", tmp_path / "nothing")
    assert not (tmp_path / "prefix").exists()


def test_two_installers_do_not_work_in_one_prefix(bundle: SmallBundle, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    with (prefix / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another installer" in refusal(bundle, prefix)
