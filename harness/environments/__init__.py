"""What a commit needs in order to run, and environments that hold it: discover, choose, lock, fetch,
acquire."""

from harness.environments.build import build_command, unpack_built
from harness.environments.discovery import Project, discover, discover_commit
from harness.environments.eras import lock_for_era
from harness.environments.identity import environment_identity
from harness.environments.interpreters import (
    Interpreter,
    choose_interpreter,
    installed_interpreters,
    interpreter_for,
)
from harness.environments.metadata import (
    generated_files,
    own_plugins,
    pretend_version,
    valid_entry_points,
    write_own_metadata,
)
from harness.environments.plugins import RUNNER_GROUP, installed_modules, registered_plugins
from harness.environments.resolve import environment_key, lock, spec_key
from harness.environments.store import BuiltEnvironment, EnvironmentStore
from harness.environments.wheel_checks import check_together, check_wheel, known_sha256, unpack_wheel
from harness.environments.wheels import fetch_wheels

__all__ = [
    "RUNNER_GROUP",
    "BuiltEnvironment",
    "EnvironmentStore",
    "Interpreter",
    "Project",
    "build_command",
    "check_together",
    "check_wheel",
    "choose_interpreter",
    "discover",
    "discover_commit",
    "environment_identity",
    "environment_key",
    "fetch_wheels",
    "generated_files",
    "installed_interpreters",
    "installed_modules",
    "interpreter_for",
    "known_sha256",
    "lock",
    "lock_for_era",
    "own_plugins",
    "pretend_version",
    "registered_plugins",
    "spec_key",
    "unpack_built",
    "unpack_wheel",
    "valid_entry_points",
    "write_own_metadata",
]
