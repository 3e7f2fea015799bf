"""The layout of a suite at a commit, by the configuration in its root."""

from functools import lru_cache
from pathlib import Path

from repos.commits import commit_of
from repos.git import Git
from repos.index.suite_layout import PLAIN, SuiteLayout, suite_layout
from repos.objects import objects_of
from repos.pytest_options import OPTION_FILES


def layout_at(git: Git, *commits: str) -> SuiteLayout:
    """What the configuration at any of these commits (full ids) says. Raises RepositoryError for a missing one."""
    found = PLAIN
    for commit in commits:
        found |= _layout_at(git.directory, commit)
    return found


@lru_cache(maxsize=4096)
def _layout_at(directory: Path, commit: str) -> SuiteLayout:
    objects = objects_of(directory)
    entries = objects.tree(commit_of(objects, commit).tree)
    files = {entry.name.decode(errors="replace"): entry.id for entry in entries if entry.mode.startswith(b"100")}
    return _parsed(directory, tuple((name, files[name]) for name in OPTION_FILES if name in files))


@lru_cache(maxsize=4096)
def _parsed(directory: Path, files: tuple[tuple[str, str], ...]) -> SuiteLayout:
    blobs = dict(files)
    contents = dict(objects_of(directory).read(sorted(set(blobs.values()))))
    return suite_layout(lambda name: contents[blobs[name]] if name in blobs else None)
