"""Building a repository's distribution by its own back end (PEP 517): the commands that are run in the sandbox."""

from collections.abc import Sequence
from pathlib import Path

from models.errors import EnvironmentFault
from runtime.environments.discovery import Project

DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"
"""The back end of a repository that names none (PEP 517)."""
DEFAULT_REQUIREMENTS = ("setuptools>=40.8.0", "wheel")
"""What a repository without a `[build-system]` table needs for building (PEP 518)."""
REQUIRED = "requires.json"
"""The file in the output folder to which `requirements_command` writes."""

# Back ends take versions and lists of files from git: the tree becomes a repository of one commit, tagged with the
# version. The interpreter's "-c" puts the working directory on the path, which PEP 517 forbids.
_SCRIPT = """\
import importlib, json, os, shutil, subprocess, sys
output, hook, version, name, *paths = sys.argv[1:]
if shutil.which("git"):
    for words in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "--allow-empty", "-m", "-"],
                  ["tag", "-f", version], ["tag", "-f", "v" + version]):
        subprocess.run(["git", *words], check=True)
here = os.getcwd()
sys.path[:] = [os.path.abspath(p) for p in paths] + [p for p in sys.path if os.path.abspath(p or ".") != here]
module, _, attribute = name.partition(":")
backend = importlib.import_module(module)
for part in filter(None, attribute.split(".")):
    backend = getattr(backend, part)
if hook == "requires":
    found = list(getattr(backend, "get_requires_for_build_wheel", list)())
    with open(os.path.join(output, "requires.json"), "w") as file:
        json.dump(found, file)
else:
    backend.build_wheel(os.path.abspath(output))
"""
_EPOCH = "1577836800"  # seconds; back ends write no earlier time into an archive than 1980


def build_requirements(project: Project) -> tuple[str, ...]:
    """The requirements for building a project, before its back end is asked for further ones."""
    return project.build_requires or (DEFAULT_REQUIREMENTS if not project.build_backend else ())


def build_command(project: Project, python: Path, output: Path, version: str) -> tuple[str, ...]:
    """The command that builds a wheel into `output`, run in the sandbox in a writable copy of the repository.

    Both paths are those inside the sandbox.
    """
    return _command(project, python, output, version, "wheel")


def requirements_command(project: Project, python: Path, output: Path, version: str) -> tuple[str, ...]:
    """The command that asks the back end what else it needs for a wheel, and writes it as JSON into `output`."""
    return _command(project, python, output, version, "requires")


def _command(project: Project, python: Path, output: Path, version: str, hook: str) -> tuple[str, ...]:
    backend = project.build_backend or DEFAULT_BACKEND
    return (str(python), "-c", _SCRIPT, str(output), hook, version, backend, *project.backend_path)


def build_variables(programs: Sequence[Path], inherited: str, version: str) -> dict[str, str]:
    """Environment variables of a build. `programs` are folders of programs, `inherited` is the sandbox's PATH.

    Back ends that look for a version elsewhere than in the tagged commit are given it by name.
    """
    author = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _AUTHOR.items()}
    return {
        **author,
        "PATH": ":".join([*map(str, programs), inherited]),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": _EPOCH,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "SETUPTOOLS_SCM_PRETEND_VERSION": version,
        "PBR_VERSION": version,
        "PDM_BUILD_SCM_VERSION": version,
        "POETRY_DYNAMIC_VERSIONING_BYPASS": version,
        "UV_DYNAMIC_VERSIONING_BYPASS": version,
    }


_AUTHOR = {"NAME": "sandbox", "EMAIL": "sandbox@localhost", "DATE": f"{_EPOCH} +0000"}


def built_wheel(output: Path) -> Path:
    """The single wheel that a build left. Raises EnvironmentFault if there is not exactly one."""
    wheels = sorted(path for path in output.glob("*.whl") if path.is_file() and not path.is_symlink())
    if len(wheels) != 1:
        raise EnvironmentFault(f"the build left {len(wheels)} wheels where one belongs; read its output")
    return wheels[0]
