"""How a repository's tests are started, and the selection of tests."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.sandbox import Mount


@dataclass(frozen=True)
class SuiteSetup:
    """How the tests of one state of a repository are started.

    `python` is the interpreter, under the same path inside and outside of the sandbox. `mounts` are read-only and
    contain whatever it needs: the environment, the interpreter's own prefix, the directory with the repository's
    metadata. `import_roots` are relative to the work tree and come first on PYTHONPATH, in this order; `extra_path`
    follows. In `command`, the first word `python` means `python` above. `plugins` are the registered names of the
    pytest plugins to load, in order; no others are loaded.
    """

    python: Path
    mounts: tuple[Mount, ...]
    import_roots: tuple[str, ...]
    extra_path: tuple[Path, ...] = ()
    command: tuple[str, ...] = ("python", "-m", "pytest")
    plugins: tuple[str, ...] = ()
    hash_seed: int = 0

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
