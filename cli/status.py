"""`cra status`: is all that campaigns need there, and what is it doing."""

import os
import shutil
from pathlib import Path
from typing import Any

import typer

from cli.local_engine import NAMED
from cli.options import JsonOption
from cli.output import console, errors, print_json, printable, table, waiting
from cli.server.connection import POOL, Connection, read_connection, server_client_settings, server_directory
from cli.server.supervision import Supervisor
from host.settings import load_settings
from models.errors import CleanRoomError
from models.plans import Frozen
from models.settings import Settings
from store.database import HEADS, DatabaseKind
from store.upkeep import MOST_SKEW, database_facts

LEAST_FREE = 2**30
"""Bytes that should be free on the disks of data and cache."""
_CAMPAIGNS = 5


class Status(Frozen):
    """What was found; `problems` are what is wrong, each with its remedy."""

    problems: tuple[str, ...]
    connection: dict[str, Any] | None
    programs: tuple[dict[str, Any], ...]
    server: dict[str, Any] | None
    databases: tuple[dict[str, Any], ...]
    campaigns: tuple[dict[str, Any], ...]
    disks: tuple[dict[str, Any], ...]


def status(as_json: JsonOption = False) -> None:
    """Show server, programs, workers, runs, databases, last campaigns and disks, and what is wrong with them.

    Changes nothing. Exits with 0 if all is well and with 1 if something is wrong, for monitoring: a program that does
    not run, a server or database that does not answer, no worker, a run that is stuck, other code than the
    deployments', a clock that is off, a disk that is all but full.
    """
    settings = load_settings()
    with waiting("asking"):
        found = find_status(settings)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found.problems:
        raise typer.Exit(1)


def find_status(settings: Settings) -> Status:
    """What there is now. A part that cannot be asked is a problem, not an error."""
    problems: list[str] = []
    connection = read_connection(settings)
    server = programs = None
    if connection is None and not os.environ.get(NAMED):
        problems.append("there is no server; start one with `cra up`, or name one by PREFECT_API_URL")
    else:
        programs = _programs(settings, connection, problems)
        with server_client_settings(settings):
            settings = load_settings()  # with the databases of the server's workers
            server = _server(problems)
    databases = [_database(settings, "raw", problems), _database(settings, "curated", problems)]
    return Status(
        problems=tuple(problems),
        connection=None if connection is None else {"url": connection.url, "store": connection.store},
        programs=tuple(programs or ()),
        server=server,
        databases=tuple(databases),
        campaigns=tuple(_campaigns(settings) if databases[0]["schema"] == HEADS["raw"] else ()),
        disks=tuple(_disks(settings, problems)),
    )


def _programs(settings: Settings, connection: Connection | None, problems: list[str]) -> list[dict[str, Any]]:
    if connection is None:
        return []
    supervisor = Supervisor(server_directory(settings))
    states = supervisor.states()
    if states is None:
        problems.append("the programs of `cra up` do not run; start them with `cra up`")
        return []
    down = [each for each in states if each.state != "RUNNING"]
    problems += [f"{each.name} is {each.state}; {supervisor.last_words(each.name)}" for each in down]
    return [{"name": each.name, "state": each.state, "pid": each.pid, "since": each.since} for each in states]


def _server(problems: list[str]) -> dict[str, Any] | None:
    from prefect.client.orchestration import get_client

    from flows.server.state import server_state

    try:
        with get_client(sync_client=True) as client:
            state = server_state(client, POOL)
    except CleanRoomError as error:
        problems.append(str(error))
        return None
    if not state.deployments:
        problems.append("the server has no deployments of ours; make them with `cra up`")
    if state.other_code:
        problems.append(f"the deployments are of version {state.other_code}, not of the code here; run `cra up`")
    if not any(worker.online for worker in state.workers):
        problems.append("no worker is online; start one with `cra up` or `cra worker`")
    if abs(state.skew) > MOST_SKEW:
        problems.append(f"the clock here is {state.skew:+.0f} s off the server's; set it, for instance with chrony")
    problems += [f"run {run.name} is stuck in {run.state}: {run.stuck}" for run in state.running if run.stuck]
    return state.model_dump(mode="json")


def _database(settings: Settings, kind: DatabaseKind, problems: list[str]) -> dict[str, Any]:
    try:
        facts = database_facts(settings.raw_url if kind == "raw" else settings.curated_url, kind)
    except CleanRoomError as error:
        problems.append(str(error))
        return {"kind": kind, "where": "", "schema": None, "bytes": None}
    if facts.schema not in (None, HEADS[kind]):
        problems.append(
            f"{facts.where} has schema {facts.schema}, this code {HEADS[kind]}; the next command brings it up"
        )
    if abs(facts.skew) > MOST_SKEW:
        problems.append(
            f"the clock here is {facts.skew:+.0f} s off that of {facts.where}; set it, for instance with chrony"
        )
    return {"kind": kind, "where": facts.where, "schema": facts.schema, "bytes": facts.size}


def _campaigns(settings: Settings) -> list[dict[str, Any]]:
    from store.database import open_database
    from store.runs.recent import recent_campaigns

    engine = open_database(settings.raw_url, "raw")
    try:
        return [line.model_dump(mode="json") for line in recent_campaigns(engine, _CAMPAIGNS)]
    finally:
        engine.dispose()


def _disks(settings: Settings, problems: list[str]) -> list[dict[str, Any]]:
    found = []
    for name, path in (("data", settings.data_dir), ("cache", settings.cache_dir)):
        free = shutil.disk_usage(_existing(path.absolute())).free
        found.append({"what": name, "path": path, "free": free})
        if free < LEAST_FREE:
            problems.append(f"{path} has {free / 2**20:.0f} MiB left; free some space, or set CRA_{name.upper()}_DIR")
    return found


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


_COUNTS = ("trajectories", "begun", "closed", "passed", "held")


def _print(found: Status) -> None:
    if found.connection:
        console.print(f"server {found.connection['url']} on {found.connection['store']}", markup=False)
    if found.programs:
        table(
            "Programs", ["program", "state", "pid"], [[p["name"], p["state"], p["pid"] or ""] for p in found.programs]
        )
    if found.server:
        workers = found.server["workers"]
        lines = [[printable(w["name"]), "yes" if w["online"] else "no", _time(w["seen"])] for w in workers]
        table("Workers", ["worker", "online", "last seen"], lines)
        lines = [[printable(r["name"]), r["state"], _time(r["since"]), r["stuck"]] for r in found.server["running"]]
        table("Runs under way", ["run", "state", "since", "stuck"], lines)
        console.print(f"waiting for a worker: {found.server['waiting']}")
        lines = [[printable(r["name"]), r["state"], _time(r["since"])] for r in found.server["recent"]]
        table("Runs that ended last", ["run", "state", "at"], lines)
    lines = [[d["kind"], d["where"], d["schema"] or "new", _size(d["bytes"])] for d in found.databases]
    table("Databases", ["database", "where", "schema", "size"], lines, right=["size"])
    lines = [
        [printable(c["name"]), _time(c["started_at"]), *(c[name] for name in _COUNTS), _fallbacks(c["fallbacks"])]
        for c in found.campaigns
    ]
    table("Last campaigns", ["campaign", "started", *_COUNTS, "by the generalist"], lines, right=_COUNTS)
    for c in found.campaigns:
        if (left := c["trajectories"] - c["closed"]) and not c["held"]:
            said = f"campaign {c['name']}: {left} trajectories have no verdict and none is worked on; start it again"
            console.print(printable(said), style="yellow", markup=False, soft_wrap=True)
    table("Disks", ["disk", "path", "free"], [[d["what"], d["path"], _size(d["free"])] for d in found.disks])
    for problem in found.problems:
        errors.print(f"wrong: {printable(problem)}", style="red", markup=False, soft_wrap=True)
    if not found.problems:
        console.print("all is well", style="green")


def _time(moment: str | None) -> str:
    """A moment to the second, in UTC."""
    return "never" if moment is None else moment[:19].replace("T", " ") + " UTC"


def _fallbacks(counts: dict[str, int]) -> str:
    """How many answers of which stages the generalist gave."""
    return ", ".join(f"{stage} {count}" for stage, count in counts.items()) or "-"


def _size(size: int | None) -> str:
    if size is None:
        return "?"
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
