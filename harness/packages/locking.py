"""The environment in which a commit is validated: dated by its parent's day, shared within a window of days, and
without any distribution that provides the work tree's modules."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.mining.indistinct import indistinct
from harness.packages.package import write_atomically
from models.errors import EnvironmentFault, RepositoryError, WheelError
from models.manifest import Commit, Environment, InvalidReason
from repos.git import Git
from repos.index.paths import SCRIPT
from runtime.environments import (
    Era,
    Project,
    calendar_of,
    choose_interpreter,
    day_of,
    discover_commit,
    eras_of,
    fetch_wheels,
    installed_interpreters,
    interpreter_for,
    lock_for_era,
    midnight,
    pretend_version,
    providing,
    spec_key,
)
from runtime.environments.eras import check_runner, left_out
from runtime.environments.node import lock_node, needs_of

_FIRST_UPLOADS = date(2005, 3, 1)
"""Package indexes date releases by their upload, and no upload is older."""
_LAST_SECOND = 253_402_214_399
"""The end of the last day but one of the year 9999: the day after a commit's is a date as well."""


@dataclass(frozen=True)
class CommitCandidate:
    """A commit before gold validation: with an environment, or with the reason why there is none.

    `builder` is the environment in which its distribution is built; `unbuilt` says why there is none.
    """

    commit: Commit
    version: str
    environment: Environment | None
    reason: InvalidReason | None = None
    detail: str = ""
    builder: Environment | None = None
    unbuilt: str = ""


def find_environments(git: Git, commits: Sequence[Commit], packages: Path, cache: Path) -> list[CommitCandidate]:
    """The environments of commits, in their order. Commits are processed from the earliest parent on, because a later
    one may share an earlier one's environment, but not vice versa."""
    known: dict[str, Environment] = {}
    calendar = calendar_of(git)
    order = sorted(commits, key=lambda commit: (calendar.day(commit.parent, commit.committed), commit.sha))
    found = {commit.sha: _environment_or_reason(git, commit, known, packages, cache) for commit in order}
    return [found[commit.sha] for commit in commits]


def _environment_or_reason(
    git: Git, commit: Commit, known: dict[str, Environment], packages: Path, cache: Path
) -> CommitCandidate:
    """The environment of one commit, or why it has none, which may be a tree that cannot be read."""
    try:
        return find_environment(git, commit, known, packages, cache)
    except RepositoryError as error:
        detail = str(error).removeprefix(f"{git.directory}: ")
        return CommitCandidate(commit, "0", None, InvalidReason.UNSUPPORTED_CHANGE, detail)


def find_environment(
    git: Git, commit: Commit, known: dict[str, Environment], packages: Path, cache: Path
) -> CommitCandidate:
    """The environment of one commit, dated by its parent's day; `known` are environments that may be shared, and is
    extended.

    Where no release before the parent's day meets the commit's requirements, later releases are considered for the
    distributions that the commit newly or differently requires, up to its own day; then all releases up to that day;
    last, a pytest that can be run here. The environment records this.
    """
    if commit.committed > _LAST_SECOND:
        why = f"{commit.sha[:12]}: {impossible_date(_FIRST_UPLOADS, commit.committed)}"
        return CommitCandidate(commit, "0", None, InvalidReason.IMPOSSIBLE_DATE, why)
    if why := indistinct(git, commit):
        return CommitCandidate(commit, "0", None, InvalidReason.INDISTINCT, why)
    if not any(c.kind == "production" and c.path.endswith(".py") for c in commit.changes):
        return _find_node_environment(git, commit, known, packages, cache)
    own, parent = discover_commit(git, commit.sha), discover_commit(git, commit.parent)
    version = pretend_version(git.last_tag(commit.parent))
    day = calendar_of(git).day(commit.parent, commit.committed)
    if why := impossible_date(day, commit.committed):
        return CommitCandidate(commit, version, None, InvalidReason.IMPOSSIBLE_DATE, why)
    own_day = max(day_of(commit.committed), day)
    # The parent has to run in it as well: requirements that the commit drops are kept, if they are compatible.
    projects = tuple(dict.fromkeys((with_dropped(own, parent), own)))
    failed: EnvironmentFault | WheelError | None = None
    end = own_day + timedelta(days=1)
    for era in eras_of(day, own_day, newly_required(own, parent)):
        for project in projects:
            try:
                environment = environment_for(project, era.after(failed), known, packages, cache)
            except WheelError as error:  # published damaged: try without it
                return CommitCandidate(commit, version, None, InvalidReason.NO_WHEEL, str(error))
            except EnvironmentFault as error:
                failed = failed or error
                continue
            return CommitCandidate(commit, version, environment)
    assert failed is not None
    reason = InvalidReason.NO_WHEEL if "wheel" in str(failed) else InvalidReason.UNRESOLVABLE
    return CommitCandidate(commit, version, None, reason, f"{failed} (releases before {end} count)")


def impossible_date(day: date, committed: int) -> str:
    """Why no environment can be dated by a commit's parent of `day`, or by the commit's own time; "" if one can."""
    if day < _FIRST_UPLOADS:
        return f"the commit's parent is dated {day}, and no package index holds a release from before {_FIRST_UPLOADS}"
    if committed > _LAST_SECOND:
        return f"the commit is dated after the year 9999 ({committed} s after 1970)"
    return ""


def _find_node_environment(
    git: Git, commit: Commit, known: dict[str, Environment], packages: Path, cache: Path
) -> CommitCandidate:
    """The environment of a commit of JavaScript or TypeScript.

    It is that of the commit's own lock. Where npm cannot replay it, it is dated by the parent's day, as one of Python.
    """
    if not any(c.kind == "production" and c.path.endswith(SCRIPT) for c in commit.changes):
        why = "no Python, JavaScript or TypeScript production file is changed"
        return CommitCandidate(commit, "0", None, InvalidReason.NOT_PYTHON, why)
    version = pretend_version(git.last_tag(commit.parent))
    day = calendar_of(git).day(commit.parent, commit.committed)
    if why := impossible_date(day, commit.committed):
        return CommitCandidate(commit, version, None, InvalidReason.IMPOSSIBLE_DATE, why)
    own_day = max(day_of(commit.committed), day)
    needs = needs_of(git, commit.sha, commit.parent, own_day)
    if needs is None:
        why = "no package.json at the repository's root says what its JavaScript tests need"
        return CommitCandidate(commit, version, None, InvalidReason.NOT_PYTHON, why)
    shared = [each for name, each in known.items() if name.startswith(f"node-{needs.key}-")]
    for each in sorted(shared, key=lambda each: each.cutoff, reverse=True):
        if not needs.dated or Era(day, day).may_share(each):
            return CommitCandidate(commit, version, each)
    try:
        environment = lock_node(needs, day, own_day, packages, cache)
    except WheelError as error:
        return CommitCandidate(commit, version, None, InvalidReason.NO_WHEEL, str(error))
    except EnvironmentFault as error:
        return CommitCandidate(commit, version, None, InvalidReason.UNRESOLVABLE, str(error))
    known[f"node-{needs.key}-{len(known)}"] = environment
    return CommitCandidate(commit, version, environment)


def newly_required(own: Project, parent: Project) -> frozenset[str]:
    """The distributions (normalised names) that a commit newly or differently requires, compared with its parent."""
    changed = set(own.requires) - set(parent.requires)
    return frozenset(canonicalize_name(Requirement(text).name) for text in changed)


def with_dropped(project: Project, parent: Project) -> Project:
    """A project that also requires what only its parent did."""
    kept = {canonicalize_name(Requirement(text).name) for text in (*project.requires, project.name)}
    dropped = {text for text in parent.requires if canonicalize_name(Requirement(text).name) not in kept}
    return replace(project, requires=tuple(sorted({*project.requires, *dropped})))


def environment_for(
    project: Project, era: Era, known: dict[str, Environment], packages: Path, cache: Path
) -> Environment:
    """The environment of a project in an era, its wheels fetched: one of the `known` if it may be shared, else a new
    one, which is added.

    Raises EnvironmentFault, WheelError, InfrastructureError.
    """
    newest = choose_interpreter(project.requires_python, midnight(era.day), installed_interpreters())
    key = spec_key(project, newest)
    shared = [each for name, each in known.items() if name.startswith(key) and era.may_share(each)]
    if shared:
        return max(shared, key=lambda each: each.cutoff)
    environment = _without_stand_ins(project, era, packages, cache)
    known[f"{key}-{environment.cutoff}-{len(known)}"] = environment
    return environment


def _without_stand_ins(project: Project, era: Era, packages: Path, cache: Path) -> Environment:
    """A locked environment with fetched wheels, none of which provides a module of the work tree.

    A distribution that does is the one under test by another name, or would shadow it.
    """
    while True:
        newest = choose_interpreter(project.requires_python, midnight(era.day), installed_interpreters())
        environment = _cached_lock(cache / "locks" / f"{spec_key(project, newest)}-{era.label}.json", project, era)
        check_runner(environment)
        missing = left_out(project, interpreter_for(environment.abi), environment)
        if era.later_helps(missing):
            raise EnvironmentFault(f"no release before {era.day} has a wheel for {', '.join(sorted(missing))}")
        wheels = fetch_wheels(environment, interpreter_for(environment.abi), packages)
        stand_ins = providing(project.modules, [packages / name for name in wheels]) - set(project.aliases)
        if not stand_ins:
            days, because = era.reach(environment)
            return environment.model_copy(
                update={"wheels": tuple(sorted(wheels)), "days_after": days, "late_because": because}
            )
        project = without(project, stand_ins)


def without(project: Project, names: Collection[str]) -> Project:
    """A project whose distribution has further names, and that requires none of them."""
    kept = tuple(text for text in project.requires if canonicalize_name(Requirement(text).name) not in names)
    return replace(project, requires=kept, aliases=tuple(sorted({*project.aliases, *names})))


def _cached_lock(path: Path, project: Project, era: Era) -> Environment:
    if path.is_file():
        return Environment.model_validate_json(path.read_text())
    _, environment = lock_for_era(project, era.cutoff, installed_interpreters(), era.later)
    write_atomically(path, environment.model_dump_json())
    return environment
