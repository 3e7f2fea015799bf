"""Are faults in logs found? Each kind is planted into a copy of a campaign's log, and the log is audited.

    uv run python benchmarks/audit_faults.py CAMPAIGN [--limit N] [--json]

The logs of CAMPAIGN are those of the data directory in the settings (SQLite). Columns: the kind of fault; the
trajectories into which it could be planted; those in which a fault was found; those in which a finding cites a row that
was changed. The first line is of logs as they are: what is found there is a false alarm.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from benchmarks.audit_plants import PLANTS, Log, Plant
from cli.audit import ReplayPlaces
from harness.audit import AuditReport, audit_trajectory
from host.settings import load_settings
from store.database import open_database
from store.runs import RawStore, open_raw_store
from store.runs.results import closed_trajectories


class Found(NamedTuple):
    """A kind of fault: trajectories with it, those in which a fault was found, those in which it was cited."""

    kind: str
    planted: int
    found: int
    cited: int


def main() -> None:
    """Plant, audit, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    source = database_file()
    results = [measure(source, options.campaign, "none", None, options.limit, options.seed)]
    for kind, plant in PLANTS.items():
        results.append(measure(source, options.campaign, kind, plant, options.limit, options.seed))
    if options.json:
        print(json.dumps([each._asdict() for each in results]))
        return
    print("| planted | logs | found | cited |\n|---|---|---|---|")
    for each in results:
        print(f"| {each.kind} | {each.planted} | {each.found} | {each.cited} |")


def measure(source: Path, campaign: str, kind: str, plant: Plant | None, limit: int | None, seed: int) -> Found:
    """Plant one kind of fault into each log of a campaign, in a copy of the database, and audit them."""
    with copied(source) as store:
        planted = planted_rows(store, campaign, plant, limit, seed)
        places = ReplayPlaces(store, [], Path(tempfile.gettempdir()))
        reports = {key: audit_trajectory(store, key, places.of) for key in planted}
    return Found(
        kind=kind,
        planted=len(planted),
        found=sum(not report.is_sound for report in reports.values()),
        cited=sum(is_cited(reports[key], changed) for key, changed in planted.items() if changed),
    )


@contextmanager
def copied(source: Path) -> Iterator[RawStore]:
    """A copy of a database, which goes when the context ends."""
    with tempfile.TemporaryDirectory(prefix="cra-audit-faults-") as folder:
        copy = Path(folder) / "raw.sqlite"
        shutil.copyfile(source, copy)
        if (wal := source.with_name(f"{source.name}-wal")).exists():
            shutil.copyfile(wal, copy.with_name(f"{copy.name}-wal"))
        yield open_raw_store(f"sqlite:///{copy}")


def database_file() -> Path:
    """The raw database that the settings name."""
    settings = load_settings()
    source = Path(settings.raw_url.removeprefix("sqlite:///"))
    if not source.is_file():
        raise SystemExit(f"{settings.raw_url}: this needs the raw database as a SQLite file")
    return source


def planted_rows(
    store: RawStore, campaign: str, plant: Plant | None, limit: int | None, seed: int
) -> dict[str, list[int]]:
    """The trajectories of a campaign into which a fault was planted, each with the rows that it changed."""
    choices = random.Random(seed)
    planted: dict[str, list[int]] = {}
    with open_database(str(store.engine.url), "raw").begin() as connection:
        triggers = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
        for trigger in triggers:  # they keep the database append-only: the owner of the file can drop them
            connection.execute(text(f'DROP TRIGGER "{trigger}"'))
        for key in closed_trajectories(store.engine, campaign)[:limit]:
            query = "SELECT closed_attempt FROM task_runs WHERE id = :id"
            attempt = connection.execute(text(query), {"id": key}).scalar_one()
            changed = [] if plant is None else plant(Log(connection, key, attempt, choices))
            if changed is not None:
                planted[key] = changed
    return planted


def is_cited(report: AuditReport, changed: list[int]) -> bool:
    """Whether a finding cites a changed row, or a later one that follows from it."""
    return any(set(finding.cites) & set(changed) for finding in report.findings)


if __name__ == "__main__":
    main()
