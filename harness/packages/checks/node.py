"""Checks of the values of an environment of Node.js."""

from collections.abc import Iterator, Mapping

from harness.packages.checks import values
from harness.packages.checks.findings import ManifestFinding, shown
from models.errors import EnvironmentFault
from models.manifest import NODE, Environment
from runtime.environments.node import is_release, parse_lock, release_of
from runtime.environments.resolve import environment_key

_DAYS = 10**5


def node_environment(field: str, environment: Environment, wheels: Mapping[str, str]) -> Iterator[ManifestFinding]:
    """The faults of an environment of Node.js, by itself and against its package's wheels."""
    for name in ("python", "requires"):
        if value := getattr(environment, name):
            yield ManifestFinding(f"{field}.{name}", shown(value), "is for environments of Python")
    if why := values.text(environment.late_because):
        yield ManifestFinding(f"{field}.late_because", shown(environment.late_because), why)
    if environment.days_after is not None and not 0 <= environment.days_after <= _DAYS:
        yield ManifestFinding(
            f"{field}.days_after", shown(environment.days_after), f"is no number of days up to {_DAYS}"
        )
    if why := values.day(environment.cutoff):
        yield ManifestFinding(f"{field}.cutoff", shown(environment.cutoff), why)
    derived = environment_key(environment.requires, environment.lock, environment.abi)
    if environment.key != derived:
        yield ManifestFinding(f"{field}.key", shown(environment.key), f"is not the key of what it holds ({derived})")
    try:
        lock = parse_lock(environment.lock)
    except EnvironmentFault as error:
        yield ManifestFinding(f"{field}.lock", shown(environment.lock), str(error).partition(";")[0])
        return
    if environment.abi != f"{NODE}{lock.node}":
        yield ManifestFinding(f"{field}.abi", shown(environment.abi), "is not the release of Node.js in the lock")
    named = [name for name in environment.wheels if not values.wheel(name) and is_release(name)]
    if len(environment.wheels) != 1 or not named:
        yield ManifestFinding(f"{field}.wheels", shown(list(environment.wheels)), "is not one wheel of Node.js")
    elif release_of(named[0]) != lock.node or wheels.get(named[0]) != lock.wheel:
        yield ManifestFinding(f"{field}.wheels", shown(named[0]), "is not the wheel that the lock names by its hash")
