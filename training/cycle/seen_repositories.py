"""What a base was trained on here, by its lineage: such repositories say nothing about it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.packages.contents import content_of, shared_content
from harness.packages.prepare import name_of
from models.errors import UsageError
from store.database import reading
from store.learning.datasets import dataset_repositories
from store.runs.corpus import read_contents
from training.adapters.registry.base_statement import read_base_statement
from training.bases.bases import PARENT, Base, list_bases
from training.windows.texts import CodeSource

if TYPE_CHECKING:
    from store.database import Engine


class SeenRepositories(NamedTuple):
    """The repositories of the datasets that a base and its parents were tuned on, each with such a dataset's id; and
    the datasets and parents that are not here, of which nothing is known."""

    repositories: Mapping[str, str]
    unknown: tuple[str, ...]


def seen_repositories(curated: "Engine", raw: "Engine", base: Base) -> SeenRepositories:
    """What a base has seen, through all its parents. Raises RegistryError for a tuned base without a statement."""
    known = {each.id: each for each in list_bases(curated)}
    datasets: list[str] = []
    unknown: list[str] = []
    passed = {base.id}
    at: Base | None = base
    while at is not None and PARENT in at.facts:
        lineage = read_base_statement(at.path).predicate
        datasets += [lineage.dataset, *lineage.datasets]
        at = None if lineage.parent in passed else known.get(lineage.parent)
        if at is None:
            unknown.append(f"base {lineage.parent_name}")
        passed.add(lineage.parent)
    found = dataset_repositories(raw, datasets)
    unknown += [f"dataset {each[:12]}" for each in dict.fromkeys(datasets) if each not in found]
    return SeenRepositories({name: each for each, names in found.items() for name in names}, tuple(unknown))


def require_unseen(base: str, seen: Mapping[str, str], raw: "Engine", sources: Sequence[CodeSource]) -> None:
    """Raise UsageError if a base has seen one of these repositories, by its name or its content."""
    if not seen:
        return
    with reading(raw) as connection:
        contents = [each for each in read_contents(connection) if each[0] in seen]
    for source in sources:
        own = content_of(source.git, [source.commit])
        names = [source.name, name_of(source.git, source.commit, source.name)]
        names += [name for name, content in contents if shared_content(own, content)]
        if name := next((name for name in names if name in seen), None):
            copied = "" if name == source.name else f" ({name})"
            raise UsageError(
                f"{source.name}{copied} is in dataset {seen[name][:12]}, on which {base} or a base that it was made "
                "from was tuned; what was trained on measures nothing, leave it out"
            )
