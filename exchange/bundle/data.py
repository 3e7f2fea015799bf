"""What of a data directory a bundle holds: models, adapters, data sets, corpus, databases, public keys."""

import json
import shutil
from pathlib import Path

from exchange.bundle.layout import Category
from exchange.bundle.sources import Contents, LeftOut, Source, folder_contents
from harness.packages.package import MANIFEST, package_findings
from models.errors import UsageError
from models.settings import Settings
from store.database import DatabaseKind
from store.snapshots import dump_postgresql, snapshot_sqlite
from store.upkeep import is_postgresql, sqlite_file
from training.adapters.registry.signing import TRUSTED, fingerprint, known_keys

DATA = "data"
TRAVELS: dict[str, tuple[Category, str]] = {
    "bases": ("model", "frozen bases, checkpoints for recovery among them"),
    "relevance": ("model", "the relevance classifier that was fitted here"),
    "adapters": ("adapter", "adapters with their signed statements"),
    "adapters-gguf": ("adapter", "the same for llama.cpp and Ollama"),
    "critics": ("adapter", "trained critics"),
    "controls": ("adapter", "control adapters that gates compare with"),
    "trainings": ("adapter", "results of trainings, and checkpoints of unfinished ones"),
    "datasets": ("corpus", "curated data sets"),
    "mixtures": ("corpus", "mixtures of data sets"),
    "collections": ("corpus", "examples made by recipes, teachers and imports"),
    "messages": ("corpus", "tasks that a teacher wrote for commits"),
    "evaluations": ("evaluation", "answers to frozen questions, by which gates decide"),
    "ablations": ("evaluation", "results of ablations"),
    "probes": ("evaluation", "results of probes"),
    "critic": ("evaluation", "figures of critics"),
}
"""The folders of a data directory that travel."""
STAYS = {
    "keys": "the private key never leaves; the other machine makes its own",
    "engine": "runs of the engine on this machine; the other one makes its own",
    "server": "flow runs, passwords and addresses of this machine's server; `cra up` makes another there",
    "sessions": "tasks of users of this machine",
    "outsourced": "records of packs that other machines were given; none comes back after the migration",
    "reduced": "made again from its base when a training asks for it",
}
"""The folders that do not, and why."""
NOT_IN_DATA = (
    LeftOut(
        "cache directory", "clones, environments, indexes and unfinished work; made again from packages and wheels"
    ),
    LeftOut("cra.toml, CRA_* variables", "addresses and tokens; teachers are not asked after the migration"),
)
DUMP, ORIGIN = ".dump", "origin.json"
DATABASES: tuple[DatabaseKind, ...] = ("raw", "curated")


def data_contents(settings: Settings) -> Contents:
    """The files of the data directory that travel as they are. Raises UsageError for a link among them."""
    found = Contents(left_out=list(NOT_IN_DATA))
    root = settings.data_dir
    for entry in sorted(root.iterdir()) if root.is_dir() else ():
        if entry.name in TRAVELS:
            found.add(folder_contents(entry, f"{DATA}/{entry.name}", TRAVELS[entry.name][0]))
        elif entry.name in STAYS:
            found.left_out.append(LeftOut(entry.name, STAYS[entry.name]))
        elif entry.is_dir() and entry.resolve() != settings.corpus.resolve():
            found.left_out.append(LeftOut(entry.name, "not a folder that an installation needs"))
    return found


def packages_of(corpus: Path) -> list[Path]:
    """The repo packages in a corpus."""
    return sorted(folder for folder in corpus.iterdir() if (folder / MANIFEST).is_file()) if corpus.is_dir() else []


def corpus_contents(corpus: Path) -> Contents:
    """The packages of a corpus. Folders without a manifest are left out."""
    found, packages = Contents(), packages_of(corpus)
    for package in packages:
        found.add(folder_contents(package, f"{DATA}/corpus/{package.name}", "corpus"))
    others = sorted(
        {entry.name for entry in corpus.iterdir()} - {each.name for each in packages} if corpus.is_dir() else ()
    )
    found.left_out += [LeftOut(f"corpus/{name}", "no manifest: no package, or not finished") for name in others]
    return found


def check_package(package: Path) -> None:
    """Raise UsageError, naming the first fault, for a package that does not pass the checks of a foreign one."""
    if findings := package_findings(package):
        raise UsageError(f"package {package.name} cannot travel: {findings[0]}; or move it out of the corpus")


def database_urls(settings: Settings) -> dict[DatabaseKind, str]:
    """The databases that are there, by their kind."""
    urls = dict(zip(DATABASES, (settings.raw_url, settings.curated_url), strict=True))
    return {kind: url for kind, url in urls.items() if is_postgresql(url) or sqlite_file(url).is_file()}


def copy_databases(settings: Settings, work: Path, *, without_tasks: bool = False) -> Contents:
    """Copies of the databases, one state each. Of SQLite the same rows give the same bytes; a dump of PostgreSQL holds
    the time at which it was made, and lies beside a note of this machine's folders. A database that holds both is
    dumped once. They are readable by their owner only, and their chunks by whoever installs: chunks are no links.
    `without_tasks`: without the tasks of `cra solve`; raises UsageError where they are on a server."""
    folder, found = work / "databases", Contents()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    kinds: dict[str, list[str]] = {}
    for kind, url in database_urls(settings).items():
        kinds.setdefault(url, []).append(kind)
    for url, names in kinds.items():
        if is_postgresql(url):
            if without_tasks and "raw" in names:
                raise UsageError("--without-tasks: a dump of a PostgreSQL database is whole; leave the option out")
            name = "-".join(names) + DUMP
            dump_postgresql(url, folder / name)
            found.files.append(Source(f"databases/{name}", folder / name, "database"))
        else:
            [name] = names
            tasks_stay = without_tasks and name == "raw"
            copy = folder / f"{name}.sqlite"
            snapshot_sqlite(sqlite_file(url), copy, settings.data_dir, settings.corpus, without_tasks=tasks_stay)
            found.files.append(Source(f"{DATA}/{name}.sqlite", folder / f"{name}.sqlite", "database"))
    if any(source.path.endswith(DUMP) for source in found.files):
        origin = {"data_dir": str(settings.data_dir.absolute()), "corpus": str(settings.corpus.absolute())}
        (folder / ORIGIN).write_text(json.dumps(origin) + "\n")
        found.files.append(Source(f"databases/{ORIGIN}", folder / ORIGIN, "database"))
    return found


def key_contents(keys: Path) -> Contents:
    """The public keys that adapters and bases here were signed with, by their fingerprints."""
    files = {fingerprint(file): file for file in known_keys(keys)}
    return Contents([Source(f"{DATA}/keys/{TRUSTED}/{name}.pub", file, "key") for name, file in sorted(files.items())])
