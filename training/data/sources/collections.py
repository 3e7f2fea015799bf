"""Collections: pairs and preferences of one recipe or dataset, in a folder of their own that curation reads.

Comparisons, which a critic learns from, are kept in the same way in a file that curation does not read.

    collections/NAME-ID/  pairs.jsonl  preferences.jsonl  card.json  (comparisons.jsonl, of a critic's)

A collection is written row by row, in the order in which its recipe gives them, and holds no more than one row in
memory. Its id is the hash of its files and of what they were made from. The same inputs give the same bytes.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from host.private import make_directory
from models.comparisons import Comparison
from models.content import RepositoryContent
from models.errors import TrainingError
from models.plans import Frozen
from models.training import Pair, PairSource, Preference, Provenance
from training.data.sources.row_files import row_file, unwritable

UNREADABLE = "repository cannot be read"
RECIPE = "recipe"
"""What provenance has for a planner where no planner answered: people, or a dataset's model, wrote the answer."""
R = TypeVar("R", bound=Frozen)
_STAGING, _LOCK = ".unfinished-", ".lock"
PAIRS, PREFERENCES, CARD = "pairs.jsonl", "preferences.jsonl", "card.json"
COMPARISONS = "comparisons.jsonl"


@dataclass(frozen=True)
class Dropped:
    """What a recipe was offered and did not keep. `example` is the first of its reason that is shown: the row and its
    fault."""

    reason: str
    example: str = ""


class CollectionCard(Frozen):
    """`card.json`: `made_from` names the recipe, its settings and the hashes of its inputs; `terms` are those of a
    generator or a licence that a reader must know. `offered` rows (programs, commits, lines) gave the examples.
    `contents` are of repositories by name, so that copies of reserved ones are recognised.
    """

    id: str
    source: PairSource
    made_from: dict[str, Any]
    offered: int
    pairs: int
    preferences: int
    comparisons: int = Field(0, exclude_if=lambda value: value == 0)
    dropped: dict[str, int]
    examples_of_dropped: dict[str, str]
    licenses: dict[str, int]
    repositories: int
    characters: int
    terms: tuple[str, ...] = ()
    files: dict[str, str]
    contents: dict[str, RepositoryContent] = Field(default_factory=dict)


Kept = Pair | Preference | Comparison
Offered = Kept | Dropped


def write_collection(
    data_dir: Path,
    source: PairSource,
    made_from: Mapping[str, Any],
    offers: Iterable[Iterable[Offered]],
    terms: tuple[str, ...] = (),
    *,
    contents: Mapping[str, RepositoryContent] | None = None,
) -> tuple[Path, CollectionCard]:
    """Write a collection from what a recipe makes of each row that it is offered (one inner iterable for each row).

    An equal collection that is there already is kept. `made_from` and `contents` are read after the last row, so that a
    recipe may add what it has counted. Raises TrainingError if nothing was kept, InfrastructureError if the disk is
    full, and whatever the recipe raises; nothing is left behind then.
    """
    folder = data_dir / "collections"
    try:
        make_directory(folder)
        _sweep(folder)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
        lock = staging.with_suffix(_LOCK).open("w")
    except OSError as error:
        raise unwritable(folder, error) from error
    with lock:  # held while it is written, so that what a killed process left is known
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            card = _written(staging, source, made_from, offers, terms)
            card = card.model_copy(update={"contents": dict(sorted((contents or {}).items()))})
            return _put(staging, folder / f"{source.value}-{card.id[:12]}", card), card
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            staging.with_suffix(_LOCK).unlink(missing_ok=True)


def _put(staging: Path, place: Path, card: CollectionCard) -> Path:
    try:
        (staging / CARD).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        staging.chmod(0o755)
        if not place.exists():
            staging.replace(place)
    except OSError as error:
        raise unwritable(place, error) from error
    return place


def _sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished. Raises OSError."""
    for left in folder.glob(f"{_STAGING}*{_LOCK}"):
        with contextlib.suppress(FileNotFoundError), left.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(left.with_suffix(""), ignore_errors=True)
            left.unlink(missing_ok=True)


def _written(
    staging: Path,
    source: PairSource,
    made_from: Mapping[str, Any],
    offers: Iterable[Iterable[Offered]],
    terms: tuple[str, ...],
) -> CollectionCard:
    dropped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    licenses: Counter[str] = Counter()
    repositories: set[str] = set()
    offered = characters = 0
    with (
        row_file(staging / PAIRS) as pairs,
        row_file(staging / PREFERENCES) as preferences,
        row_file(staging / COMPARISONS) as comparisons,
    ):
        files = {PAIRS: pairs, PREFERENCES: preferences, COMPARISONS: comparisons}
        for row in offers:
            offered += 1
            for item in row:
                if isinstance(item, Dropped):
                    dropped[item.reason] += 1
                    examples.setdefault(item.reason, item.example)
                    continue
                files[_FILES[type(item)]].write(item)
                provenance = item.chosen_by if isinstance(item, Preference) else item.provenance
                licenses[provenance.license] += 1
                repositories.add(provenance.repository)
                characters += _characters(item)
    if not any(file.rows for file in files.values()):
        why = ", ".join(f"{reason} {count}" for reason, count in dropped.most_common(3)) or "nothing was offered"
        raise TrainingError(f"{source.value}: none of {offered} rows gave an example ({why})")
    if not files[COMPARISONS].rows:
        (staging / COMPARISONS).unlink()
        del files[COMPARISONS]
    hashes = {name: file.digest.hexdigest() for name, file in files.items()}
    made = json.loads(json.dumps(dict(made_from), sort_keys=True))
    return CollectionCard(
        id=hashlib.sha256(json.dumps([source.value, hashes, made], sort_keys=True).encode()).hexdigest(),
        source=source,
        made_from=made,
        offered=offered,
        pairs=files[PAIRS].rows,
        preferences=files[PREFERENCES].rows,
        comparisons=comparisons.rows,
        dropped=dict(sorted(dropped.items())),
        examples_of_dropped=dict(sorted(examples.items())),
        licenses=dict(sorted(licenses.items())),
        repositories=len(repositories),
        characters=characters,
        terms=terms,
        files=hashes,
    )


_FILES: dict[type[Kept], str] = {Pair: PAIRS, Preference: PREFERENCES, Comparison: COMPARISONS}


def _characters(item: Kept) -> int:
    """Characters of what a model is shown."""
    if isinstance(item, Comparison):
        return len(item.task) + len(item.better) + len(item.worse)
    return sum(len(message.content) for message in item.messages)


def read_card(folder: Path) -> CollectionCard:
    """A collection's card. Raises TrainingError if it is missing or cannot be read."""
    try:
        return CollectionCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValidationError) as error:
        raise TrainingError(f"{folder} holds no collection that can be read; make it again") from error


def read_collection(folder: Path) -> Iterator[Pair | Preference]:
    """The pairs and preferences of a collection. Raises TrainingError, at the end at the latest, if a file was changed
    since."""
    card = read_card(folder)
    yield from _rows(folder, card, PAIRS, Pair)
    yield from _rows(folder, card, PREFERENCES, Preference)


def read_comparisons(folder: Path) -> Iterator[Comparison]:
    """The comparisons of a collection. Raises TrainingError for one of another kind, and as `read_collection` does."""
    card = read_card(folder)
    if not card.comparisons:
        raise TrainingError(f"{folder} holds no comparisons; make some with `cra critic build`")
    yield from _rows(folder, card, COMPARISONS, Comparison)


def _rows(folder: Path, card: CollectionCard, name: str, model: type[R]) -> Iterator[R]:
    digest = hashlib.sha256()
    try:
        with (folder / name).open("rb") as lines:
            for line in lines:
                digest.update(line)
                yield model.model_validate_json(line)
    except (OSError, ValidationError) as error:
        raise TrainingError(f"{folder / name} cannot be read; make the collection again") from error
    if digest.hexdigest() != card.files.get(name):
        raise TrainingError(f"{folder / name} was changed since it was made; make the collection again")


def recipe_provenance(
    source: PairSource,
    row: str,
    *,
    repository: str,
    organisation: str,
    domain: str,
    license: str,
    commit: str = "",
    base_commit: str = "",
    model: str = "",
) -> Provenance:
    """Provenance of an example that no attempt gave. `row` identifies what it was made from; `model` wrote it, if any
    did."""
    return Provenance(
        campaign=source.value,
        trajectory=row,
        attempt=1,
        seq=0,
        instance=row,
        repository=repository,
        organisation=organisation,
        domain=domain,
        license=license,
        commit=commit,
        base_commit=base_commit,
        planner=RECIPE,
        model=model,
        adapter=None,
        outcome="not-run",
        oracle=None,
        attribution=None,
        alignment=None,
    )
