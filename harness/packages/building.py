"""The environment in which a commit's distribution is built: what its back end needs, by the releases of its day."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from harness.packages.locking import CommitCandidate
from harness.packages.package import write_atomically
from models.errors import EnvironmentFault, WheelError
from models.manifest import NODE, Environment
from repos.git import Git
from runtime.environments import (
    Project,
    build_requirements,
    day_of,
    discover_commit,
    fetch_wheels,
    interpreter_for,
    lock,
)
from runtime.installs import BuildFailed, Runtime, further_requirements
from runtime.trees import checked_out

_PACKAGING = ("pyproject.toml", "setup.py", "setup.cfg", "meson.build", "CMakeLists.txt", "hatch.toml")
_SCHEMA = 3
"""Raised whenever the same commit would get another environment; those of older schemas are not used."""


def with_builder(
    runtime: Runtime, git: Git, candidate: CommitCandidate, packages: Path, cache: Path
) -> CommitCandidate:
    """A candidate with the environment that builds its commit and its commit's parent.

    Without one, and with the reason in `unbuilt`, if no release of their days does, or if a back end fails when it is
    asked what it needs: the repository is then used from its sources. One of JavaScript is always used so.
    """
    if candidate.environment is None or candidate.environment.language == NODE:
        return candidate
    commits = (candidate.commit.sha, candidate.commit.parent)
    own_day = day_of(candidate.commit.committed)
    try:
        builder = find_builder(
            runtime, git, commits, candidate.environment, candidate.version, own_day, packages, cache
        )
    except (EnvironmentFault, WheelError, BuildFailed) as error:
        return replace(candidate, unbuilt=str(error))
    return replace(candidate, builder=builder)


def find_builder(
    runtime: Runtime,
    git: Git,
    commits: Sequence[str],
    environment: Environment,
    version: str,
    day: date,
    packages: Path,
    cache: Path,
) -> Environment:
    """The environment in which each of `commits` can be built for a test environment, its wheels fetched.

    Its releases are those of the test environment's day; those of `day` where these do not suffice. Raises
    EnvironmentFault, WheelError, BuildFailed, InfrastructureError.
    """
    projects = [discover_commit(git, commit) for commit in commits]
    stated = tuple(sorted({text for project in projects for text in build_requirements(project)}))
    parts: list[object] = [_SCHEMA, stated, environment.abi, environment.cutoff, version]
    parts += [[project.build_backend, *project.backend_path] for project in projects]
    parts += [[_digest(git.read(commit, path)) for path in _PACKAGING] for commit in commits]
    kept = cache / "builders" / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"
    if kept.is_file():
        builder = Environment.model_validate_json(kept.read_text())
        return builder.model_copy(update={"wheels": _fetched(builder, packages)})
    cutoffs = [date.fromisoformat(environment.cutoff), day + timedelta(days=1)]
    builder = _locked(stated, projects[0], environment.abi, cutoffs, packages)
    further: set[str] = set()
    for commit, project in zip(commits, projects, strict=True):
        with (
            runtime.environments.acquire(builder, packages) as built,
            checked_out(git, commit, runtime.scratch) as tree,
        ):
            further.update(further_requirements(runtime, tree, project, built, version))
    if further - set(stated):
        builder = _locked((*stated, *sorted(further)), projects[0], environment.abi, cutoffs, packages)
    write_atomically(kept, builder.model_dump_json())
    return builder


def _digest(content: bytes | None) -> str:
    return hashlib.sha256(content).hexdigest() if content is not None else ""


def _locked(
    requires: Sequence[str], project: Project, abi: str, cutoffs: Sequence[date], packages: Path
) -> Environment:
    """Requirements locked by the releases before the first of some days that suffices."""
    needed = tuple(requires)
    needs = replace(project, requires=needed, runtime=needed, constraints=())
    failed: EnvironmentFault | None = None
    for cutoff in dict.fromkeys(cutoffs):
        try:
            # The distribution itself may be one of its back end's requirements: an earlier release of it is no answer.
            earlier = cutoff == cutoffs[0]
            named = replace(needs, name=f"{project.name}-build", aliases=()) if earlier else needs
            builder = lock(named, interpreter_for(abi), cutoff)
        except EnvironmentFault as error:
            failed = failed or error
            continue
        return builder.model_copy(update={"wheels": _fetched(builder, packages)})
    assert failed is not None, "there is at least one day"
    raise failed


def _fetched(builder: Environment, packages: Path) -> tuple[str, ...]:
    return tuple(sorted(fetch_wheels(builder, interpreter_for(builder.abi), packages)))
