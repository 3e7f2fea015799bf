"""How many days the environments of a package extend past the parents of their commits, recomputed from its history."""

from dataclasses import dataclass
from datetime import date

from harness.packages.checks.findings import ManifestFinding, shown
from harness.packages.package import RepoPackage
from models.manifest import Environment
from runtime.environments import REACH_DAYS, calendar_of, discover_commit, providing


@dataclass(frozen=True)
class Reach:
    """An environment, and how many days after the day of its commits' earliest parent its releases extend."""

    environment: Environment
    days: int


def reaches(package: RepoPackage) -> list[Reach]:
    """The reach of each environment that a commit of the package uses, in the manifest's order."""
    calendar = calendar_of(package.git)
    earliest: dict[str, date] = {}
    for instance in package.manifest.instances:
        if instance.environment is not None and instance.base_commit in calendar.times:
            day = calendar.day(instance.base_commit, calendar.times.get(instance.commit))
            earliest[instance.environment] = min(day, earliest.get(instance.environment, day))
    return [
        Reach(each, (date.fromisoformat(each.cutoff) - earliest[each.key]).days)
        for each in package.manifest.environments
        if each.key in earliest
    ]


def late_environments(package: RepoPackage) -> list[str]:
    """A line for each environment that extends further than the limit.

    A later release can contain the answer to a commit, so verdicts of such an instance are weaker.
    """
    found = []
    for reach in reaches(package):
        if reach.days > REACH_DAYS:
            why = reach.environment.late_because or "the package does not say why; prepare it again"
            name = f"environment {reach.environment.key[:12]}"
            found.append(f"{name} reaches {reach.days} days after the parent of a commit that uses it: {why}")
    return found


def misstated_reaches(package: RepoPackage) -> list[ManifestFinding]:
    """Environments whose reach in the manifest differs from the one recomputed from the history."""
    stated = [(reach, reach.environment.days_after) for reach in reaches(package)]
    return [
        ManifestFinding(
            f"environments.{reach.environment.key[:12]}.days_after", str(days), f"is {reach.days} by the history"
        )
        for reach, days in stated
        if days is not None and days != reach.days
    ]


def self_provided(package: RepoPackage) -> list[ManifestFinding]:
    """Wheels that provide a module of the work tree: one may contain the answer.

    The tree is that of the first instance that uses the environment. Raises WheelError for an unreadable wheel.
    """
    found: list[ManifestFinding] = []
    for environment in package.manifest.environments:
        user = next((each for each in package.manifest.instances if each.environment == environment.key), None)
        if user is None:
            continue
        modules = discover_commit(package.git, user.commit).modules
        names = providing(modules, [package.wheels / wheel for wheel in environment.wheels])
        field, why = f"environments.{environment.key[:12]}.wheels", f"provides what {user.instance_id} does"
        found += [ManifestFinding(field, shown(name), why) for name in sorted(names)]
    return found
