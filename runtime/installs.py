"""The installation of a tree's own distribution: built in the sandbox by its back end, and laid over the tree."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from host.folders import copy_tree
from host.regular import read_regular
from host.throwaway import discard
from models.errors import CleanRoomError, EnvironmentFault, WheelError
from models.limits import Limits
from models.manifest import NODE, Environment
from repos.trees import files_and_links
from runtime.environments import (
    REQUIRED,
    BuiltEnvironment,
    EnvironmentStore,
    Installation,
    KeptInstallations,
    Project,
    build_command,
    build_variables,
    built_wheel,
    discover,
    installation_from_sources,
    installation_of,
    requirements_command,
    wheel_contents,
)
from runtime.environments.node import ScriptCutShort, generated_by_scripts
from runtime.sandbox import Finished, Mount, ProcessEnd, Sandbox
from runtime.sandbox.base import base_environment

_MOST_REQUIREMENTS = 1 << 20  # bytes


class BuildFailed(CleanRoomError):
    """The build of a repository's distribution failed."""


class BuildCutShort(BuildFailed):
    """A build was ended for a limit, twice: the machine may be at fault."""


@dataclass(frozen=True)
class Runtime:
    """The resources for running a repository's tests on this machine."""

    sandbox: Sandbox
    environments: EnvironmentStore
    limits: Limits
    scratch: Path


@dataclass(frozen=True)
class Provisioned:
    """An environment in use. `version` is the one that the repository's own distribution reports where its back end
    takes it from tags. `builder` is the environment in which it is built, from the wheels in `packages`; None if it is
    used from its sources (or, with extension modules, built in `environment`)."""

    environment: BuiltEnvironment
    version: str
    packages: Path
    builder: Environment | None = None


@contextmanager
def provisioned(
    runtime: Runtime, environment: Environment, packages: Path, version: str, builder: Environment | None = None
) -> Iterator[Provisioned]:
    """Keep an environment in use, building it first if missing. Raises EnvironmentFault, WheelError."""
    with runtime.environments.acquire(environment, packages) as built:
        yield Provisioned(built, version, packages, builder)


def project_in(tree: Path) -> Project:
    """The layout of a tree on disk for running its tests, read without running any of it."""
    paths = sorted(path for path, link in files_and_links(tree) if not link)
    known = frozenset(paths)
    return discover(lambda path: (tree / path).read_bytes() if path in known else None, paths, with_requirements=False)


def install(runtime: Runtime, tree: Path, provided: Provisioned, *, of_commit: bool = False) -> Installation:
    """What installing the distribution of a tree gives; nothing is written into the tree.

    The wheel is built by the repository's own back end, in the sandbox, in a copy of the tree, unless one that was
    built before has to be the same. `of_commit` says that the tree's production files are those of a commit: only then
    does what was built count for other trees. Tests must not be in the tree that should not be read by its build.
    Of a JavaScript repository, it is what its scripts generate. Raises BuildFailed, EnvironmentFault, WheelError.
    """
    if (built := provided.environment).language == NODE:
        try:
            added = generated_by_scripts(runtime.sandbox, runtime.limits, tree, built.python, built.prefix)
        except ScriptCutShort as error:
            raise BuildFailed(str(error)) from error
        return Installation(import_roots=(), additions=added, site={}, scripts={}, modules=(), inputs={})
    project = project_in(tree)
    if provided.builder is None and not project.needs_build:
        return replace(installation_from_sources(project, provided.version), of_commit=of_commit)
    contents = {path: (tree / path).read_bytes() for path, link in files_and_links(tree) if not link}
    with _builder(runtime, provided) as builder:
        name = f"{builder.key}-{provided.version}-{runtime.sandbox.kind}"
        kept = KeptInstallations(runtime.environments.installations, name)
        with runtime.environments.caches_in_use():
            found = kept.find(contents)
            if found is None:
                wheel = _built(runtime, tree, project, builder, provided.version)
                found = replace(installation_of(wheel, contents, project.import_roots), of_commit=of_commit)
                kept.keep(contents, found, of_commit=of_commit)
        return found


def further_requirements(
    runtime: Runtime, tree: Path, project: Project, builder: BuiltEnvironment, version: str
) -> tuple[str, ...]:
    """What a tree's back end wants for building besides the requirements in its packaging files. Raises BuildFailed."""
    with _output(tree) as out:
        mount = Mount(out, out, writable=True)
        command = requirements_command(project, builder.python, runtime.sandbox.path_of(mount), version)
        _check(_run(runtime, tree, command, builder, mount, version), project)
        try:
            found = json.loads(read_regular(out / REQUIRED, _MOST_REQUIREMENTS) or b"")
        except ValueError as error:
            raise BuildFailed(f"{project.name} did not say what its build requires: {error}") from error
    return tuple(text for text in found if isinstance(text, str)) if isinstance(found, list) else ()


@contextmanager
def _builder(runtime: Runtime, provided: Provisioned) -> Iterator[BuiltEnvironment]:
    if provided.builder is None:
        yield provided.environment
        return
    with runtime.environments.acquire(provided.builder, provided.packages) as built:
        yield built


def _built(runtime: Runtime, tree: Path, project: Project, builder: BuiltEnvironment, version: str) -> dict[str, bytes]:
    """The files of the wheel that a build of a copy of a tree gives."""
    with _output(tree) as out:
        mount = Mount(out, out, writable=True)
        command = build_command(project, builder.python, runtime.sandbox.path_of(mount), version)
        finished = _run(runtime, tree, command, builder, mount, version)
        if finished.ending is not ProcessEnd.EXITED:  # cut short: it counts only if it is cut short again
            finished = _run(runtime, tree, command, builder, mount, version)
        _check(finished, project)
        try:
            return wheel_contents(built_wheel(out))
        except (EnvironmentFault, WheelError) as error:
            raise BuildFailed(f"{project.name} did not build: {error}") from error


@contextmanager
def _output(tree: Path) -> Iterator[Path]:
    out = tree.parent / "wheel"
    discard(out)
    out.mkdir()
    try:
        yield out
    finally:
        discard(out)


def _run(
    runtime: Runtime, tree: Path, command: tuple[str, ...], builder: BuiltEnvironment, out: Mount, version: str
) -> Finished:
    copy = tree.parent / "build"
    discard(copy)
    try:
        copy_tree(tree, copy)
        return runtime.sandbox.run(
            command,
            workdir=copy,
            mounts=(Mount(builder.prefix, builder.prefix), Mount(builder.base_prefix, builder.base_prefix), out),
            env=build_variables([builder.python.parent], base_environment(copy, copy)["PATH"], version),
            limits=runtime.limits,
        )
    finally:
        discard(copy)


def _check(finished: Finished, project: Project) -> None:
    if finished.ending is not ProcessEnd.EXITED:
        raise BuildCutShort(f"{project.name} did not build: {finished.ending.value}")
    if finished.exit_code != 0:
        raise BuildFailed(f"{project.name} did not build: {_first_error(finished.output)}")


def _first_error(output: str) -> str:
    """The line of a build's output that says best why it failed: of the last exception, or a compiler's first error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    compiler = [line for line in lines if re.search(r"\b(?:fatal )?error: ", line)]
    raised = [line for line in lines if re.match(r"[\w.]*(?:Error|Exception|Exit|Failure)\b", line)]
    return (compiler[:1] or raised[-1:] or lines[-1:] or ["nothing was printed"])[0][:300]
