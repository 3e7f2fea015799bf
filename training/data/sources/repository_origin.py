"""A clone as the origin of examples: what their provenance says of it, and its content, by which copies are known."""

from dataclasses import dataclass
from pathlib import Path

from harness.mining.owners import owner_by_urls
from harness.mining.repository import describe
from harness.packages.contents import content_of
from harness.packages.prepare import name_of, origin_of
from models.content import RepositoryContent
from repos.git import Git
from store.runs.closed_runs import UNKNOWN


@dataclass(frozen=True)
class RepositoryOrigin:
    """A repository at its newest commit. `flags` are those of `harness.mining.repository`; what is not known of
    organisation, domain and licence is `UNKNOWN`."""

    name: str
    commit: str
    organisation: str
    domain: str
    license: str
    flags: tuple[str, ...]
    content: RepositoryContent


def origin_of_clone(git: Git, place: Path) -> RepositoryOrigin:
    """The origin that a clone of the repository at a path is: named as packages of it are. Raises RepositoryError."""
    head = git.resolve("HEAD")
    name = name_of(git, head, str(place))
    facts = describe(git, name, origin_of(str(place)), head)
    owner = facts.organisation or owner_by_urls(git, head, name)
    return RepositoryOrigin(
        name=name,
        commit=head,
        organisation=owner.lower() if owner else UNKNOWN,
        domain=facts.domain or UNKNOWN,
        license=facts.license or UNKNOWN,
        flags=facts.flags,
        content=content_of(git, [head]),
    )
