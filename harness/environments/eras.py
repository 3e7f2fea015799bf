"""Which Python a commit's requirements are locked for: the newest of its day that the day's wheels had reached.

In the weeks after a Python release many projects have no wheel for it yet, and a resolver that may not build falls
back to releases from years ago that happen to be pure Python. Such a fallback is seen by comparing locks: a newer
Python gets no older release of a package than the Python before it, unless wheels were missing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from packaging.version import Version

from harness.environments.discovery import Project
from harness.environments.interpreters import Interpreter, choose_interpreter
from harness.environments.resolve import applicable, lock
from harness.environments.wheels import locked
from models.errors import EnvironmentFault
from models.manifest import Environment


def lock_for_era(
    project: Project, moment: datetime, installed: Sequence[Interpreter]
) -> tuple[Interpreter, Environment]:
    """The interpreter and the environment of a commit made at `moment`: releases up to the next day count.

    Raises EnvironmentFault when no installed interpreter satisfies the project, or none of those gives a lock.
    """
    cutoff = (moment + timedelta(days=1)).date()
    newest = choose_interpreter(project.requires_python, moment, installed)
    older = [i for i in installed if Version(i.full) < Version(newest.full) and i.version != newest.version]
    try:
        environment = lock(project, newest, cutoff)
    except EnvironmentFault:
        return _lock_with_older(project, moment, older)
    try:
        before = _lock_with_older(project, moment, older)
    except EnvironmentFault:
        return newest, environment
    lacks_more = lacking(project, newest, environment) > lacking(project, *before)
    return before if lacks_more or fell_back(environment, before[1]) else (newest, environment)


def _lock_with_older(
    project: Project, moment: datetime, older: Sequence[Interpreter]
) -> tuple[Interpreter, Environment]:
    interpreter = choose_interpreter(project.requires_python, moment, older)
    return interpreter, lock(project, interpreter, (moment + timedelta(days=1)).date())


def lacking(project: Project, interpreter: Interpreter, environment: Environment) -> int:
    """How many requirements were left out because no wheel of that day fits the interpreter."""
    return len(applicable(project, interpreter)) - len(environment.requires)


def fell_back(newer: Environment, older: Environment) -> bool:
    """Whether the lock for the newer Python has some package in an older release, for want of a wheel."""
    versions = dict(locked(older.lock).keys())
    return any(name in versions and version < versions[name] for name, version in locked(newer.lock))
