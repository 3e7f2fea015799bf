"""What a commit needs in order to run, and environments that hold it: discover, choose, lock, fetch,
acquire."""

from harness.environments.build import build_command, unpack_built
from harness.environments.dating import Calendar, calendar_of, day_of
from harness.environments.discovery import Project, discover, discover_commit
from harness.environments.eras import REACH_DAYS, WINDOW_DAYS, Era, eras_of, lock_for_era, midnight
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
from harness.environments.provided import providing
from harness.environments.resolve import environment_key, lock, spec_key
from harness.environments.store import BuiltEnvironment, EnvironmentStore
from harness.environments.wheel_checks import check_together, check_wheel, known_sha256, unpack_wheel
from harness.environments.wheels import fetch_wheels

__all__ = [
    "REACH_DAYS",
    "RUNNER_GROUP",
    "WINDOW_DAYS",
    "BuiltEnvironment",
    "Calendar",
    "EnvironmentStore",
    "Era",
    "Interpreter",
    "Project",
    "build_command",
    "calendar_of",
    "check_together",
    "check_wheel",
    "choose_interpreter",
    "day_of",
    "discover",
    "discover_commit",
    "environment_identity",
    "environment_key",
    "eras_of",
    "fetch_wheels",
    "generated_files",
    "installed_interpreters",
    "installed_modules",
    "interpreter_for",
    "known_sha256",
    "lock",
    "lock_for_era",
    "midnight",
    "own_plugins",
    "pretend_version",
    "providing",
    "registered_plugins",
    "spec_key",
    "unpack_built",
    "unpack_wheel",
    "valid_entry_points",
    "write_own_metadata",
]
