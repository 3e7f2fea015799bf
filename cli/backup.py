"""`cra backup`: copies of all databases in one directory, while everything runs."""

import hashlib
import json
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import typer

from cli.options import JsonOption
from cli.output import console, print_json, waiting
from cli.server.connection import database_variables, read_connection, server_directory
from exchange.intake.ledger import IntakeFolders
from host.append_log import read_lines
from host.code_version import code_version
from host.postgres import programs
from host.private import private_directory, private_file
from host.settings import load_settings
from models.errors import InfrastructureError, UsageError
from models.settings import Settings
from store.snapshots import dump_postgresql
from store.upkeep import copy_sqlite, is_postgresql, password_apart, sqlite_file
from training.operation.log import OperationLog

_LIST = "backup.json"


def backup(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="A new or empty directory.")],
    as_json: JsonOption = False,
) -> None:
    """Copy all databases, and the logs of operation and intake, into a directory; everything may go on.

    Each copy is one state of its database: of SQLite a file, of PostgreSQL a dump for pg_restore. backup.json lists
    them with hashes and the command that restores each. Bases, adapters, datasets, keys and repo packages are plain
    files under the data directory and are not copied.
    """
    settings = load_settings()
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty; give a new directory")
    try:
        private_directory(directory)
        passwords = settings.data_dir.absolute() / "server" / "pgpass"
        copies = [_copied_log(name, path, directory) for name, path in _logs(settings)]
        copies += [_copied(name, url, directory, passwords) for name, url in _databases(settings)]
    except OSError as error:
        raise InfrastructureError(f"{directory} cannot be written: {error.strerror}; give another directory") from error
    listed = {"made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "code": code_version(), "copies": copies}
    private_file(directory / _LIST)
    (directory / _LIST).write_text(json.dumps(listed, indent=2) + "\n")
    if as_json:
        print_json(listed)
        return
    for copy in copies:
        console.print(f"{copy['of']}: {directory / copy['file']}, {copy['bytes']} bytes", markup=False, soft_wrap=True)
        console.print(f"  restore: {copy['restore']}", markup=False, soft_wrap=True)


def _logs(settings: Settings) -> list[tuple[str, Path]]:
    """The files of lines that are copied, by name. They come first, as `_databases` says."""
    known = {"intake": IntakeFolders.of(settings).ledger, "operation": OperationLog(settings.data_dir.absolute()).path}
    return [(name, path) for name, path in known.items() if path.is_file()]


def _copied_log(name: str, path: Path, directory: Path) -> dict[str, Any]:
    """Copy the whole lines that a file has now."""
    copy = directory / f"{name}-{path.name}"
    private_file(copy)
    copy.write_bytes(b"".join(line + b"\n" for line in read_lines(path)))
    return _listed(name, copy, f"mkdir -p '{path.parent}'; cp {copy.name} '{path}' (while nothing runs)")


def _databases(settings: Settings) -> list[tuple[str, str]]:
    """What is copied: a name and a URL each; one that holds two things is copied once.

    What records comes before what it records: logs, then the raw database, then the curated one. What happens between
    two copies is then done again by an operation that goes on from them, and nothing on record is missing.
    """
    found: dict[str, str] = {}
    connection = read_connection(settings)
    if connection is not None and connection.own:
        engine = connection.engine_database or f"sqlite:///{server_directory(settings) / 'prefect.db'}"
        found[engine.replace("postgresql+asyncpg://", "postgresql://")] = "prefect"
    ours = database_variables(settings, connection) if connection is not None else {}
    for kind, url in (("raw", settings.raw_url), ("curated", settings.curated_url)):
        used = ours.get(f"CRA_{kind.upper()}_DATABASE", url)
        found[used] = f"{found[used]}-{kind}" if used in found else kind
    there = {url: name for url, name in found.items() if is_postgresql(url) or sqlite_file(url).is_file()}
    return sorted(((name, url) for url, name in there.items()), key=lambda each: ("raw" not in each[0], each))


def _copied(name: str, url: str, directory: Path, passwords: Path) -> dict[str, Any]:
    """Copy a database. `passwords` is the file with those of the embedded PostgreSQL, if there is one."""
    with waiting(f"copying {name}"):
        if is_postgresql(url):
            copy = directory / f"{name}.dump"
            dump_postgresql(url, copy)
            bare, password = password_apart(url)
            embedded = str(passwords.parent) in unquote(bare)  # the socket's folder, percent-encoded
            own = passwords if password is not None and passwords.is_file() and embedded else None
            target = f"{bare}{'&' if '?' in bare else '?'}passfile={own}" if own else bare
            restore = (
                f"{programs() / 'pg_restore'} --clean --if-exists --no-owner -d '{target}' {copy.name} "
                "(while PostgreSQL runs and nothing uses the database)"
            )
        else:
            copy = directory / f"{name}.sqlite"
            copy_sqlite(sqlite_file(url), copy)
            restore = f"cra down; cp {copy.name} '{sqlite_file(url)}' (and delete its -wal and -shm)"
    return _listed(name, copy, restore)


def _listed(name: str, copy: Path, restore: str) -> dict[str, Any]:
    """The entry of a copy in the list."""
    with copy.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"of": name, "file": copy.name, "bytes": copy.stat().st_size, "sha256": digest, "restore": restore}
