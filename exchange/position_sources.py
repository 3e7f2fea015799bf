"""Repositories opened for the recipe of positions; those that are held out are refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evals.study.plan import held_out_name
from models.content import RepositoryContent
from models.errors import UsageError
from repos.clones import cached_clone
from repos.git import Git
from training.data.sources.lintseq.programs import Origin, programs_of_repository
from training.data.sources.positions.recipe import PositionSource
from training.data.sources.repository_origin import origin_of_clone


@contextmanager
def opened_positions(place: Path, cache: Path, tokens: int) -> Iterator[tuple[PositionSource, RepositoryContent]]:
    """The segments, of at most `tokens` tokens, of the repository at a path at its newest commit, and its content.

    Raises UsageError for a repository that the default split holds out, RepositoryError, InfrastructureError.
    """
    with cached_clone(place, cache) as git:
        refuse_held_out(git, place)
        found = origin_of_clone(git, place)
        origin = Origin.of_repository(found)
        yield PositionSource.read(origin, programs_of_repository(git, origin), tokens), found.content


def refuse_held_out(git: Git, place: Path) -> None:
    """Raise UsageError for a clone of a repository that is held out, under whatever name."""
    if (name := held_out_name(git)) is not None:
        raise UsageError(f"{place} is {name}, which is held out: no examples are made of it; leave it out")
