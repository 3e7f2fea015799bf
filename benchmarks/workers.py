"""One worker and two on the same campaign, on PostgreSQL, with a model that answers at once.

    uv run python -m benchmarks.workers PACKAGE [--trajectories 1000]

A worker is a `cra campaign` with directories and an engine of its own; the workers of a run share the database, and the
campaign is samples of the package's newest valid instance, for which the model gives an empty plan. Printed for one and
for two workers: seconds from the first attempt to the last outcome, CPU milliseconds of the workers, of their engines'
servers and of the database for each of the engine's task runs, memory of each worker while trajectories finish (the
last fifth against the second), attempts beyond one, trajectories without an outcome, and task runs that the engines'
servers do not know the end of. Targets: two workers take at most 0.55 of the time of one on two idle cores, 45 ms of a
worker's CPU per task run, memory within 5%, and none of the last three. Linux only.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, text

from benchmarks.engine import model
from benchmarks.postgres import create, embedded

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(process: int) -> float:
    """CPU seconds that a process and the children it has waited for took; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK


def children(process: int) -> list[tuple[int, str]]:
    """Ids and command lines of a process's children."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                found.append((int(child), Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()))
            except OSError:
                continue
    return found


@dataclass
class Worker:
    """A worker, and what was seen of it while it ran."""

    root: Path
    process: "subprocess.Popen[bytes]"
    cpu: float = 0.0
    server_cpu: float = 0.0
    memory: list[tuple[int, float]] = field(default_factory=list)

    def look(self, closed: int) -> None:
        """Note CPU seconds, and MiB in memory when `closed` trajectories are closed."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        self.cpu = max(self.cpu, cpu_seconds(self.process.pid))
        servers = [pid for pid, line in children(self.process.pid) if "engine_server" in line]
        self.server_cpu = max([self.server_cpu, *map(cpu_seconds, servers)])
        self.memory.append((closed, pages * PAGE / 2**20))

    def fifths(self, total: int) -> list[float]:
        """Largest MiB in each fifth of the trajectories."""
        parts: list[float] = [0.0] * 5
        for closed, size in self.memory:
            place = min(4, closed * 5 // total)
            parts[place] = max(parts[place], size)
        return parts

    def ends(self) -> dict[str, int]:
        """States of task runs, as the engine's server knows them."""
        with sqlite3.connect(self.root / "data" / "engine" / "engine.db") as connection:
            return dict(connection.execute("SELECT state_type, count(*) FROM task_run GROUP BY 1").fetchall())


def start(package: Path, root: Path, url: str, database: str, name: str, samples: int) -> Worker:
    """Start a worker in directories of its own."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "cra.toml").write_text(
        f'[models.endpoints.here]\nurl = "{url}"\nmodel = "m"\n[models.roles]\nreasoning = "here"\ncoding = "here"\n'
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CRA_", "PREFECT_"))}
    places = {"CRA_DATA_DIR": str(root / "data"), "CRA_CACHE_DIR": str(root / "cache"), "CRA_RAW_DATABASE": database}
    command = [str(Path(sys.executable).parent / "cra"), "campaign", str(package), "--planner", "student", "--yes"]
    options = ["--temperatures", "0.5", "--samples", str(samples), "--limit", "1", "--name", name, "--json"]
    log = (root / "log").open("ab")
    process = subprocess.Popen([*command, *options], cwd=root, env={**kept, **places}, stdout=log, stderr=log)
    return Worker(root, process)


def measure(package: Path, place: Path, url: str, database: str, workers: int, trajectories: int) -> float:
    """Run a campaign with some workers, print what it cost; the seconds it took."""
    roots = [place / f"of-{workers}" / f"worker-{number}" for number in range(workers)]
    for root in roots:  # environments, verdict, caches
        start(package, root, url, database, "warm", 1).process.wait()
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://"))
    before = postgres_cpu()
    running = [start(package, root, url, database, "measured", trajectories) for root in roots]
    query = text("SELECT count(*) FROM task_runs WHERE closed_at IS NOT NULL")
    while any(worker.process.poll() is None for worker in running):
        with engine.connect() as connection:
            closed = connection.execute(query).scalar_one()
        for worker in running:
            worker.look(closed)
        time.sleep(1.0)
    postgres = postgres_cpu() - before
    with engine.connect() as connection:
        campaign = "campaign_id = (SELECT campaign_id FROM campaign_runs WHERE name = 'measured' LIMIT 1)"
        seconds, ended = connection.execute(
            text(
                "SELECT extract(epoch FROM max(created_at) - min(created_at - seconds * interval '1 s')), count(*) "
                f"FROM outcomes WHERE {campaign}"
            )
        ).one()
        extra = connection.execute(
            text(f"SELECT sum(attempts) - count(*) FROM task_runs WHERE {campaign}")
        ).scalar_one()
        calls = connection.execute(text(f"SELECT count(*) FROM retrieval_llm_calls WHERE {campaign}")).scalar_one()
    tasks = calls + 3 * trajectories  # a trajectory, its verdict and its attribution are tasks, too
    known: dict[str, int] = {}
    for worker in running:
        for state, count in worker.ends().items():
            known[state] = known.get(state, 0) + count
    print(f"{workers} workers: {seconds:.1f} s for {ended} outcomes; about {tasks} task runs")
    cpu = [sum(worker.cpu for worker in running), sum(worker.server_cpu for worker in running), postgres]
    shown = ", ".join(f"{1000 * each / tasks:.1f}" for each in cpu)
    print(f"  CPU ms per task run (start-up included): {shown} (workers, engines' servers, PostgreSQL)")
    for worker in running:
        fifths = worker.fifths(trajectories)
        growth = fifths[4] / fifths[1] if fifths[1] else float("nan")
        print(f"  memory by fifths, MiB: {', '.join(f'{each:.0f}' for each in fifths)}; last to second {growth:.3f}")
    print(f"  attempts beyond one: {extra}; lost: {trajectories - ended}; task runs by state at the servers: {known}")
    return float(seconds)


def postgres_cpu() -> float:
    """CPU seconds of all PostgreSQL processes of this machine, those that ended under the main one included."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == "postgres":
                total += cpu_seconds(int(process.name))
        except OSError:
            continue
    return total


def main() -> None:
    """Run with one worker and with two, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--trajectories", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cra-w-", dir="/tmp") as name, model() as url:
        place = Path(name)
        with embedded(place) as database:
            seconds = []
            for workers in (1, 2):
                create(place, f"w{workers}")
                seconds.append(
                    measure(
                        given.package.resolve(), place, url, database.format(f"w{workers}"), workers, given.trajectories
                    )
                )
    print(f"two workers take {seconds[1] / seconds[0]:.2f} of the time of one")


if __name__ == "__main__":
    main()
