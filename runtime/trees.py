"""A repository state on disk: a commit's files, a candidate's changes on top, then the hidden tests."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.folders import copy_tree
from host.throwaway import discard
from models.errors import CleanRoomError, EnvironmentFault, InfrastructureError, WheelError
from models.files import Overlay
from models.limits import Limits
from models.manifest import NODE, Environment
from models.suite import SuiteReport
from repos.git import Git
from repos.index.paths import is_test_path
from repos.trees import files_and_links, make_links, overlay
from runtime.environments import (
    BuiltEnvironment,
    EnvironmentStore,
    Project,
    build_command,
    discover,
    generated_files,
    own_plugins,
    unpack_built,
    write_own_metadata,
)
from runtime.environments.node import node_setup, scripts_before
from runtime.sandbox import Mount, ProcessEnd, Sandbox
from runtime.sandbox.base import base_environment
from runtime.testing import PYTEST, Selection, SuiteSetup, runner_of


class BuildFailed(CleanRoomError):
    """The build of a repository that must be built before its tests can run failed."""


@dataclass(frozen=True)
class Runtime:
    """The resources for running a repository's tests on this machine."""

    sandbox: Sandbox
    environments: EnvironmentStore
    limits: Limits
    scratch: Path


@dataclass(frozen=True)
class Provisioned:
    """An environment in use, and its purpose. `version` is the one that the repository's own distribution reports."""

    environment: BuiltEnvironment
    version: str


@contextmanager
def provisioned(runtime: Runtime, environment: Environment, packages: Path, version: str) -> Iterator[Provisioned]:
    """Keep an environment in use, building it first if missing. Raises EnvironmentFault, WheelError."""
    with runtime.environments.acquire(environment, packages) as built:
        yield Provisioned(built, version)


@contextmanager
def checked_out(git: Git, commit: str, scratch: Path) -> Iterator[Path]:
    """A commit's files in a temporary directory; never reused, because caches change results.

    Its content is discarded in one step at the end, without blocking.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        root = Path(tempfile.mkdtemp(prefix=f"{commit[:7]}-", dir=scratch))
    except OSError as error:
        raise InfrastructureError(f"no work tree under {scratch}: {error.strerror}; free disk space") from error
    try:
        tree = root / "tree"
        tree.mkdir()
        git.export(commit, tree)
        yield tree
    finally:
        discard(root)


def install_tests(git: Git, commit: str, tree: Path) -> None:
    """Replace the tree's tests by those of `commit`: its test files and links are written, all others removed."""
    entries = {e.path: e for e in git.tree(commit) if is_test_path(e.path) and e.mode != "160000"}
    contents = git.blobs(sorted({entry.blob for entry in entries.values()}))
    files = {path: (contents[e.blob], e.mode == "100755") for path, e in entries.items() if e.mode != "120000"}
    gone = {path: None for path, link in files_and_links(tree) if is_test_path(path) and (link or path not in files)}
    overlay(tree, {**gone, **files})
    goals = {p: contents[e.blob].decode(errors="surrogateescape") for p, e in entries.items() if e.mode == "120000"}
    make_links(tree, goals)


def project_in(tree: Path) -> Project:
    """The layout of a tree on disk for running its tests, read without running any of it."""
    paths = sorted(path for path, link in files_and_links(tree) if not link)
    known = frozenset(paths)
    return discover(lambda path: (tree / path).read_bytes() if path in known else None, paths, with_requirements=False)


def run_tests(runtime: Runtime, tree: Path, provided: Provisioned, selection: Selection) -> SuiteReport:
    """Run the tests of a tree in the sandbox. A tree that must be built is to be built before (`build`)."""
    setup = suite_setup(tree, provided)
    return runner_of(setup).run(runtime.sandbox, tree, setup, selection, runtime.limits)


def suite_setup(tree: Path, provided: Provisioned) -> SuiteSetup:
    """How the tests of a tree are started: interpreter, mounts, import roots, the distribution's own metadata.

    Version modules that only a build would write are written into the tree. Packages of Node.js are linked into it.
    """
    built = provided.environment
    if built.language == NODE:
        return node_setup(tree, built.python, built.prefix)
    project = project_in(tree)
    metadata = tree.parent / "metadata"
    discard(metadata)
    metadata.mkdir()
    write_own_metadata(project, provided.version, metadata)
    generated = generated_files(project, provided.version)
    overlay(tree, {path: (text.encode(), False) for path, text in generated.items()})
    mounts = (
        Mount(built.prefix, built.prefix),
        Mount(built.base_prefix, built.base_prefix),
        Mount(metadata, metadata),
    )
    return SuiteSetup(
        python=built.python,
        mounts=mounts,
        import_roots=project.import_roots,
        extra_path=(metadata,),
        command=project.test_command,
        plugins=(*PYTEST.installed_plugins(built.prefix), *own_plugins(project, PYTEST.plugin_group)),
        runner=PYTEST.name,
    )


def build(runtime: Runtime, tree: Path, provided: Provisioned) -> Overlay:
    """Overlay that a build adds to a tree with extension modules; empty for any other.

    The build runs in the sandbox, in a copy of the tree: of its output only the wheel is kept. Files that the tree has,
    and tests, are not in the overlay. Raises BuildFailed.
    """
    if provided.environment.language == NODE:
        return _build_node(runtime, tree, provided)
    project = project_in(tree)
    if not project.needs_build:
        return {}
    copy, out, unpacked = (tree.parent / name for name in ("build", "wheel", "unpacked"))
    for folder in (copy, out, unpacked):
        discard(folder)
    copy_tree(tree, copy)
    out.mkdir()
    out_mount = Mount(out, out, writable=True)
    command = build_command(project, provided.environment.python, runtime.sandbox.path_of(out_mount))
    assert command is not None, "the project needs a build"
    finished = runtime.sandbox.run(
        command,
        workdir=copy,
        mounts=(*suite_setup(copy, provided).mounts, out_mount),
        env={"SETUPTOOLS_SCM_PRETEND_VERSION": provided.version, "PBR_VERSION": provided.version},
        limits=runtime.limits,
    )
    if finished.ending is not ProcessEnd.EXITED or finished.exit_code != 0:
        printed = finished.output.strip().splitlines()
        raise BuildFailed(f"{project.name} did not build: {printed[-1] if printed else finished.ending.value}")
    try:
        unpack_built(out, unpacked)
    except (EnvironmentFault, WheelError) as error:
        raise BuildFailed(f"{project.name} did not build: {error}") from error
    return _additions(tree, unpacked, project.import_roots[0] if project.import_roots else "")


def _build_node(runtime: Runtime, tree: Path, provided: Provisioned) -> Overlay:
    """Overlay of the files that a JavaScript repository's scripts generate before its tests.

    A script that fails is not an error by itself: what tests need of its output is missing then.
    """
    scripts = scripts_before(tree)
    if not scripts:
        return {}
    copy = tree.parent / "build"
    discard(copy)
    copy_tree(tree, copy)
    setup = suite_setup(copy, provided)
    root = runtime.sandbox.workdir_path(copy)
    path = f"{setup.python.parent}:{root}/node_modules/.bin:{base_environment(root, root)['PATH']}"
    for folder, script in scripts:
        runtime.sandbox.run(
            ["/bin/sh", "-c", 'cd "$1" && npm run --silent "$2"', "sh", folder or ".", script],
            workdir=copy,
            mounts=setup.mounts,
            env={"PATH": path, "NPM_CONFIG_UPDATE_NOTIFIER": "false", "NPM_CONFIG_OFFLINE": "true"},
            limits=runtime.limits,
        )
    return _additions(tree, copy, "")


def _additions(tree: Path, unpacked: Path, root: str) -> Overlay:
    there = {path for path, _ in files_and_links(tree)}
    added = {}
    for path, link in files_and_links(unpacked):
        target = f"{root}/{path}" if root else path
        parts = path.split("/")
        if link or ".dist-info" in parts[0] or "node_modules" in parts or target in there or is_test_path(target):
            continue
        added[target] = ((unpacked / path).read_bytes(), False)
    return added
