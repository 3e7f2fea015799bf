"""Programs that the project depends on are found where `cra` is called by its path, without an environment entered."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from host.process import find_own_programs, run


def test_uv_of_the_environment_is_found_behind_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    find_own_programs()
    find_own_programs()
    assert os.environ["PATH"] == f"/usr/bin:/bin:{Path(sys.executable).parent}"
    assert shutil.which("uv") is not None
    assert run(["uv", "--version"]).startswith(b"uv ")
