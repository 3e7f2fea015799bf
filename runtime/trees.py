"""A repository state on disk: a commit's files, a candidate's changes on top, then the hidden tests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from host.throwaway import discard
from models.errors import InfrastructureError
from models.manifest import NODE
from models.suite import SuiteReport
from repos.git import Git
from repos.layouts import layout_at
from repos.trees import files_and_links, make_links, overlay
from runtime.environments import Installation, own_plugins, scripts_of, start_up
from runtime.environments.node import node_setup
from runtime.installs import BuildCutShort, BuildFailed, Provisioned, Runtime, install, project_in, provisioned
from runtime.sandbox import Mount
from runtime.testing import PYTEST, Selection, SuiteSetup, runner_of

__all__ = [
    "BuildCutShort",
    "BuildFailed",
    "Provisioned",
    "Runtime",
    "checked_out",
    "install",
    "install_tests",
    "lay_over",
    "project_in",
    "provisioned",
    "run_tests",
]

PROGRAMS = "bin"
"""The folder of the distribution's scripts, beside its metadata."""


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
    layout = layout_at(git, commit)
    entries = {e.path: e for e in git.tree(commit) if layout.is_test(e.path) and e.mode != "160000"}
    contents = git.blobs(sorted({entry.blob for entry in entries.values()}))
    files = {path: (contents[e.blob], e.mode == "100755") for path, e in entries.items() if e.mode != "120000"}
    gone = {path: None for path, link in files_and_links(tree) if layout.is_test(path) and (link or path not in files)}
    overlay(tree, {**gone, **files})
    goals = {p: contents[e.blob].decode(errors="surrogateescape") for p, e in entries.items() if e.mode == "120000"}
    make_links(tree, goals)


def run_tests(
    runtime: Runtime,
    tree: Path,
    provided: Provisioned,
    selection: Selection,
    installation: Installation,
    *,
    workers: int = 1,
) -> SuiteReport:
    """Lay an installation over a tree and run the tree's tests in the sandbox.

    More than one of `workers`, processes that share the tests, needs pytest-xdist in the environment.
    """
    setup = lay_over(runtime, tree, provided, installation)
    if workers > 1:
        setup = replace(setup, command=(*setup.command, "-n", str(workers)))
    return runner_of(setup).run(runtime.sandbox, tree, setup, selection, runtime.limits)


def lay_over(runtime: Runtime, tree: Path, provided: Provisioned, installation: Installation) -> SuiteSetup:
    """Write an installation's files into a tree and beside it; how the tree's tests are started then.

    Packages of Node.js are linked into the tree.
    """
    built = provided.environment
    if built.language == NODE:
        overlay(tree, installation.additions)
        return node_setup(tree, built.python, built.prefix)
    site = tree.parent / "site"
    discard(site)
    (site / PROGRAMS).mkdir(parents=True)
    overlay(tree, installation.additions)
    overlay(site, installation.site)
    overlay(site, start_up(installation, str(runtime.sandbox.workdir_path(tree))))
    mount = Mount(site, site)
    here, root = runtime.sandbox.path_of(mount), runtime.sandbox.workdir_path(tree)
    paths = [*(os.path.normpath(root / entry) for entry in installation.import_roots), str(here)]
    overlay(site / PROGRAMS, scripts_of(installation, built.python, paths))
    project = project_in(tree)
    return SuiteSetup(
        python=built.python,
        mounts=(Mount(built.prefix, built.prefix), Mount(built.base_prefix, built.base_prefix), mount),
        import_roots=installation.import_roots,
        extra_path=(here,),
        programs=(here / PROGRAMS,),
        command=project.test_command,
        plugins=(*PYTEST.installed_plugins(built.prefix), *own_plugins(project, PYTEST.plugin_group)),
        runner=PYTEST.name,
    )
