"""The Python for which a commit's requirements are locked: the newest of its day for which wheels were available.

In the weeks after a Python release many projects have no wheel for it yet, and a resolver that may not build falls back
to pure-Python releases from years ago. Such a fallback is detected by comparing locks: a newer Python gets no older
release of a package than the previous Python, unless wheels were missing.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from models.errors import EnvironmentFault
from models.manifest import Environment
from runtime.environments.discovery import Project
from runtime.environments.interpreters import Interpreter, choose_interpreter
from runtime.environments.resolve import Later, applicable, lock
from runtime.environments.wheels import locked

WINDOW_DAYS = 30
"""How many days a lock may be older than the parent of a commit that shares it. Commits of a month with the same
requirements nearly always have the same lock, and a lock that is older than the parent cannot contain the answer."""
REACH_DAYS = 1
"""How many days after the day of the commit's parent a lock may be dated without a warning."""
OLDEST_RUNNER = Version("3.9")
"""The first pytest with every option that runs need, and that can be kept from loading plugins by itself."""
_RUNNER = (
    "atomicwrites",
    "attrs",
    "funcsigs",
    "more-itertools",
    "pathlib2",
    "pluggy",
    "py",
    "pytest",
    "setuptools",
    "six",
)
_RUNNER_DAY = date(2018, 11, 12)
"""pytest and what it needs, and a day whose releases of them run suites of every earlier day: pytest 3.10 collects
`yield` tests, and reads the section `[pytest]` of setup.cfg."""
_LONGEST_REASON = 300
_LAST_DAY = date.max - timedelta(days=1)


@dataclass(frozen=True)
class Era:
    """The releases considered for a commit whose parent was made on `day`: those before `cutoff` (00:00 UTC), and for
    the distributions in `later` those before their dates. `changed` are distributions that the commit requires
    otherwise than its parent, `why` is the failure with fewer releases."""

    day: date
    cutoff: date
    later: Mapping[str, date] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    why: str = ""

    @property
    def label(self) -> str:
        """The era as part of a file's name."""
        named = "".join(f"{name}={self.later[name]:%Y%m%d}\n" for name in sorted(self.later))
        more = f"-{hashlib.sha256(named.encode()).hexdigest()[:12]}" if named else ""
        return f"{self.cutoff:%Y%m%d}{more}"

    def after(self, failure: Exception | None) -> "Era":
        """This era, to be tried because of a failure."""
        return replace(self, why=str(failure)) if failure and not self.why else self

    def later_helps(self, missing: Collection[str]) -> bool:
        """Whether some of the missing distributions may be available in a later era of the same commit."""
        return self.cutoff <= self.day and not self.later and not self.changed.isdisjoint(missing)

    def may_share(self, environment: Environment) -> bool:
        """Whether the commit may use an environment of another commit with the same requirements: it has no releases
        after the parent's day, and is not much older."""
        return timedelta(0) <= self.day - date.fromisoformat(environment.cutoff) <= timedelta(days=WINDOW_DAYS)

    def reach(self, environment: Environment) -> tuple[int, str]:
        """How many days after the parent's day the releases of an environment of this era reach, and the reason."""
        days = (date.fromisoformat(environment.cutoff) - self.day).days
        if days <= 0:
            return days, ""
        what = f"releases of {', '.join(sorted(self.later))}" if self.later else "all releases"
        return days, f"{what} up to {environment.cutoff} count: {self.why or 'it was asked for'}"[:_LONGEST_REASON]


def eras_of(day: date, own_day: date, changed: frozenset[str]) -> list[Era]:
    """The eras of a commit of `own_day` whose parent was made on `day`, the narrowest first.

    The last one is for commits from before the first pytest that can be run here: it has a later one. The runner is a
    tool and holds no answer, unless it is what the commit changes: then it is no requirement.
    """
    end = min(own_day, _LAST_DAY) + timedelta(days=1)
    eras = [Era(day, day, changed=changed)]
    if changed:
        eras.append(Era(day, day, dict.fromkeys(sorted(changed), end), changed))
    eras.append(Era(day, end, changed=changed))
    if end < _RUNNER_DAY:
        eras.append(Era(day, end, dict.fromkeys(_RUNNER, _RUNNER_DAY), changed))
    return eras


def check_runner(environment: Environment) -> None:
    """Check that the pytest of an environment can be run here. Raises EnvironmentFault if it is too old."""
    found = [version for name, version in locked(environment.lock) if name == "pytest" and version < OLDEST_RUNNER]
    if found:
        raise EnvironmentFault(
            f"pytest {found[0]} is the newest that the requirements and the day allow, and {OLDEST_RUNNER} the first "
            "that can be run here"
        )


def lock_for_era(
    project: Project, cutoff: date, installed: Sequence[Interpreter], later: Later | None = None
) -> tuple[Interpreter, Environment]:
    """The interpreter and the environment that releases before `cutoff` (00:00 UTC) give; of the distributions in
    `later`, releases before their dates.

    Raises EnvironmentFault when no installed interpreter satisfies the project, or none of those gives a lock.
    """
    newest = choose_interpreter(project.requires_python, midnight(cutoff), installed)
    older = [i for i in installed if Version(i.full) < Version(newest.full) and i.version != newest.version]
    try:
        environment = lock(project, newest, cutoff, later=later)
    except EnvironmentFault as fault:
        try:
            return _lock_with_older(project, cutoff, older, later)
        except EnvironmentFault:  # a missing older Python is no explanation
            raise fault from None
    try:
        before = _lock_with_older(project, cutoff, older, later)
    except EnvironmentFault:
        return newest, environment
    lacks_more = lacking(project, newest, environment) > lacking(project, *before)
    return before if lacks_more or fell_back(environment, before[1]) else (newest, environment)


def midnight(day: date) -> datetime:
    """The first moment of a day (UTC)."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _lock_with_older(
    project: Project, cutoff: date, older: Sequence[Interpreter], later: Later | None
) -> tuple[Interpreter, Environment]:
    interpreter = choose_interpreter(project.requires_python, midnight(cutoff), older)
    return interpreter, lock(project, interpreter, cutoff, later=later)


def lacking(project: Project, interpreter: Interpreter, environment: Environment) -> int:
    """How many requirements were left out because no wheel of that day fits the interpreter."""
    return len(applicable(project, interpreter)) - len(environment.requires)


def left_out(project: Project, interpreter: Interpreter, environment: Environment) -> frozenset[str]:
    """The distributions (normalised names) of the requirements that were left out."""
    missing = set(applicable(project, interpreter)) - set(environment.requires)
    return frozenset(canonicalize_name(Requirement(text).name) for text in missing)


def fell_back(newer: Environment, older: Environment) -> bool:
    """Whether the lock for the newer Python has an older release of some package because a wheel is missing."""
    versions = dict(locked(older.lock).keys())
    return any(name in versions and version < versions[name] for name, version in locked(newer.lock))
