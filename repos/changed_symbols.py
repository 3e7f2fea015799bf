"""The functions and classes that a commit changes, read with PyDriller.

PyDriller gives sources and changed lines; the definition around a line comes from a tree-sitter query, which has
qualified names and takes a fraction of the time of PyDriller's `changed_methods`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from models.errors import InfrastructureError, RepositoryError
from repos.git import Git
from repos.index.definition_spans import DefinitionSpans, Span


@dataclass(frozen=True)
class ChangedSymbols:
    """What a commit does to symbols of code files, as `path::qualified.name`, sorted.

    `module_level` are the files that existed before and also change outside every symbol.
    """

    new: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    module_level: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every symbol that is changed, added or removed."""
        return tuple(sorted({*self.new, *self.existing}))


@contextmanager
def changed_symbols(git: Git) -> Iterator[Callable[[str, Collection[str]], ChangedSymbols]]:
    """A function from commit id and paths of code files to the symbols it changes there, over one open repository.

    The function raises RepositoryError for a commit that cannot be read. Opening the repository writes a setting of
    PyDriller (`blame.markUnblamableLines`) into the clone's configuration.
    """
    from git import Repo, Submodule
    from git.exc import GitError, ODBError
    from git.util import IterableList
    from pydriller import Git as Driller

    class Flat(Repo):
        @property
        def submodules(self) -> IterableList[Submodule]:  # else read anew from HEAD for each changed file
            return IterableList("name")

    repo = Flat(str(git.directory))
    repo.git.update_environment(
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="safe.directory",
        GIT_CONFIG_VALUE_0="*",
    )
    driller = Driller(str(git.directory))

    def changed_by(sha: str, paths: Collection[str]) -> ChangedSymbols:
        try:
            files = driller.get_commit_from_gitpython(repo.commit(sha)).modified_files
            return _merged(_file_symbols(file, read) for file in files if (file.new_path or file.old_path) in paths)
        except (ODBError, ValueError, LookupError) as error:  # its parsers of objects and of diffs
            raise RepositoryError(
                f"{git.directory}: commit {sha[:12]} cannot be read ({type(error).__name__})"
            ) from error
        except GitError as error:  # git was killed
            raise InfrastructureError(f"git could not compare commit {sha[:12]} with its parent; try again") from error

    read = lru_cache(maxsize=256)(DefinitionSpans().read)  # a file is often as the next commit found it
    try:
        yield changed_by
    finally:
        repo.close()
        driller.repo.close()


def _merged(parts: Iterable[ChangedSymbols]) -> ChangedSymbols:
    found = list(parts)
    return ChangedSymbols(
        tuple(sorted({name for part in found for name in part.new})),
        tuple(sorted({name for part in found for name in part.existing})),
        tuple(sorted({name for part in found for name in part.module_level})),
    )


def _file_symbols(file: Any, read: Callable[[bytes, str], tuple[Span, ...]]) -> ChangedSymbols:
    """Symbols of one of PyDriller's modified files."""
    path = file.new_path or file.old_path
    old = read(file.content_before or b"", file.old_path or path)
    new = read(file.content or b"", path)
    lines = file.diff_parsed
    deleted, outside_before = _touched(old, [line for line, text in lines["deleted"] if text.strip()])
    added, outside_after = _touched(new, [line for line, text in lines["added"] if text.strip()])
    changed, known = deleted | added, {span.name for span in old}
    return ChangedSymbols(
        tuple(f"{path}::{name}" for name in changed - known),
        tuple(f"{path}::{name}" for name in changed & known),
        (path,) if (outside_before or outside_after) and file.old_path else (),
    )


def _touched(spans: tuple[Span, ...], lines: Iterable[int]) -> tuple[set[str], bool]:
    """The innermost definitions around the lines, and whether some line is in none."""
    names: set[str] = set()
    outside = False
    for line in lines:
        holders = [span for span in spans if span.start <= line <= span.end]
        if holders:
            names.add(min(holders, key=lambda span: span.end - span.start).name)
        else:
            outside = True
    return names, outside
