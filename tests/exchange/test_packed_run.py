"""`run.py` of a pack on machines that it does not suit, and with things in its folder that it did not put there."""

import ast
import ensurepip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import exchange.outsource

RUN = Path(exchange.outsource.__file__).with_name("run.py")
Done = subprocess.CompletedProcess[str]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def entry(file: Path) -> dict[str, object]:
    return {"bytes": file.stat().st_size, "sha256": digest(file)}


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack of no training: a base of one file, no requirements, and pip's wheel to build an environment with."""
    folder = tmp_path / "pack"
    for name in ("manifest", "base", "wheels"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(RUN, folder / "run.py")
    (folder / "base" / "config.json").write_text("{}")
    (folder / "requirements.txt").write_text("# none\n")
    [wheel] = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    shutil.copyfile(wheel, folder / "wheels" / wheel.name)
    files = {path.relative_to(folder).as_posix(): entry(path) for path in folder.rglob("*") if path.is_file()}
    manifest = {
        "method": "sft", "base_name": "tiny", "target": "scope", "backend": "trl-cpu", "files": files,
        "base_files": {"config.json": entry(folder / "base" / "config.json")},
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"{platform.system().lower()}-{platform.machine()}",
        "needs": {"disk": 0, "memory": 0, "gpu_memory": 0, "tokens": 1, "seconds": 1},
    }  # fmt: skip
    (folder / "manifest" / "pack.json").write_text(json.dumps(manifest))
    return folder


def run(pack: Path, *arguments: str, before: str = "") -> Done:
    """`run.py` in a process with a cache of its own, after the statements `before`."""
    code = f"{before}\nimport runpy, sys\nsys.argv = ['run.py', *{list(arguments)!r}]\n"
    code += f"runpy.run_path({str(pack / 'run.py')!r}, run_name='__main__')"
    environment = {**os.environ, "XDG_CACHE_HOME": str(pack.parent / "cache")}
    argv = [sys.executable, "-I", "-c", code]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def test_a_pack_that_is_whole_passes(pack: Path) -> None:
    done = run(pack, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_old_python_can_read_it_and_is_refused_by_name(pack: Path) -> None:
    ast.parse(RUN.read_text(), feature_version=(3, 6))
    done = run(pack, "--dry-run", before="import sys; sys.version_info = (3, 8, 18)")
    assert done.returncode == 1
    assert sys.executable in done.stderr and "3.9" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("module", ["ssl", "venv", "ctypes"])
def test_a_python_without_a_module_is_refused_by_its_name(pack: Path, module: str) -> None:
    done = run(pack, "--dry-run", before=f"import sys; sys.modules[{module!r}] = None")
    assert done.returncode == 1
    assert f"no {module}" in done.stderr and "--python" in done.stderr
    allowed = run(pack, "--dry-run", "--python", sys.executable, before=f"import sys; sys.modules[{module!r}] = None")
    assert allowed.returncode == 0


def test_a_python_that_is_none_is_named(pack: Path) -> None:
    done = run(pack, "--dry-run", "--python", "/nowhere/python")
    assert done.returncode == 1 and "/nowhere/python" in done.stderr


@pytest.mark.parametrize("place", ["work/b", "../elsewhere"])
def test_a_base_that_is_given_is_hashed_wherever_it_lies(pack: Path, place: str) -> None:
    base = pack / place
    base.mkdir(parents=True)
    (base / "config.json").write_text("{}")
    assert run(pack, "--dry-run", "--base", str(base)).returncode == 0
    (base / "config.json").write_text("[]")
    done = run(pack, "--dry-run", "--base", str(base))
    assert done.returncode == 1 and "config.json was altered" in done.stderr


def test_an_environment_is_used_again_only_where_it_was_built(pack: Path, tmp_path: Path) -> None:
    work = pack / "code" / "exchange" / "outsource"
    assert "building env/" in run(pack).stdout
    assert "building env/" not in run(pack, "--resume").stdout, "it is on this user's record"
    assert not work.exists()

    ran, planted = tmp_path / "ran", tmp_path / "planted"
    shutil.copytree(pack / "env", planted, symlinks=True)
    (planted / "bin" / "python").unlink()
    (planted / "bin" / "python").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (planted / "bin" / "python").chmod(0o755)
    (pack / "env").rename(tmp_path / "ours")
    planted.rename(pack / "env")
    assert (pack / "env" / ".built").read_text() == digest(pack / "requirements.txt")
    assert "building env/" in run(pack, "--resume").stdout
    assert not ran.exists()


def test_an_environment_in_the_place_of_a_removed_one_is_not_used(pack: Path, tmp_path: Path) -> None:
    """As where the file system gives a removed folder's number to the folder of another pack at the same path."""
    assert "building env/" in run(pack).stdout
    ran, marker = tmp_path / "ran", (pack / "env" / ".built").read_text()
    shutil.rmtree(pack / "env" / "bin")
    (pack / "env" / ".built").unlink()
    (pack / "env" / "bin").mkdir()
    (pack / "env" / "bin" / "python").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (pack / "env" / "bin" / "python").chmod(0o755)
    (pack / "env" / ".built").write_text(marker)
    assert "building env/" in run(pack, "--resume").stdout
    assert not ran.exists()


def test_an_environment_that_came_along_is_not_used(pack: Path, tmp_path: Path) -> None:
    ran, python = tmp_path / "ran", pack / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {ran}\n")
    python.chmod(0o755)
    (pack / "env" / ".built").write_text(digest(pack / "requirements.txt"))
    assert "env/ is there already" in run(pack).stderr
    assert "building env/" in run(pack, "--resume").stdout
    assert not ran.exists()
