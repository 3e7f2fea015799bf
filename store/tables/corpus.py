"""Raw: texts by content, and the repo packages and instances that campaigns ran on."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from store.tables.base import FreeText, RawTable, UtcDateTime, utc_now


class Blob(RawTable, table=True):
    """A text, stored once.

    `sha256` and `size` (bytes) are of the UTF-8 text; `data` is the text encoded by `codec`.
    """

    __tablename__ = "blobs"

    sha256: str = Field(primary_key=True)
    codec: str
    size: int
    data: bytes


class RepoPackageRow(RawTable, table=True):
    """A repo package by the identity of its manifest, which covers its wheels and commits."""

    __tablename__ = "repo_packages"

    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    source: str = Field(sa_type=FreeText)
    head: str
    manifest_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class RepositoryContentRow(RawTable, table=True):
    """The content of a repository (`RepositoryContent`); several rows for one that has grown."""

    __tablename__ = "repository_contents"

    id: str = Field(primary_key=True)
    repository: str = Field(index=True)
    content: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class InstanceRow(RawTable, table=True):
    """An instance by content: repository, commits, task text, tests, environment. `instance_id` is its label.

    Packages of a repository share unchanged instances; `package_id` is the first package with this one.
    """

    __tablename__ = "instances"

    id: str = Field(primary_key=True)
    instance_id: str = Field(index=True)
    package_id: str = Field(foreign_key="repo_packages.id", index=True)
    repository: str
    commit: str
    base_commit: str
    environment: str | None
    reason: str | None
    spec_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
