"""Identity of a repository by its content, independent of its name and location."""

from pydantic import Field

from models.plans import Frozen


class RepositoryContent(Frozen):
    """The first commits of a repository's history, and a sketch of its code.

    `sketch` are the minima of a MinHash (Broder 1997) over `shingles` runs of words; empty where there is too little
    code to compare.
    """

    roots: tuple[str, ...]
    shingles: int = Field(ge=0)
    sketch: tuple[int, ...] = ()
