"""A repository state on disk: a commit's files, a candidate's changes over them, the hidden tests over those."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.environments import (
    BuiltEnvironment,
    EnvironmentStore,
    Project,
    build_command,
    discover,
    generated_files,
    unpack_built,
    write_own_metadata,
)
from harness.git import Git
from harness.mining.paths import is_test_path
from harness.sandbox import Ending, Mount, Sandbox
from harness.testing import Selection, SuiteSetup, run_suite
from models.errors import CleanRoomError, EnvironmentFault, InfrastructureError, WheelError
from models.limits import Limits
from models.manifest import Environment
from models.suite import SuiteReport

Overlay = Mapping[str, tuple[bytes, bool] | None]
"""Changes over a tree: path -> (new content, whether it is executable), or None for a file that is gone."""


class BuildFailed(CleanRoomError):
    """A repository that must be built before its tests can run did not build."""


class TamperedPath(CleanRoomError):
    """A candidate's file would stand in for a module of the test runner or of the standard library."""


@dataclass(frozen=True)
class Runtime:
    """What it takes to run a repository's tests on this machine."""

    sandbox: Sandbox
    environments: EnvironmentStore
    limits: Limits
    scratch: Path


@dataclass(frozen=True)
class Provisioned:
    """An environment in use, with what it was made for. `version` is what the repository's own distribution reports."""

    environment: BuiltEnvironment
    version: str


@contextmanager
def provisioned(runtime: Runtime, environment: Environment, packages: Path, version: str) -> Iterator[Provisioned]:
    """Hold an environment, building it first if need be. Raises EnvironmentFault, WheelError."""
    with runtime.environments.acquire(environment, packages) as built:
        yield Provisioned(built, version)


@contextmanager
def checked_out(git: Git, commit: str, scratch: Path) -> Iterator[Path]:
    """A commit's files in a directory of their own, gone at the end; never reused, for caches change results."""
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
        shutil.rmtree(root, ignore_errors=True)


def overlay(tree: Path, changes: Overlay) -> None:
    """Write changes over a tree of ours that no foreign code has run in yet."""
    for path, content in sorted(changes.items()):
        target = tree / path
        if content is None:
            target.unlink(missing_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        text, executable = content
        target.write_bytes(text)
        target.chmod(0o755 if executable else 0o644)


def install_tests(git: Git, commit: str, tree: Path) -> None:
    """Make the tree's tests those of `commit`: its test files written, all others removed."""
    wanted = {e.path: e for e in git.tree(commit) if is_test_path(e.path) and e.mode in ("100644", "100755")}
    contents = git.blobs(sorted({entry.blob for entry in wanted.values()}))
    for file in sorted(tree.rglob("*")):
        relative = file.relative_to(tree).as_posix()
        if is_test_path(relative) and relative not in wanted and (file.is_file() and not file.is_symlink()):
            file.unlink()
    overlay(tree, {path: (contents[entry.blob], entry.mode == "100755") for path, entry in wanted.items()})


def project_in(tree: Path) -> Project:
    """How a tree on disk is laid out for running its tests, read without running any of it."""
    paths = sorted(f.relative_to(tree).as_posix() for f in tree.rglob("*") if f.is_file() and not f.is_symlink())
    known = frozenset(paths)
    return discover(lambda path: (tree / path).read_bytes() if path in known else None, paths, with_requirements=False)


def run_tests(runtime: Runtime, tree: Path, provided: Provisioned, selection: Selection) -> SuiteReport:
    """Run the tests of a tree in the sandbox. Builds the repository first if it has extension modules.

    Raises BuildFailed when that build fails.
    """
    with suite_setup(runtime, tree, provided) as setup:
        return run_suite(runtime.sandbox, tree, setup, selection, runtime.limits)


@contextmanager
def suite_setup(runtime: Runtime, tree: Path, provided: Provisioned) -> Iterator[SuiteSetup]:
    """How the tests of a tree are started: interpreter, mounts, import roots, the distribution's own metadata."""
    project = project_in(tree)
    built = provided.environment
    metadata = tree.parent / "metadata"
    shutil.rmtree(metadata, ignore_errors=True)
    metadata.mkdir()
    write_own_metadata(project, provided.version, metadata)
    missing = {
        p: (t.encode(), False) for p, t in generated_files(project, provided.version).items() if not (tree / p).exists()
    }
    overlay(tree, missing)
    mounts = (
        Mount(built.prefix, built.prefix),
        Mount(built.base_prefix, built.base_prefix),
        Mount(metadata, metadata),
    )
    setup = SuiteSetup(
        python=built.python,
        mounts=mounts,
        import_roots=project.import_roots,
        extra_path=(metadata,),
        command=project.test_command,
    )
    if project.needs_build:
        _build(runtime, tree, project, provided, mounts)
    yield setup


def _build(runtime: Runtime, tree: Path, project: Project, provided: Provisioned, mounts: tuple[Mount, ...]) -> None:
    """Build a wheel inside the sandbox and lay what the tree lacks (extension modules, generated files) into it."""
    out = tree.parent / "wheel"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    out_mount = Mount(out, out, writable=True)
    command = build_command(project, provided.environment.python, runtime.sandbox.path_of(out_mount))
    assert command is not None, "only called for a project that must be built"
    finished = runtime.sandbox.run(
        command,
        workdir=tree,
        mounts=(*mounts, out_mount),
        env={"SETUPTOOLS_SCM_PRETEND_VERSION": provided.version, "PBR_VERSION": provided.version},
        limits=runtime.limits,
    )
    if finished.ending is not Ending.EXITED or finished.exit_code != 0:
        said = finished.output.strip().splitlines()
        raise BuildFailed(f"{project.name} did not build: {said[-1] if said else finished.ending.value}")
    unpacked = tree.parent / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        unpack_built(out, unpacked)
    except (EnvironmentFault, WheelError) as error:
        raise BuildFailed(f"{project.name} did not build: {error}") from error
    root = tree / (project.import_roots[0] if project.import_roots else "")
    for file in sorted(unpacked.rglob("*")):
        target = root / file.relative_to(unpacked)
        if file.is_file() and ".dist-info" not in file.parts[len(unpacked.parts)] and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
