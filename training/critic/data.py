"""The comparisons of collections, by part of the split, and what of them a critic may not learn from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evals.sets import copy_of_reserved, reserved, reserved_repositories
from models.comparisons import Comparison, Part
from models.errors import TrainingError, UsageError
from models.training import PairSource, content_hash_of
from training.cycle.context import TrainingContext
from training.data.sources.collections import read_card, read_comparisons

RESERVED, KNOWN = "reserved repository, or a copy of one", "versions that the training part has too"


@dataclass(frozen=True)
class CriticData:
    """Comparisons by part; `left_out` counts those that no part has, by reason."""

    collections: tuple[str, ...]
    by_part: dict[Part, list[Comparison]]
    left_out: Counter[str] = field(default_factory=Counter)


def find_collections(data_dir: Path, names: Sequence[str]) -> list[Path]:
    """The folders of collections of comparisons by name or path; without a name, the only one that there is. Raises
    UsageError."""
    place = data_dir / "collections"
    if not names:
        found = sorted(place.glob(f"{PairSource.COMPARISONS.value}-*"))
        if len(found) != 1:
            known = ", ".join(each.name for each in found) or "none; make one with `cra critic build`"
            raise UsageError(f"--collection: name those to read; {place} has {known}")
        return found
    folders = []
    for name in names:
        folder = next((each for each in (Path(name), place / name) if each.is_dir()), None)
        if folder is None:
            raise UsageError(f"--collection {name!a}: there is no such folder, nor one in {place}")
        folders.append(folder)
    return folders


def read_data(context: TrainingContext, folders: Sequence[Path]) -> CriticData:
    """The comparisons of collections. Those of reserved repositories and of their copies are in no part for training or
    validation. Raises TrainingError for a collection that is damaged, or of another kind."""
    cards = [read_card(folder) for folder in folders]
    held = reserved(context.curated).keys() | reserved_repositories(context.curated, context.raw_engine).keys()
    held |= {
        name
        for card in cards
        for name, content in card.contents.items()
        if copy_of_reserved(context.curated, context.raw_engine, content)
    }
    data = CriticData(tuple(sorted(card.id for card in cards)), {part: [] for part in Part})
    rows = {(each.part, each.id): each for folder in folders for each in read_comparisons(folder)}
    trained: set[str] = set()
    for part in Part:  # training first
        for each in (row for row in rows.values() if row.part is part):
            versions = content_hash_of(sorted((each.better, each.worse)))
            if part is not Part.HELD_OUT and each.repository in held:
                data.left_out[RESERVED] += 1
            elif part is not Part.TRAINING and versions in trained:
                data.left_out[KNOWN] += 1
            else:
                data.by_part[part].append(each)
                trained |= {versions} if part is Part.TRAINING else set()
    return data


def require(comparisons: Sequence[Comparison], part: Part, data: CriticData) -> None:
    """Raise TrainingError if a part has no comparison."""
    if not comparisons:
        left_out = ", ".join(f"{reason}: {count}" for reason, count in sorted(data.left_out.items())) or "none left out"
        raise TrainingError(
            f"the collections hold no comparison of the {part.value} part ({left_out}); build one over other clones"
        )
