"""`cra bundle plan`: what would travel and why, what stays, what is missing. Nothing is written or fetched."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from exchange.bundle.code import uncommitted
from exchange.bundle.data import DATABASES, check_package, database_urls, packages_of
from exchange.bundle.earlier import read_earlier
from exchange.bundle.interpreters import further_pythons, interpreter_contents, needed_pythons
from exchange.bundle.layout import BundledFile
from exchange.bundle.make import BundleOrder, gather
from exchange.bundle.sources import Contents, LeftOut
from exchange.bundle.wheels import WHEELS, LockedWheels, check_extras, locked_wheels
from host.throwaway import throwaway
from models.errors import UsageError
from models.settings import Settings
from store.database import DatabaseKind, open_database
from store.learning.adapters import list_adapters
from store.learning.bases import list_bases
from store.learning.evaluation_sets import all_sets
from store.learning.reservations import reserved
from store.snapshots import readable_copy
from store.solved_tasks import count_tasks
from store.upkeep import is_postgresql, sqlite_file
from training.cycle.context import open_context
from training.cycle.distillation import Lack, lacking

_WHY = {
    "code": "the project as it is committed, with its lock",
    "document": "its documentation",
    "corpus": "repo packages, data sets, examples",
    "key": "public keys that adapters and bases were signed with",
    "model": "bases, checkpoints for recovery among them",
    "adapter": "trained adapters, results of trainings",
    "evaluation": "answers and figures that gates rest on",
    "interpreter": "Python for the project and for the corpus's environments",
    "wheel": "the locked distributions of the chosen extras, from the lock; fetched by `make`",
    "database": "one state of each, also while campaigns run",
}
_PARTS_FILL = 0.95
"""Share of a part that chunks fill, roughly."""


class PlanLine(NamedTuple):
    """A category: how many files, how many bytes, and why it travels. Of wheels and databases the bytes are rough."""

    category: str
    files: int
    bytes: int
    why: str


class BundlePlan(NamedTuple):
    """What a bundle would hold. `parts` is a rough number, 1 without a limit; `held`: bytes of files that the earlier
    bundle has under the same path and size; `examples`: kinds of examples of which the corpus has too few; `tasks`: how
    many of `cra solve` are in the raw database, with people's own texts."""

    lines: tuple[PlanLine, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[str, ...]
    bytes: int
    held: int
    parts: int
    examples: tuple[Lack, ...]
    tasks: int


def plan_bundle(settings: Settings, order: BundleOrder) -> BundlePlan:
    """The plan of an order. Raises UsageError for an extra or an earlier bundle that is not there."""
    extras = check_extras(order.root, order.extras)
    earlier = read_earlier(order.since, settings.data_dir / "keys") if order.since else None
    packages, missing = packages_of(settings.corpus), list[str]()
    found = gather(settings, replace(order, allow_dirty=True))
    if changed := uncommitted(order.root):
        missing.append(f"a commit of {changed[0]}, and what else was changed; or --allow-dirty")
    if order.with_python:
        found.add(interpreter_contents(needed_pythons(packages)))
    elif others := further_pythons(packages):
        missing.append(f"Python {', '.join(others)} for the corpus's environments; --with-python packs them")
    wheels = locked_wheels(order.root, extras)
    missing += [f"a wheel of {name} for this platform" for name in wheels.without]
    with _unchanged(settings) as read:
        missing += _faults(packages) + _lacking(read, packages)
        examples, tasks = _examples(read), _tasks(read)
    urls = database_urls(settings)
    lines = [
        *_lines(found),
        PlanLine("wheel", len(wheels.files) + len(("the project's", "requirements")), wheels.bytes, _WHY["wheel"]),
        PlanLine("database", _database_files(urls), sum(map(_size, set(urls.values()))), _WHY["database"]),
    ]
    size = sum(line.bytes for line in lines)
    held = _held(found, wheels, earlier.manifest.files) if earlier else 0
    limit = order.part_bytes
    parts = 1 if limit is None else max(1, math.ceil((size - held) / (limit * _PARTS_FILL)))
    return BundlePlan(tuple(lines), tuple(found.left_out), tuple(missing), size, held, parts, examples, tasks)


def lacking_examples(settings: Settings) -> tuple[Lack, ...]:
    """The kinds of examples of which the corpus has too few for a training; none is looked for where a database is not
    there. No teacher is asked after the migration. Raises DatabaseError, TrainingError."""
    with _unchanged(settings) as read:
        return _examples(read)


def _tasks(settings: Settings) -> int:
    if "raw" not in database_urls(settings):
        return 0
    raw = open_database(settings.raw_url, "raw")
    try:
        return count_tasks(raw)
    finally:
        raw.dispose()


@contextmanager
def _unchanged(settings: Settings) -> Iterator[Settings]:
    """The settings, with copies for databases that opening would migrate."""
    with throwaway("cra-plan-") as folder:
        urls = {kind: readable_copy(url, kind, folder) for kind, url in database_urls(settings).items()}
        yield settings.model_copy(update={f"{kind}_database": url for kind, url in urls.items()})


def _examples(settings: Settings) -> tuple[Lack, ...]:
    if len(database_urls(settings)) < len(DATABASES):
        return ()
    context = open_context(settings)
    try:
        return tuple(each for each in lacking(context) if each.missing)
    finally:
        context.curated.dispose()
        context.raw_engine.dispose()


def _lines(found: Contents) -> list[PlanLine]:
    counts, sizes = Counter[str](), Counter[str]()
    for source in found.files:
        counts[source.category] += 1
        sizes[source.category] += source.file.stat().st_size
    return [PlanLine(name, counts[name], sizes[name], why) for name, why in _WHY.items() if name in counts]


def _database_files(urls: Mapping[DatabaseKind, str]) -> int:
    """Copies, the note beside dumps, and the registry's rows."""
    dumps = any(map(is_postgresql, urls.values()))
    return len(set(urls.values())) + dumps + (len(DATABASES) if "curated" in urls else 0)


def _size(url: str) -> int:
    return 0 if is_postgresql(url) else sqlite_file(url).stat().st_size


def _held(found: Contents, wheels: LockedWheels, before: Mapping[str, BundledFile]) -> int:
    sizes = {source.path: source.file.stat().st_size for source in found.files}
    sizes |= {f"{WHEELS}/{name}": size for name, size in wheels.files.items()}
    return sum(entry.bytes for path, entry in before.items() if sizes.get(path) == entry.bytes)


def _faults(packages: Iterable[Path]) -> list[str]:
    """Packages that would be refused."""
    found = []
    for package in packages:
        try:
            check_package(package)
        except UsageError as error:
            found.append(f"a corpus that passes: {error}")
    return found


def _lacking(settings: Settings, packages: Sequence[Path]) -> list[str]:
    """What an installation that learns by itself needs, and this one has not."""
    missing = [] if packages else ["a corpus: no repo package; `cra prepare` makes them"]
    urls = database_urls(settings)
    if "curated" not in urls:
        return [*missing, "a curated database: no base, no adapter, no evaluation set, no reservation"]
    curated = open_database(urls["curated"], "curated")
    try:
        bases, adapters = list_bases(curated), list_adapters(curated)
        places = {base.name: base.path for base in bases} | {adapter.name: adapter.path for adapter in adapters}
        outside = {n: path for n, path in places.items() if not path.is_relative_to(settings.data_dir.absolute())}
        missing += [f"{name}: {path} is outside the data directory; add it again" for name, path in outside.items()]
        missing += [] if bases else ["a base: `cra bases add`"]
        missing += [] if adapters else ["an adapter: `cra train`"]
        missing += [] if all_sets(curated) else ["an evaluation set: `cra eval-sets build`"]
        missing += [] if reserved(curated) else ["a reserved repository: `cra eval-sets build` reserves one"]
    finally:
        curated.dispose()
    return missing
