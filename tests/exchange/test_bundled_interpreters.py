"""Interpreters of a bundle run in another place, or are refused with the reason."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exchange.bundle.interpreters import moved_interpreters
from exchange.bundle.movable import set_search_path
from exchange.bundle.wheels import PLATFORM
from models.errors import UsageError
from runtime.environments.interpreters import Interpreter, installed_interpreters
from tests.support.empty_root import empty_root, run_empty

_USE = """
import ctypes, sqlite3, ssl, sys, readline
print(sys.prefix, sqlite3.connect(":memory:").execute("SELECT 9 * 5").fetchone()[0])
"""

_PROGRAM = """#!/bin/sh
test -n "$0"
{body}
"""


def _interpreter(folder: Path, body: str) -> Interpreter:
    """A folder laid out as an interpreter's, whose program is a script."""
    program = folder / "bin" / "python3.12"
    program.parent.mkdir(parents=True)
    program.write_text(_PROGRAM.format(body=body))
    program.chmod(0o755)
    (folder / "bin" / "python3").symlink_to("python3.12")
    for name in ("bin/pip", "lib/libpython3.12.a", "lib/python3.12/test/test_os.py", "lib/python3.12/os.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return Interpreter("3.12", "3.12.9", "cp312", program, folder)


@pytest.fixture(scope="module")
def own() -> Interpreter:
    """An interpreter that has a tree of its own; the system's has none."""
    found = [each for each in installed_interpreters() if each.prefix != Path("/usr")]
    if not found:
        pytest.skip("the system's Python is the only one here")
    return found[-1]


def test_a_packed_interpreter_runs_where_its_own_folder_and_the_libraries_that_it_used_are_not(
    tmp_path: Path, own: Interpreter
) -> None:
    found = moved_interpreters([own.version], tmp_path)
    newest = next(each for each in installed_interpreters() if each.abi == own.abi and each.prefix != Path("/usr"))
    top = f"interpreter/cpython-{newest.full}-{PLATFORM}-gnu"
    assert {source.path.split("/lib/")[0].split("/bin/")[0].removesuffix("/include") for source in found.files} >= {top}
    assert all(source.file == tmp_path / source.path for source in found.files)
    programs = {source.path.removeprefix(f"{top}/bin/") for source in found.files if "/bin/" in source.path}
    assert {"python3", f"python{own.version}"} <= programs
    assert not any(name.startswith(("pip", "2to3", "idle")) for name in programs)
    root = empty_root(_folder(tmp_path / "home"), [tmp_path / "interpreter"])
    program = f"/media/{top}/bin/python{own.version}"
    said = run_empty(root, program, "-I", "-B", "-c", _USE).stdout.split()
    assert said == [f"/media/{top}", "45"]


def test_one_that_does_not_run_in_another_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = _interpreter(tmp_path / "python", "exit 127")
    monkeypatch.setattr("exchange.bundle.interpreters.installed_interpreters", lambda: (interpreter,))
    with pytest.raises(UsageError, match=r"does not run.*uv python install 3\.12"):
        moved_interpreters(["3.12"], tmp_path / "work")


def test_one_whose_files_stay_elsewhere_is_refused_with_their_place(
    tmp_path: Path, own: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Interpreter("3.12", "3.12.9", "cp312", own.executable, tmp_path / "python")
    _interpreter(tmp_path / "python", f'exec {own.executable} "$@"')
    monkeypatch.setattr("exchange.bundle.interpreters.installed_interpreters", lambda: (there,))
    with pytest.raises(UsageError, match=re.escape(str(own.prefix))):
        moved_interpreters(["3.12"], tmp_path / "work")


def test_the_systems_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = Interpreter("3.12", "3.12.9", "cp312", Path("/usr/bin/python3.12"), Path("/usr"))
    for name, found in (("installed_interpreters", lambda: (system,)), ("interpreter_for", lambda abi: system)):
        monkeypatch.setattr(f"exchange.bundle.interpreters.{name}", found)
    with pytest.raises(UsageError, match="system's"):
        moved_interpreters(["3.12"], tmp_path)


def test_a_search_path_is_overwritten_in_its_place_or_refused(tmp_path: Path, own: Interpreter) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not here")
    library = next(
        (file for file in sorted(own.prefix.glob("lib/python*/lib-dynload/*.so")) if _search_path(file)), None
    )
    if library is None:
        pytest.skip("the interpreters here have no search paths")
    copy = Path(shutil.copyfile(library, tmp_path / "copy.so"))
    set_search_path(copy, "$ORIGIN/x")
    assert _search_path(copy) == ["(RPATH)", "[$ORIGIN/x]"]
    assert copy.stat().st_size == library.stat().st_size
    with pytest.raises(UsageError, match=r"copy\.so"):
        set_search_path(copy, "$ORIGIN/" + "../" * 100)
    copy.write_bytes(library.read_bytes()[:100])
    with pytest.raises(UsageError, match=r"copy\.so"):
        set_search_path(copy, "$ORIGIN/x")


def _search_path(file: Path) -> list[str]:
    said = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in said.splitlines() if "(RPATH)" in line or "(RUNPATH)" in line]
    return [rows[0][1], rows[0][-1]] if rows else []


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
