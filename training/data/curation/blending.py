"""Blending: the sources of a mix, runs on record and collections, as one stock of examples.

Only the sources that the mix names take part. What two sources have is counted once, under the first of them.
"""

import heapq
import math
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.content import RepositoryContent
from models.errors import UsageError
from models.mix import MixedSource, MixSettings
from models.training import Pair, PairSource, Preference, TrainingTarget
from training.data.curation.card import MixedRow, counted
from training.data.curation.examples import Example
from training.data.sources import Funnel, StoredExamples
from training.data.sources.collections import CollectionCard, read_card, read_collection
from training.data.sources.read import DUPLICATE, OTHER_TEMPLATE
from training.data.sources.templates import is_current

ON_RECORD = (PairSource.HARNESS, PairSource.SYNTHETIC, PairSource.SYNTHETIC_DIRECT, PairSource.LOGGED)
"""Sources whose examples lie in the raw database."""
OVER_CAP, TWICE, OTHER_TARGET, NOT_MIXED = "over its cap", "under another name", "other target", "not in the mix"
TOO_LONG = "over the window"
Fits = Callable[[Pair | Preference], bool]
"""Whether an example is short enough to be trained on."""


def read_mix(path: Path) -> MixSettings:
    """A mix from its file. Raises UsageError that names what is wrong with it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--mix {path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--mix {path}: is no TOML: {error}") from error
    try:
        return MixSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"] if each != "[key]")
        raise UsageError(f"--mix {path}: {place + ': ' if place else ''}{first['msg']}") from error


@dataclass
class SourceCounts:
    """What became of one source before the filters: `offered` examples, and why some were dropped."""

    offered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass
class Blend:
    """The blended examples; `collections` are those read, and `counts` are by source, in the order of the mix."""

    examples: StoredExamples
    collections: list[CollectionCard]
    counts: dict[PairSource, SourceCounts]

    @property
    def contents(self) -> list[tuple[str, RepositoryContent]]:
        """The contents of the repositories that collections were made from, each with its name."""
        return [item for card in self.collections for item in card.contents.items()]

    def described(self, mix: MixSettings | None) -> dict[str, Any]:
        """The mix for a card, with the ids of the collections read."""
        assert mix is not None
        return mix.model_dump(mode="json") | {"read": sorted(card.id for card in self.collections)}

    def table(self, kept: Sequence[Example], funnels: Iterable[Funnel]) -> tuple[MixedRow, ...]:
        """What became of each source, given the funnels of all kinds of examples after all steps."""
        lost = sum((funnel.sources for funnel in funnels), Counter[tuple[PairSource, str]]())
        rows = []
        for source, counts in self.counts.items():
            mine = [example for example in kept if example.source is source]
            dropped = counts.dropped.copy()
            for (of, name), count in lost.items():
                if of is source:
                    dropped[name.partition(" (")[0]] += count
            rows.append(
                MixedRow(
                    source=source,
                    offered=counts.offered,
                    kept=len(mine),
                    tokens=sum(example.tokens for example in mine),
                    licenses=counted(mine, lambda each: each.provenance.license),
                    dropped=dict(dropped.most_common()),
                )
            )
        return tuple(rows)


def blend(stored: StoredExamples, mix: MixSettings, data_dir: Path, fits: Fits) -> Blend:
    """The examples of a mix for the target of `stored`; a source's cap is of those that fit.

    Raises UsageError for a source without any example for it, TrainingError for a collection that is damaged.
    """
    counts = {source: SourceCounts() for source in mix.sources}
    pairs: dict[str, Pair] = {}
    preferences: dict[str, Preference] = {}
    cards: list[CollectionCard] = []
    for source, wanted in mix.sources.items():
        on_record: list[Pair | Preference] = [*stored.pairs, *stored.preferences]
        items: Iterable[Pair | Preference] = (each for each in on_record if each.source is source)
        if source not in ON_RECORD:
            folders = [_folder(data_dir, source, name) for name in wanted.collections or _only(data_dir, source)]
            cards += map(read_card, folders)
            items = _rows(folders)
        elif wanted.collections:
            raise UsageError(f"mix: {source.value} has no collections: its examples are of the runs on record")
        for item in _capped(items, stored.target, wanted, counts[source], fits):
            known = pairs if isinstance(item, Pair) else preferences
            if item.id in known:
                counts[source].dropped[DUPLICATE if known[item.id].source is source else TWICE] += 1
                continue
            known[item.id] = item.model_copy(update={"weight": round(item.weight * wanted.weight, 4)})  # type: ignore[assignment]
        if counts[source].offered == counts[source].dropped[OTHER_TARGET]:
            raise UsageError(
                f"mix: {source.value} has no example of {stored.target.value}; leave it out, or make some first"
            )
    left_out = [each for each in stored.pairs if each.source not in mix.sources]
    stored.funnel.begin("examples of the mix's sources", len(pairs))
    if left_out:
        stored.funnel.rows.append((NOT_MIXED, len(pairs), len(left_out)))
    blended = StoredExamples(
        stored.target,
        stored.campaigns | {source.value for source in mix.sources if source not in ON_RECORD},
        sorted(pairs.values(), key=lambda each: each.id),
        sorted(preferences.values(), key=lambda each: each.id),
        stored.funnel,
        stored.preference_funnel,
    )
    return Blend(blended, cards, counts)


def _only(data_dir: Path, source: PairSource) -> list[str]:
    """The name of a source's only collection."""
    found = sorted(path.name for path in (data_dir / "collections").glob(f"{source.value}-*") if _is_of(path, source))
    if len(found) == 1:
        return found
    if not found:
        raise UsageError(f"mix: there is no collection of {source.value} in {data_dir / 'collections'}; make one first")
    raise UsageError(
        f"mix: there are {len(found)} collections of {source.value}; name those to read: collections = {found[:3]}"
    )


def _is_of(path: Path, source: PairSource) -> bool:
    # names of sources may begin with one another: evol-instruct, evol-instruct-80k
    return path.name.rpartition("-")[0] == source.value


def _folder(data_dir: Path, source: PairSource, name: str) -> Path:
    folder = data_dir / "collections" / name
    if Path(name).name != name or not _is_of(folder, source) or not folder.is_dir():
        raise UsageError(f"mix: {source.value} has no collection {name!a} in {data_dir / 'collections'}")
    return folder


def _rows(folders: Sequence[Path]) -> Iterator[Pair | Preference]:
    for folder in folders:
        yield from read_collection(folder)


def _capped(
    items: Iterable[Pair | Preference], target: TrainingTarget, wanted: MixedSource, counts: SourceCounts, fits: Fits
) -> list[Pair | Preference]:
    """The items for a target, those with the smallest ids of all that fit if there are too many; no more than these are
    in memory, and no more are measured than may be among them. Without a cap all are kept, for a later filter."""
    kept: dict[type, list[tuple[int, int, Pair | Preference]]] = {Pair: [], Preference: []}
    for number, item in enumerate(items):
        counts.offered += 1
        if item.stage not in target.stages:
            counts.dropped[OTHER_TARGET] += 1
            continue
        if not _asks_as_now(item):
            counts.dropped[OTHER_TEMPLATE] += 1
            continue
        heap = kept[type(item)]
        entry = (-int(item.id, 16), -number, item)
        if wanted.cap is not None and len(heap) == wanted.cap and entry[:2] < heap[0][:2]:
            counts.dropped[OVER_CAP] += 1
        elif wanted.cap is not None and not fits(item):
            counts.dropped[TOO_LONG] += 1
        elif wanted.cap is None or len(heap) < wanted.cap:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
            counts.dropped[OVER_CAP] += 1
    return [item for heap in kept.values() for _, _, item in sorted(heap, key=lambda entry: entry[:2], reverse=True)]


def _asks_as_now(item: Pair | Preference) -> bool:
    """Whether the prompt is of the templates in force; that of a comparison for a critic, or of a question about a
    position, is of no stage's template."""
    if item.source is PairSource.POSITION or (isinstance(item, Preference) and item.kind == "comparison"):
        return True
    return is_current(item.stage, item.messages)


def within_shares(examples: Sequence[Example], mix: MixSettings) -> list[Example]:
    """The largest subset in which no source exceeds its share of the mix; the best examples of a source stay.

    Where the sources that have such examples cannot make up a whole, their shares are raised in proportion: a source
    may have pairs and no preferences.
    """
    sizes = Counter(example.source for example in examples)
    shares = {source: mix.sources[source].share or 1.0 for source in sizes}
    raised = max(1.0, 1 / sum(shares.values())) if shares else 1.0

    def most(source: PairSource, total: int) -> int:
        return math.floor(min(1.0, shares[source] * raised) * total + 1e-9)

    total = len(examples)
    while total and (fits := sum(min(size, most(source, total)) for source, size in sizes.items())) < total:
        total = fits
    taken: Counter[PairSource] = Counter()
    kept = set()
    for example in sorted(examples, key=lambda each: each.rank):
        if taken[example.source] < most(example.source, total):
            taken[example.source] += 1
            kept.add(example.id)
    return [example for example in examples if example.id in kept]
