"""Building a repository with extension modules: the command to run in the sandbox, and unpacking its wheel."""

from pathlib import Path

from models.errors import EnvironmentFault
from runtime.environments.discovery import Project
from runtime.environments.wheel_checks import check_built, unpack_wheel

# PEP 517 without isolation: the environment holds the build requirements, and the sandbox has no network.
_RUNNER = """\
import importlib, os, sys
output, name, *paths = sys.argv[1:]
sys.path[:0] = [os.path.abspath(path) for path in paths]
module, _, attribute = name.partition(":")
backend = importlib.import_module(module)
for part in filter(None, attribute.split(".")):
    backend = getattr(backend, part)
print(backend.build_wheel(os.path.abspath(output)))
"""


def build_command(project: Project, python: Path, output: Path) -> tuple[str, ...] | None:
    """The command that builds a wheel into `output`, run in the sandbox in a writable copy of the repository.

    Both paths are those inside the sandbox. None if the project need not be built. Build backends need a version
    where there is no history: set SETUPTOOLS_SCM_PRETEND_VERSION to the instance's version.
    """
    if not project.needs_build:
        return None
    backend = project.build_backend or "setuptools.build_meta:__legacy__"
    return (str(python), "-c", _RUNNER, str(output), backend, *project.backend_path)


def unpack_built(output: Path, destination: Path) -> Path:
    """Unpack the single wheel that a build produced into a folder for the import path; returns the wheel.

    Raises EnvironmentFault if there is not exactly one, WheelError for one that an index would not be allowed to serve.
    """
    wheels = sorted(path for path in output.glob("*.whl") if path.is_file() and not path.is_symlink())
    if len(wheels) != 1:
        raise EnvironmentFault(f"the build left {len(wheels)} wheels where one belongs; read its output")
    check_built(wheels[0])
    unpack_wheel(wheels[0], destination)
    return wheels[0]
