"""How far the environments of a package reach past the commits that they are for, found again from its history."""

from dataclasses import dataclass
from datetime import date

from harness.environments import REACH_DAYS, calendar_of, discover_commit, providing
from harness.packages import RepoPackage
from models.manifest import Environment


@dataclass(frozen=True)
class Reach:
    """An environment, and how many days after the day of its commits' earliest parent its releases go on."""

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
    """A line for each environment that reaches further than the bound, or otherwise than the manifest says.

    A later release can hold the answer to a commit, so verdicts of such an instance are worth less.
    """
    found = []
    for reach in reaches(package):
        environment, said = reach.environment, reach.environment.days_after
        name = f"environment {environment.key[:12]}"
        if said is not None and said != reach.days:
            found.append(
                f"{name} says that it reaches {said} days after its parent, and does {reach.days}; do not use it"
            )
        elif reach.days > REACH_DAYS:
            why = environment.late_because or "the package does not say why; prepare it again"
            found.append(f"{name} reaches {reach.days} days after the parent of a commit that uses it: {why}")
    return found


def self_provided(package: RepoPackage) -> list[str]:
    """A line for each environment with a wheel that provides what the work tree does: the answer may lie in it.

    Looked at is the tree of the first instance that uses the environment. Raises WheelError for an unreadable wheel.
    """
    found = []
    for environment in package.manifest.environments:
        user = next((each for each in package.manifest.instances if each.environment == environment.key), None)
        if user is None:
            continue
        modules = discover_commit(package.git, user.commit).modules
        names = providing(modules, [package.wheels / wheel for wheel in environment.wheels])
        key, user_id = environment.key[:12], user.instance_id
        found += [f"environment {key} holds {name}, which provides what {user_id} does" for name in sorted(names)]
    return found
