"""The environment of a commit of a JavaScript repository: resolved by npm, its archives kept by hash."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from models.errors import EnvironmentFault
from models.manifest import NODE, Environment
from repos.git import Git
from runtime.environments.node.archives import collect
from runtime.environments.node.lockfile import Installed, LockedPackage, NodeLock, archives_of
from runtime.environments.node.npm import NoRelease, Unresolved, install
from runtime.environments.node.project import NodeProject, dropped, needed, read_node_project
from runtime.environments.node.release import fetch_release, release_of, unpacked_release
from runtime.environments.node.versions import majors, node_wish, workflows_in
from runtime.environments.resolve import environment_key
from runtime.environments.wheel_checks import known_sha256

_SCHEMA = 2
"""Raised whenever the same inputs could give another lock."""
_LONGEST_REASON = 300


@dataclass(frozen=True)
class NodeNeeds:
    """What decides an environment: the packages' dependencies, npm's lock or none, major versions of Node.js to try.

    `own` are names of the repository's own packages with their folders ("." is its root). `relocked` says that the
    parent has another lock of npm's: that is no part of the key.
    """

    packages: tuple[str, ...]
    lock: str
    dated: bool
    majors: tuple[int, ...]
    own: tuple[tuple[str, str], ...]
    relocked: bool = False

    @property
    def key(self) -> str:
        """Hash of all of it."""
        parts = [_SCHEMA, self.packages, self.lock, self.dated, self.majors, self.own]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def project_at(git: Git, commit: str) -> NodeProject | None:
    """The packages of a commit; None if it has no package.json at its root."""
    paths = [entry.path for entry in git.tree(commit)]
    return read_node_project(lambda path: git.read(commit, path), paths)


def needs_of(git: Git, commit: str, parent: str, day: date) -> NodeNeeds | None:
    """What the environment of a commit, in which its parent runs too, has to hold; None without a package.json."""
    project = project_at(git, commit)
    if project is None:
        return None
    before = project_at(git, parent)
    paths = [entry.path for entry in git.tree(commit)]
    wish = node_wish(project, lambda path: git.read(commit, path), workflows_in(paths))
    packages = tuple(json.dumps(each, sort_keys=True) for each in needed(project, before))
    dated = not project.lock or dropped(project, before)
    relocked = before is None or before.lock != project.lock
    return NodeNeeds(packages, project.lock, dated, tuple(majors(wish, day)), _own(before, project), relocked)


def _own(*projects: NodeProject | None) -> tuple[tuple[str, str], ...]:
    """The names of the packages of some projects, each with its folder in the last that has it."""
    packages = [each for project in projects if project is not None for each in project.packages]
    return tuple(sorted({each.name: each.folder or "." for each in packages if each.name}.items()))


def lock_node(needs: NodeNeeds, day: date, own_day: date, packages: Path, cache: Path) -> Environment:
    """The environment for some needs, its wheel and archives in `packages`: of releases before `day`, the parent's.

    Only where these give none, releases up to `own_day`, the commit's, are considered; then, where no release of that
    time fulfils a requirement as far as the registry's dates say, all. The environment records this. What the commit's
    lock names is used in any case. Raises EnvironmentFault, WheelError, InfrastructureError.
    """
    wheel = fetch_release(needs.majors, cache / "node" / "wheels")
    _keep(wheel, packages)
    end = own_day + timedelta(days=1)
    if not needs.dated:
        cutoff = end if needs.relocked else day
        environment = _locked(needs, wheel, None, "", packages, cache)
        return _dated(environment, cutoff, day, "the commit's own lock names its releases")
    try:
        return _dated(_locked(needs, wheel, day, f"-{day}", packages, cache), day, day, "")
    except Unresolved as error:
        failed = error
    try:
        return _dated(_locked(needs, wheel, end, f"-{end}", packages, cache), end, day, f"before {day}: {failed}")
    except NoRelease as error:
        environment = _locked(needs, wheel, None, f"-after-{end}", packages, cache)
        return _dated(environment, date.fromisoformat(environment.cutoff), day, f"before {end}: {error}")


def _dated(environment: Environment, cutoff: date, day: date, why: str) -> Environment:
    """An environment with the date before which its releases lie, how long after `day` that is, and why."""
    days = (cutoff - day).days
    because = f"releases up to {cutoff} count: {why}"[:_LONGEST_REASON] if days > 0 else ""
    return environment.model_copy(
        update={"cutoff": cutoff.isoformat(), "days_after": days, "late_because": because},
    )


def _locked(needs: NodeNeeds, wheel: Path, before: date | None, label: str, packages: Path, cache: Path) -> Environment:
    """The environment that releases before a date give, or all; `label` names it among those that are remembered.

    Its date is `before`, else the day on which it was made.
    """
    path = cache / "locks" / f"node-{needs.key}{label}-{known_sha256(wheel)[:12]}.json"
    if path.is_file():
        environment = Environment.model_validate_json(path.read_text())
        if all(_kept(name, packages, cache) for name in archives_of(environment)):
            return environment
    wanted = [json.loads(each) for each in needs.packages]
    folder = unpacked_release(wheel, cache / "node")
    found = install(folder, wanted, needs.lock, before, cache / "node" / "npm", dict(needs.own))
    lock = NodeLock(release_of(wheel.name), known_sha256(wheel), _packages(found, packages, cache), found.links)
    text, abi = lock.to_json(), f"{NODE}{lock.node}"
    environment = Environment(
        key=environment_key((), text, abi),
        python="",
        abi=abi,
        requires=(),
        cutoff=(before or datetime.now(UTC).date()).isoformat(),
        lock=text,
        wheels=(wheel.name,),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(environment.model_dump_json())
    partial.replace(path)
    return environment


def _packages(found: Installed, packages: Path, cache: Path) -> dict[str, LockedPackage]:
    locked = {}
    archives = cache / "node" / "archives"
    for place, (version, integrity, commands) in sorted(found.packages.items()):
        sha512 = collect(integrity, cache / "node" / "npm", archives)
        if sha512 is None:
            raise EnvironmentFault(f"npm did not keep the archive of {place.rpartition('node_modules/')[2]}@{version}")
        locked[place] = LockedPackage(version, sha512, commands)
    for name in {f"npm-{each.sha512[:40]}.tgz" for each in locked.values()}:
        _kept(name, packages, cache)
    return locked


def _kept(name: str, packages: Path, cache: Path) -> bool:
    """Whether an archive is in a package's folder, or could be linked to it from ours."""
    source = cache / "node" / "archives" / name
    if not (packages / name).is_file() and source.is_file():
        _keep(source, packages)
    return (packages / name).is_file()


def _keep(source: Path, packages: Path) -> None:
    packages.mkdir(parents=True, exist_ok=True)
    target = packages / source.name
    if target.is_file():
        return
    partial = packages / f".{source.name}.{os.getpid()}"
    shutil.copyfile(source, partial)
    partial.replace(target)
