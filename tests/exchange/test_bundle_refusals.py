"""What the installer of a bundle refuses, each with one line, before anything is put into use."""

import fcntl
import os
import pwd
import random
import subprocess
import sys
from pathlib import Path

import pytest

from exchange.bundle import install
from runtime.environments.interpreters import installed_interpreters
from tests.support.bundle_material import (
    DATA,
    SmallBundle,
    altered_copy,
    pip_wheel,
    project_files,
    refusal,
    write_bundle,
)
from training.adapters.registry.signing import fingerprint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def contents(place: Path) -> dict[str, bytes]:
    return {**project_files(pip_wheel(place), place / "project"), **DATA}


@pytest.fixture(scope="module")
def bundle(place: Path, contents: dict[str, bytes]) -> SmallBundle:
    return write_bundle(place / "first", contents, place / "keys")


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


def test_a_prefix_below_a_folder_that_others_may_replace_is_refused(bundle: SmallBundle, tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o775)
    assert bundle.install(above / "prefix", "--dry-run").returncode == 0  # its group has no other member
    above.chmod(0o757)
    assert "chmod o-w" in refusal(bundle, above / "prefix")
    above.chmod(0o1777)
    assert bundle.install(above / "prefix", "--dry-run").returncode == 0
    (tmp_path / "leads").symlink_to(above / "deep")
    (above / "deep").mkdir()
    above.chmod(0o757)
    assert "chmod o-w" in refusal(bundle, tmp_path / "leads" / "prefix")  # the link is ours, what it leads to is not
    above.chmod(0o1777)
    if os.geteuid():
        pytest.skip("only root can give a folder to others")
    other, group = _other_user()
    os.chown(above, 0, group)
    above.chmod(0o775)
    assert "chmod g-w" in refusal(bundle, above / "prefix")
    above.chmod(0o755)
    os.chown(above, other, 0)
    assert "as that user" in refusal(bundle, above / "prefix")
    os.chown(above, 0, 0)
    (above / "prefix").mkdir()
    os.chown(above / "prefix", other, other)
    assert "belongs to" in refusal(bundle, above / "prefix")
    (above / "link").symlink_to(tmp_path)
    os.chown(above / "link", other, other, follow_symlinks=False)
    assert "belongs to" in refusal(bundle, above / "link" / "prefix")
    assert not list((above / "prefix").iterdir())


def _other_user() -> tuple[int, int]:
    """The user and group id of an ordinary account."""
    found = next(user for user in pwd.getpwall() if user.pw_uid and user.pw_gid)
    return found.pw_uid, found.pw_gid


def test_every_python_from_the_least_one_on_starts_the_installer(bundle: SmallBundle, tmp_path: Path) -> None:
    _, *told = bundle.command(tmp_path / "prefix", "--dry-run", "--python", sys.executable)
    tried = 0
    for interpreter in installed_interpreters():
        if tuple(map(int, interpreter.version.split("."))) >= install.LEAST_PYTHON:
            argv = [str(interpreter.executable), *told]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, f"{interpreter.full}: {done.stderr}"
            tried += 1
    assert tried


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


def test_a_bundle_of_another_key_replaces_an_installation_only_if_that_is_said(
    bundle: SmallBundle, contents: dict[str, bytes], tmp_path: Path
) -> None:
    prefix = tmp_path / "prefix"
    assert bundle.install(prefix).returncode == 0
    foreign = write_bundle(tmp_path / "foreign", contents | {"data/keys/trusted/x.pub": b"x"}, tmp_path / "keys")
    before = (prefix / "current").readlink()
    done = foreign.install(prefix)
    assert done.returncode == 1
    assert fingerprint(bundle.keys / "signing-key.pub") in done.stderr
    assert (prefix / "current").readlink() == before
    assert not (prefix / "data" / "keys").exists()
    assert not (prefix / "versions" / foreign.id[:16]).exists()
    told = foreign.install(prefix, "--fingerprint", fingerprint(foreign.keys / "signing-key.pub"))
    assert told.returncode == 0, told.stderr
    assert (prefix / "current").readlink().name == foreign.id[:16]


def test_what_is_no_bundle_is_one_line(bundle: SmallBundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is missing" in refusal(bundle, tmp_path / "prefix", "--part", tmp_path / "empty")
    altered = altered_copy(bundle, tmp_path / "altered")
    (altered.folder / "manifest" / "statement.sig").write_text("[" * 200_000)
    refusal(altered, tmp_path / "prefix")
    many = altered_copy(bundle, tmp_path / "many")
    (many.folder / "manifest" / "more").touch()
    os.truncate(many.folder / "manifest" / "more", 1 << 40)
    assert "is in no bundle" in refusal(many, tmp_path / "prefix")


def test_nothing_beside_the_installer_is_imported_though_an_option_was_forgotten(
    bundle: SmallBundle, tmp_path: Path
) -> None:
    altered, mark = altered_copy(bundle, tmp_path / "altered"), tmp_path / "ran"
    for name in ("__future__", "argparse", "json", "sys"):
        (altered.folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    argv = [each for each in altered.command(tmp_path / "prefix") if each != "-I"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 1
    assert "python3 -I" in done.stderr
    assert not mark.exists()


def test_nobody_else_may_write_into_an_installation_whatever_the_umask(bundle: SmallBundle, tmp_path: Path) -> None:
    argv = ["sh", "-c", 'umask 0; exec "$@"', "sh", *bundle.command(tmp_path / "prefix")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = [path for path in (tmp_path / "prefix").rglob("*") if not path.is_symlink()]
    assert [path for path in found if path.stat().st_mode & 0o022] == []
