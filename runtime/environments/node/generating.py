"""Files that a JavaScript repository's scripts generate before its tests can run."""

from pathlib import Path

from host.folders import copy_tree
from host.throwaway import discard
from models.errors import CleanRoomError
from models.limits import Limits
from repos.index.paths import is_test_path
from repos.trees import files_and_links
from runtime.environments.node.laying import FOLDER
from runtime.environments.node.suites import configured_by_scripts, node_setup, project_on_disk, scripts_before
from runtime.sandbox import ProcessEnd, Sandbox
from runtime.sandbox.base import base_environment
from runtime.testing.node_runner import steers

Files = dict[str, tuple[bytes, bool]]
"""Contents by path, and whether the file is executable."""
_RUN = 'cd "$1" && npm run --silent "$2"'


class ScriptCutShort(CleanRoomError):
    """A script did not end by itself: it exceeded a limit and was killed."""


def generated_by_scripts(sandbox: Sandbox, limits: Limits, tree: Path, node: Path, prefix: Path) -> Files:
    """The files that scripts of a tree generate, in the sandbox and in a copy of the tree.

    Tests, configuration of the test runner and what the tree has already are left out. A script that fails is no error
    by itself: what tests need of its output is missing then. Raises ScriptCutShort for one that exceeds a limit.
    """
    scripts = scripts_before(tree)
    if not scripts:
        return {}
    copy = tree.parent / "build"
    discard(copy)
    try:
        copy_tree(tree, copy)
        setup = node_setup(copy, node, prefix)
        root = sandbox.workdir_path(copy)
        path = f"{node.parent}:{root}/{FOLDER}/.bin:{base_environment(root, root)['PATH']}"
        for folder, script in scripts:
            finished = sandbox.run(
                ["/bin/sh", "-c", _RUN, "sh", folder or ".", script],
                workdir=copy,
                mounts=setup.mounts,
                env={"PATH": path, "NPM_CONFIG_UPDATE_NOTIFIER": "false", "NPM_CONFIG_OFFLINE": "true"},
                limits=limits,
            )
            if finished.ending is not ProcessEnd.EXITED:
                where = f" of {folder}" if folder else ""
                raise ScriptCutShort(f"the script {script}{where} did not end: {finished.ending.value}")
        return _additions(tree, copy)
    finally:
        discard(copy)


def _additions(tree: Path, copy: Path) -> Files:
    """The new files of a copy, less tests and whatever would configure the runner or stand in for a package."""
    there = {path for path, _ in files_and_links(tree)}
    named = configured_by_scripts(project_on_disk(tree))
    return {
        path: ((copy / path).read_bytes(), False)
        for path, link in files_and_links(copy)
        if not link and path not in there and not is_test_path(path) and not steers(path) and path not in named
    }
