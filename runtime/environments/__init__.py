"""Requirements of a commit, and the environments that fulfil them: discover, choose, lock, fetch, acquire."""

from runtime.environments.build import (
    REQUIRED,
    build_command,
    build_requirements,
    build_variables,
    built_wheel,
    requirements_command,
)
from runtime.environments.dating import CommitDates, calendar_of, day_of
from runtime.environments.discovery import Project, discover, discover_commit
from runtime.environments.eras import REACH_DAYS, WINDOW_DAYS, Era, eras_of, lock_for_era, midnight
from runtime.environments.identity import environment_identity
from runtime.environments.installation import Installation, installation_from_sources, installation_of, scripts_of
from runtime.environments.interpreters import Interpreter, choose_interpreter, installed_interpreters, interpreter_for
from runtime.environments.kept_installations import KeptInstallations
from runtime.environments.metadata import (
    generated_files,
    own_metadata,
    own_plugins,
    pretend_version,
    valid_entry_points,
)
from runtime.environments.provided import installed_modules, providing
from runtime.environments.resolve import environment_key, lock, spec_key
from runtime.environments.store import BuiltEnvironment, EnvironmentStore
from runtime.environments.wheel_checks import (
    check_built,
    check_together,
    check_wheel,
    known_sha256,
    unpack_wheel,
    wheel_contents,
)
from runtime.environments.wheels import fetch_wheels

__all__ = [
    "REACH_DAYS",
    "REQUIRED",
    "WINDOW_DAYS",
    "BuiltEnvironment",
    "CommitDates",
    "EnvironmentStore",
    "Era",
    "Installation",
    "Interpreter",
    "KeptInstallations",
    "Project",
    "build_command",
    "build_requirements",
    "build_variables",
    "built_wheel",
    "calendar_of",
    "check_built",
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
    "installation_from_sources",
    "installation_of",
    "installed_interpreters",
    "installed_modules",
    "interpreter_for",
    "known_sha256",
    "lock",
    "lock_for_era",
    "midnight",
    "own_metadata",
    "own_plugins",
    "pretend_version",
    "providing",
    "requirements_command",
    "scripts_of",
    "spec_key",
    "unpack_wheel",
    "valid_entry_points",
    "wheel_contents",
]
