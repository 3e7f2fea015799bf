"""Detects repositories that are copies of others, by content instead of name."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from harness.packages.contents import shared_content
from models.content import RepositoryContent
from store.database import reading
from store.learning.reservations import reserved_contents
from store.runs.corpus import NamedContent, read_contents, shared_commits

if TYPE_CHECKING:
    from store.database import Engine


def copies_among(raw: "Engine", repositories: Collection[str], curated: "Engine | None" = None) -> dict[str, str]:
    """Copies of `repositories` among the repositories that campaigns ran on, each with the reason.

    Contents are read from the raw database, and for reserved repositories from the curated one.
    """
    names = set(repositories)
    with reading(raw) as connection:
        every = read_contents(connection)
        shared = shared_commits(connection, names)
    found = {name: f"it is a copy of {one!r}: both have commit {at[:12]}" for name, (one, at) in shared.items()}
    known = [each for each in every if each[0] in names]
    if curated is not None:
        known += [each for each in reserved_contents(curated) if each[0] in names]
    for name, content in every:
        if name not in names and name not in found and (why := _why(content, known)):
            found[name] = why
    return found


def copy_of_reserved(curated: "Engine", raw: "Engine", content: RepositoryContent) -> str:
    """Why a repository content is a copy of a reserved repository, "" if it is not. It need not be stored."""
    return first_copy_of_reserved(curated, raw, [content])


def first_copy_of_reserved(curated: "Engine", raw: "Engine", contents: Iterable[RepositoryContent]) -> str:
    """Why the first content of several that is a copy of a reserved repository is one; "" if none is."""
    reserved = reserved_contents(curated)
    names = {name for name, _ in reserved}
    if not names:
        return ""
    with reading(raw) as connection:
        known = [*reserved, *(each for each in read_contents(connection) if each[0] in names)]
    return next((why for content in contents if (why := _why(content, known))), "")


def _why(content: RepositoryContent, known: Collection[NamedContent]) -> str:
    return next(
        (f"it is a copy of {name!r}: {why}" for name, each in known if (why := shared_content(content, each))), ""
    )
