"""What a trajectory takes in the databases: rows and bytes by table, of the raw database and of the engine's.

    uv run python -m benchmarks.bytes_per_trajectory DATA_DIRECTORY
    uv run python -m benchmarks.bytes_per_trajectory --postgresql   # the same made-up rows in both databases

Reads the SQLite files of a data directory in which campaigns were run (`cra demo`, `cra campaign`) and divides by the
number of closed trajectories. Indexes count with their tables. Texts are given as they are and as they are stored.
"""

import sqlite3
import sys
import tempfile
from pathlib import Path

MADE = 25
"""Trajectories of the comparison."""
LEAST = 0.5
"""Rows per trajectory below which a table of the engine is not listed."""


def main() -> None:
    """Print a table for each database."""
    if sys.argv[1] == "--postgresql":
        compare()
        return
    folder = Path(sys.argv[1])
    raw = opened(folder / "raw.sqlite")
    closed = raw.execute("SELECT count(*) FROM task_runs WHERE closed_at IS NOT NULL").fetchone()[0]
    if not closed:
        raise SystemExit(f"{folder} holds no closed trajectory; run a campaign in it first")
    print(f"{closed} closed trajectories\n")
    report("raw database", raw, closed)
    number, whole, stored = raw.execute("SELECT count(*), sum(size), sum(length(data)) FROM blobs").fetchone()
    print(
        f"\ntexts per trajectory: {number / closed:.1f}, of {whole / closed / 1e3:.1f} kB, stored as "
        f"{stored / closed / 1e3:.1f} kB; named by {references(raw) / closed:.1f} rows\n"
    )
    calls, asked, answered = raw.execute(
        "SELECT count(*), sum(prompt_tokens), sum(completion_tokens) FROM retrieval_llm_calls"
    ).fetchone()
    print(f"calls: {calls / closed:.1f}, tokens in {asked / closed:.0f}, out {answered / closed:.0f} per trajectory\n")
    engine = folder / "engine" / "engine.db"
    if engine.is_file():
        report("engine's database", opened(engine), closed, LEAST)


def compare() -> None:
    """Record the same made-up trajectories in SQLite and PostgreSQL, and print what they take."""
    import psycopg

    from benchmarks.export_trajectories import fill
    from store.runs import open_raw_store
    from tests.support.postgres import postgres_server

    with tempfile.TemporaryDirectory(prefix="cra-bytes-") as name, postgres_server() as url:
        file = Path(name) / "raw.sqlite"
        fill(open_raw_store(file), MADE)
        fill(open_raw_store(url), MADE)
        with psycopg.connect(url) as connection:
            query = "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
            large: dict[str, int] = dict(connection.execute(query + "'public'::regnamespace").fetchall())
            log = connection.execute("SELECT wal_bytes, wal_records FROM pg_stat_wal").fetchone()
        small = sizes(opened(file))
    print("| table | SQLite, kB per trajectory | PostgreSQL |\n|---|---|---|")
    for table, size in sorted(large.items(), key=lambda each: -each[1])[:8]:
        print(f"| {table} | {small.get(table, 0) / MADE / 1e3:.2f} | {size / MADE / 1e3:.2f} |")
    print(f"| all | {sum(small.values()) / MADE / 1e3:.1f} | {sum(large.values()) / MADE / 1e3:.1f} |")
    if log:
        print(f"\nlog written by PostgreSQL: {float(log[0]) / MADE / 1e3:.1f} kB in {log[1] / MADE:.0f} records")


def opened(path: Path) -> sqlite3.Connection:
    """A database, for reading."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def report(title: str, database: sqlite3.Connection, closed: int, least: float = 0.0) -> None:
    """Rows and bytes by table, per trajectory."""
    taken = sizes(database)
    print(f"| {title}: table | rows per trajectory | kB per trajectory |\n|---|---|---|")
    rows = 0.0
    for table, size in sorted(taken.items(), key=lambda each: -each[1]):
        if table.startswith("sqlite_"):
            continue
        count = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] / closed
        rows += count
        if count > least:
            print(f"| {table} | {count:.1f} | {size / closed / 1e3:.2f} |")
    print(f"| all | {rows:.1f} | {sum(taken.values()) / closed / 1e3:.1f} |")


def sizes(database: sqlite3.Connection) -> dict[str, int]:
    """Bytes by table, indexes with their tables."""
    owner = dict(database.execute("SELECT name, tbl_name FROM sqlite_master WHERE type IN ('table', 'index')"))
    found: dict[str, int] = {}
    for name, size in database.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
        table = owner.get(name, name)
        found[table] = found.get(table, 0) + size
    return found


def references(raw: sqlite3.Connection) -> int:
    """How often rows name a text, however many name the same."""
    total = 0
    for (table,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for key in raw.execute(f'PRAGMA foreign_key_list("{table}")').fetchall():
            if key[2] == "blobs":
                total += raw.execute(f'SELECT count("{key[3]}") FROM "{table}"').fetchone()[0]
    return total


if __name__ == "__main__":
    main()
