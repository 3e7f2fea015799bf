"""The sample repository of `cra demo`: a small library with features, fixes, a refactoring, and commits to filter out.

`spans.fast-export` is the output of `git fast-export --all`; importing it gives the same commit ids everywhere. To
change it: import, commit, export.
"""

from importlib.resources import files
from pathlib import Path

from host.process import run
from repos.git import Git


def build_sample(directory: Path) -> Path:
    """Create the sample repository in `directory` (a bare repository; must not exist yet) and return it."""
    directory.mkdir(parents=True)
    run(["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(directory)])
    Git(directory).output("fast-import", "--quiet", stdin=files(__package__).joinpath("spans.fast-export").read_bytes())
    return directory
