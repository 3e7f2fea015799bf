"""The corpus that campaigns ran on: repo packages with their instances, and the contents of repositories."""

from collections.abc import Collection

from sqlalchemy import Connection, Engine, select

from models.content import RepositoryContent
from models.manifest import Manifest
from store.database import chunks, reading
from store.keys import canonical, digest, instance_key
from store.rows import add, writing
from store.tables import InstanceRow, RepoPackageRow, RepositoryContentRow, ReservedContent, table_of
from store.texts import Texts

NamedContent = tuple[str, RepositoryContent]
"""A repository's name and its content."""
_ContentRow = type[RepositoryContentRow] | type[ReservedContent]
_INSTANCES = table_of(InstanceRow)


def register_package(raw: Engine, manifest: Manifest, content: RepositoryContent | None = None) -> dict[str, str]:
    """Store a repo package and its instances; the instances' keys by their `instance_id`.

    `content` describes its clone; by it, copies of a repository under other names are recognised.
    """
    texts = Texts()
    package = RepoPackageRow(
        id=manifest.identity(),
        name=manifest.name,
        source=manifest.source,
        head=manifest.head,
        manifest_hash=texts.add(manifest.to_json()),
    )
    rows = [
        InstanceRow(
            id=instance_key(manifest.name, instance),
            instance_id=instance.instance_id,
            package_id=package.id,
            repository=manifest.name,
            commit=instance.commit,
            base_commit=instance.base_commit,
            environment=instance.environment,
            reason=instance.reason.value if instance.reason else None,
            spec_hash=texts.add(canonical(instance)),
        )
        for instance in manifest.instances
    ]
    with writing(raw, texts) as connection:
        add(connection, package)
        if content is not None:
            add_content(connection, manifest.name, content)
        for row in sorted(rows, key=lambda row: row.id):
            add(connection, row)
    return {row.instance_id: row.id for row in rows}


def known_repositories(raw: Engine) -> list[str]:
    """Repositories that a campaign has run on, by name."""
    with reading(raw) as connection:
        return list(connection.scalars(select(_INSTANCES.c.repository).distinct().order_by(_INSTANCES.c.repository)))


def read_origins(connection: Connection, repositories: Collection[str]) -> list[tuple[str, str]]:
    """The origins that packages of these repositories name: (repository, URL or `local:NAME`), sorted."""
    table = table_of(RepoPackageRow)
    found = {
        (row.name, row.source)
        for part in chunks(repositories)
        for row in connection.execute(select(table.c.name, table.c.source).where(table.c.name.in_(part)))
    }
    return sorted(found)


def add_content(
    connection: Connection, repository: str, content: RepositoryContent, row: _ContentRow = RepositoryContentRow
) -> None:
    """Store the content of a repository, unless an equal one is stored."""
    key = digest("content", repository, canonical(content))
    add(connection, row(id=key, repository=repository, content=content.model_dump(mode="json")))


def read_contents(connection: Connection, row: _ContentRow = RepositoryContentRow) -> list[NamedContent]:
    """The stored contents of repositories, by name; several for one that has grown."""
    table = table_of(row)
    query = select(table.c.repository, table.c.content).order_by(table.c.repository, table.c.id)
    return [(name, RepositoryContent.model_validate(content)) for name, content in connection.execute(query)]


def shared_commits(connection: Connection, repositories: Collection[str]) -> dict[str, tuple[str, str]]:
    """Other repositories that have instances at the same commits as these: each with one of these and a shared
    commit."""
    owner = {
        commit: row.repository
        for part in chunks(repositories)
        for row in connection.execute(select(_INSTANCES).where(_INSTANCES.c.repository.in_(part)))
        for commit in (row.commit, row.base_commit)
    }
    found: dict[str, tuple[str, str]] = {}
    for part in chunks(owner):
        for column in (_INSTANCES.c.commit, _INSTANCES.c.base_commit):
            for name, commit in connection.execute(select(_INSTANCES.c.repository, column).where(column.in_(part))):
                if name not in repositories:
                    found.setdefault(name, (owner[commit], commit))
    return found
