"""vLLM's environments, with real interpreters; packages of a few lines play vLLM and torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from llm.serving import commands
from llm.serving.commands import ListenAddress
from llm.serving.environments import VllmEnvironment, environments, made_environment, probe_environment
from models.errors import ServingError
from models.serving_settings import ServingSettings

LOCK = '[[package]]\nname = "{name}"\nversion = "0.33.0"\n'


def locked(root: Path, name: str) -> VllmEnvironment:
    """The folder of an environment with its lock, not made yet."""
    folder = root / "environments" / name
    folder.mkdir(parents=True)
    (folder / "uv.lock").write_text(LOCK.format(name=name))
    return VllmEnvironment(name, folder)


def make(environment: VllmEnvironment, version: str, vllm: str = "") -> None:
    """Make an environment with a vLLM of that version, whose module is `vllm`, and a torch without a GPU."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment.folder / ".venv")], check=True)
    [site] = (environment.folder / ".venv" / "lib").glob("python*/site-packages")
    (site / "vllm.py").write_text(vllm)
    (site / "torch.py").write_text(
        "class cuda:\n    is_available = staticmethod(lambda: False)\n__version__ = '2.14.0'\n"
    )
    facts = site / f"{environment.name.replace('-', '_')}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {environment.name}\nVersion: {version}\n")


def test_the_first_environment_that_was_made_is_found(tmp_path: Path) -> None:
    assert environments(tmp_path) == []
    locked(tmp_path, "vllm")
    second = locked(tmp_path, "vllm-cpu")
    assert made_environment(tmp_path) is None
    make(second, "0.33.0")
    assert made_environment(tmp_path) == second


def test_its_facts_are_those_of_what_is_installed_there(tmp_path: Path) -> None:
    each = locked(tmp_path, "vllm")
    make(each, "0.32.0")
    facts = probe_environment(each)
    assert (facts.version, facts.torch, facts.gpu) == ("0.32.0", "2.14.0", "")
    assert each.locked() == "0.33.0"


def test_one_that_cannot_import_vllm_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    each = locked(tmp_path, "vllm")
    make(each, "0.33.0", "import fastapi_of_another_version")
    with pytest.raises(ServingError) as raised:
        probe_environment(each)
    assert "fastapi_of_another_version" in str(raised.value)
    assert each.command in str(raised.value)


def test_a_lock_without_vllm_is_refused(tmp_path: Path) -> None:
    each = locked(tmp_path, "vllm")
    (each.folder / "uv.lock").write_text(LOCK.format(name="torch"))
    with pytest.raises(ServingError, match="vllm"):
        each.locked()


def test_serving_uses_it_unless_another_python_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = locked(tmp_path, "vllm")
    make(each, "0.33.0")
    monkeypatch.setattr(commands, "made_environment", lambda: made_environment(tmp_path))
    launch = commands.vllm(ServingSettings(), "base", tmp_path, [], [], ListenAddress())
    assert launch.argv[0] == str(each.python)
    other = commands.vllm(ServingSettings(python=sys.executable), "base", tmp_path, [], [], ListenAddress())
    assert other.argv[0] == sys.executable
