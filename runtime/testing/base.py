"""How a repository's tests are started, which of them are wanted, and how they are named.

A test's id is `path::name`, whatever runs it: the path of its file relative to the work tree, then its name, with the
names of what it is nested in before it and its parameters in brackets after it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runtime.sandbox import Mount
from runtime.testing.channel import Received


def file_of(test: str) -> str:
    """The path of the file that a test is in."""
    return test.partition("::")[0]


def without_parameters(test: str) -> str:
    """A test's id less its parameters."""
    return test.partition("[")[0]


@dataclass(frozen=True)
class SuiteSetup:
    """How the tests of one state of a repository are started.

    `python` is the interpreter, under the same path inside and outside of the sandbox. `mounts` hold whatever
    it needs: the environment, the interpreter's own prefix, the directory with the repository's metadata;
    read-only. `import_roots` are relative to the work tree and come first on PYTHONPATH, in this order;
    `extra_path` follows. `programs` are folders of programs, searched before all others. In `command`, the first word
    `python` means `python` above. `plugins` are the names under which distributions register the plugins of the runner
    that are loaded, in order; no others are. `runner` is the name of the test runner, `folder` where
    in the work tree it is started, if not at its root.
    """

    python: Path
    mounts: tuple[Mount, ...]
    import_roots: tuple[str, ...]
    extra_path: tuple[Path, ...] = ()
    programs: tuple[Path, ...] = ()
    command: tuple[str, ...] = ("python", "-m", "pytest")
    plugins: tuple[str, ...] = ()
    hash_seed: int = 0
    runner: str = "pytest"
    folder: str = ""

    def import_path(self, root: Path) -> list[str]:
        """The entries of PYTHONPATH, in order, for a work tree at `root` inside the sandbox."""
        return [*(os.path.normpath(root / entry) for entry in self.import_roots), *map(str, self.extra_path)]


@dataclass(frozen=True)
class Selection:
    """The tests to run, and when to stop.

    The tests in the files of `first` run before the others; the whole suite is still collected, because some tests pass
    only then. With stop `after-first` the run ends after them; with `if-required-fail` it does so if one of the node
    ids in `required` did not pass. `only` limits collection to these files. Paths are relative to the work tree.
    """

    first: tuple[str, ...] = ()
    stop: Literal["never", "after-first", "if-required-fail"] = "never"
    required: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plugin:
    """A module of ours for a test runner to load: its source, the payload it reads, and what is done with its report.

    `collect` gets the folder that it wrote to and what came on the module's channel, once for each start of the runner.
    `purpose` names the module's folders in the sandbox.
    """

    source: Path
    purpose: str
    payload: Mapping[str, Any]
    collect: Callable[[Path, Received], None]
