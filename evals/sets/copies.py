"""Which repositories are copies of others, by what is known of their content: no name says it."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from harness.packages.contents import shared_content
from models.content import RepositoryContent
from store.keys import canonical, digest
from store.rows import add, chunks, reading, table_of
from store.tables import InstanceRow, RepositoryContentRow, ReservedContent

if TYPE_CHECKING:
    from sqlalchemy import Engine

_CONTENTS, _RESERVED = table_of(RepositoryContentRow), table_of(ReservedContent)
_INSTANCES = table_of(InstanceRow)
NamedContent = tuple[str, RepositoryContent]


def copies_among(raw: "Engine", repositories: Collection[str], curated: "Engine | None" = None) -> dict[str, str]:
    """The repositories that campaigns ran on which are copies of some others, each with the reason.

    What those others are is known from the raw database, and for reserved ones from the curated one.
    """
    names = set(repositories)
    with reading(raw) as connection:
        every = list(_contents(connection))
        found = _of_shared_commits(connection, names)
    known = [each for each in every if each[0] in names]
    if curated is not None:
        known += [each for each in _reserved_contents(curated) if each[0] in names]
    for name, content in every:
        if name not in names and name not in found and (why := _why(content, known)):
            found[name] = why
    return found


def copy_of_reserved(curated: "Engine", raw: "Engine", content: RepositoryContent) -> str:
    """Why something with a content is a copy of a reserved repository, "" if it is none. It need not be on record."""
    reserved = list(_reserved_contents(curated))
    names = {name for name, _ in reserved}
    with reading(raw) as connection:
        known = [*reserved, *(each for each in _contents(connection) if each[0] in names)]
    return _why(content, known)


def keep_contents(connection: Connection, raw: "Engine", repositories: Collection[str]) -> None:
    """Keep what is known of some repositories' content with their reservation, in an open curated transaction."""
    with reading(raw) as known:
        found = [(name, content) for name, content in _contents(known) if name in repositories]
    for name, content in found:
        key = digest("content", name, canonical(content))
        add(connection, ReservedContent(id=key, repository=name, content=content.model_dump(mode="json")))


def _why(content: RepositoryContent, known: Collection[NamedContent]) -> str:
    return next(
        (f"it is a copy of {name!r}: {why}" for name, each in known if (why := shared_content(content, each))), ""
    )


def _contents(connection: Connection) -> Iterator[NamedContent]:
    query = select(_CONTENTS.c.repository, _CONTENTS.c.content).order_by(_CONTENTS.c.repository, _CONTENTS.c.id)
    for name, content in connection.execute(query):
        yield name, RepositoryContent.model_validate(content)


def _reserved_contents(curated: "Engine") -> Iterator[NamedContent]:
    query = select(_RESERVED.c.repository, _RESERVED.c.content).order_by(_RESERVED.c.repository, _RESERVED.c.id)
    with reading(curated) as connection:
        for name, content in connection.execute(query).all():
            yield name, RepositoryContent.model_validate(content)


def _of_shared_commits(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """Repositories whose instances lie at commits of the named ones' instances, which needs no content on record."""
    owner = {
        commit: row.repository
        for part in chunks(names)
        for row in connection.execute(select(_INSTANCES).where(_INSTANCES.c.repository.in_(part)))
        for commit in (row.commit, row.base_commit)
    }
    found: dict[str, str] = {}
    for part in chunks(owner):
        for column in (_INSTANCES.c.commit, _INSTANCES.c.base_commit):
            for name, commit in connection.execute(select(_INSTANCES.c.repository, column).where(column.in_(part))):
                if name not in names:
                    found.setdefault(name, f"it is a copy of {owner[commit]!r}: both have commit {commit[:12]}")
    return found
