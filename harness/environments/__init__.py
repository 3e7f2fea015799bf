"""What a commit needs in order to run, and environments that hold it: discover, choose, lock, fetch,
acquire."""

from harness.environments.build import build_command, unpack_built
from harness.environments.dating import Calendar, calendar_of, day_of
from harness.environments.discovery import Project, discover, discover_commit
from harness.environments.eras import REACH_DAYS, WINDOW_DAYS, Era, eras_of, lock_for_era, midnight
from harness.environments.interpreters import (
    Interpreter,
    choose_interpreter,
    installed_interpreters,
    interpreter_for,
)
from harness.environments.metadata import generated_files, pretend_version, write_own_metadata
from harness.environments.provided import providing
from harness.environments.resolve import environment_key, lock, spec_key
from harness.environments.store import BuiltEnvironment, EnvironmentStore
from harness.environments.wheel_checks import check_wheel, unpack_wheel
from harness.environments.wheels import fetch_wheels

__all__ = [
    "REACH_DAYS",
    "WINDOW_DAYS",
    "BuiltEnvironment",
    "Calendar",
    "EnvironmentStore",
    "Era",
    "Interpreter",
    "Project",
    "build_command",
    "calendar_of",
    "check_wheel",
    "choose_interpreter",
    "day_of",
    "discover",
    "discover_commit",
    "environment_key",
    "eras_of",
    "fetch_wheels",
    "generated_files",
    "installed_interpreters",
    "interpreter_for",
    "lock",
    "lock_for_era",
    "midnight",
    "pretend_version",
    "providing",
    "spec_key",
    "unpack_built",
    "unpack_wheel",
    "write_own_metadata",
]
