"""What a trajectory takes in the databases: rows and bytes by table, of the raw database and of the engine's.

    uv run python -m benchmarks.bytes_per_trajectory DATA_DIRECTORY

Reads the SQLite files of a data directory in which campaigns were run (`cra demo`, `cra campaign`) and divides by the
number of closed trajectories. Indexes count with their tables. Texts are given as they are and as they are stored.
"""

import sqlite3
import sys
from pathlib import Path

LEAST = 0.5
"""Rows per trajectory below which a table of the engine is not listed."""


def main() -> None:
    """Print a table for each database."""
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


def opened(path: Path) -> sqlite3.Connection:
    """A database, for reading."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def report(title: str, database: sqlite3.Connection, closed: int, least: float = 0.0) -> None:
    """Rows and bytes by table, per trajectory."""
    owner = dict(database.execute("SELECT name, tbl_name FROM sqlite_master WHERE type IN ('table', 'index')"))
    sizes: dict[str, int] = {}
    for name, size in database.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
        table = owner.get(name, name)
        sizes[table] = sizes.get(table, 0) + size
    print(f"| {title}: table | rows per trajectory | kB per trajectory |\n|---|---|---|")
    rows = 0.0
    for table, size in sorted(sizes.items(), key=lambda each: -each[1]):
        if table.startswith("sqlite_"):
            continue
        count = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] / closed
        rows += count
        if count > least:
            print(f"| {table} | {count:.1f} | {size / closed / 1e3:.2f} |")
    print(f"| all | {rows:.1f} | {sum(sizes.values()) / closed / 1e3:.1f} |")


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
