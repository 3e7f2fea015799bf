"""Kill workers, flow runs and the server of a deployed campaign at random moments, and compare its triples.

    uv run python -m benchmarks.kill_workers CORPUS PACKAGE [--kills 20] [--seed 0]

CORPUS is the directory of repo packages, PACKAGE the folder of one in it. `cra up` starts a server with an embedded
PostgreSQL and a worker; a second worker has directories of its own. Each kill is SIGKILL to the processes of one kind,
drawn at random: a worker, the process of a flow run, the server. As an operator's schedule would, the campaign's
deployment is started again when its run has ended and trajectories are open; nothing else is mended by hand but the
second worker, which no supervisor restarts. Printed are the seconds from each kill to the next answer or outcome that
is stored, and whether any triple differs from those of an undisturbed campaign. Linux only.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from benchmarks.engine import AtOnce, model

CRA = str(Path(sys.executable).parent / "cra")
NAME = "kills"
KINDS = {
    "worker": "main() worker",
    "second worker": "cra worker",
    "flow": "flows.server.engine",
    "server": "flows.server.app",
}


class _Slow(AtOnce):
    """The scripted model, after a second and a half."""

    def do_POST(self) -> None:
        """An answer."""
        time.sleep(1.5)
        super().do_POST()


class Installation:
    """Directories of one machine, and its commands."""

    def __init__(self, root: Path, corpus: Path, url: str, **variables: str) -> None:
        self.root = root
        (root / "work").mkdir(parents=True)
        (root / "work" / "cra.toml").write_text(
            f'[models.endpoints.here]\nurl = "{url}"\nmodel = "m"\nattempts = 1\n'
            '[models.roles]\nreasoning = "here"\ncoding = "here"\n[campaign]\ntrajectories = 2\nshard_seconds = 20\n'
        )
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CRA_", "PREFECT_"))}
        places = {"CRA_DATA_DIR": str(root / "d"), "CRA_CACHE_DIR": str(root / "c"), "CRA_CORPUS_DIR": str(corpus)}
        self.environment = {**kept, **places, "HOME": str(root), **variables}

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command."""
        log = (self.root / "log").open("ab")
        return subprocess.Popen([CRA, *arguments], cwd=self.root / "work", env=self.environment, stdout=log, stderr=log)

    def run(self, *arguments: str) -> None:
        """Run a command, or end with its log if it fails."""
        if self.start(*arguments).wait() != 0:
            sys.exit((self.root / "log").read_text()[-2000:])

    def processes(self, mark: str) -> list[int]:
        """Ids of this machine's processes with a text in their command line."""
        ours = f"CRA_DATA_DIR={self.root / 'd'}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if ours in (process / "environ").read_bytes().split(b"\0"):
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found += [int(process.name)] if mark in line else []
            except OSError:
                continue
        return found


def order(package: str, corpus: Path) -> list[str]:
    """The campaign's command."""
    planners = ["--planner", "gold", "--planner", "null", "--planner", "student"]
    temperatures = ["--temperatures", "0.1,0.2,0.3,0.4,0.5,0.6"]
    return ["campaign", str(corpus / package), *planners, *temperatures, "--name", NAME, "--yes"]


def triples(url: str) -> list[str]:
    """What a database holds, free of times, in key order."""
    from store.runs import open_raw_store

    store = open_raw_store(url)
    return [repr(triple) for triple in store.triples(store.report(NAME).campaign_id)]


def finished(connection: Any) -> bool:
    """Whether trajectories were opened, and all are closed."""
    query = text("SELECT count(*) > 0 AND count(*) = count(closed_at) FROM task_runs")
    return bool(connection.execute(query).scalar_one())


def disturb(first: Installation, second: Installation, command: list[str], database: str, given: Any) -> list[float]:
    """Run the campaign to its end under kills; seconds until something was stored after each."""
    chance = random.Random(given.seed)
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://"))
    stored = text("SELECT greatest((SELECT max(created_at) FROM answers), (SELECT max(created_at) FROM outcomes))")
    worker = second.start("worker")
    first.run(*command, "--detach")
    waits: list[float] = []
    started, killed, due = time.monotonic(), 0.0, chance.uniform(4, 12)
    killed_at: Any = None
    while True:
        time.sleep(0.5)
        with engine.connect() as connection:
            if finished(connection):
                return waits
            last = connection.execute(stored).scalar_one()
            if killed_at is not None and last is not None and last > killed_at:
                waits.append((last - killed_at).total_seconds())
                print(f"  work went on after {waits[-1]:.1f} s", flush=True)
                killed_at, due = None, chance.uniform(2, 8)
                killed = time.monotonic()
            now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        if worker.poll() is not None:
            worker = second.start("worker")
        if not first.processes(KINDS["flow"]) and not second.processes(KINDS["flow"]):
            first.start(*command, "--detach").wait()
        if killed_at is None and len(waits) < given.kills and time.monotonic() - max(killed, started) > due:
            kind = chance.choice(list(KINDS))
            found = (second if kind == "second worker" else first).processes(KINDS[kind])
            if kind == "flow":
                found = [*found, *second.processes(KINDS[kind])][:1]
            for process in found:
                os.kill(process, signal.SIGKILL)
            if found:
                killed_at = now
                print(f"kill {len(waits) + 1}: {kind}", flush=True)


def main() -> None:
    """Print the waits and whether any triple differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("package")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    corpus = given.corpus.resolve()
    with (
        tempfile.TemporaryDirectory(prefix="cra-k-", dir="/tmp", ignore_cleanup_errors=True) as name,
        model(_Slow) as url,
    ):
        root = Path(name)
        calm = Installation(root / "calm", corpus, url)
        calm.run(*order(given.package, corpus))
        expected = triples(f"sqlite:///{calm.root / 'd' / 'raw.sqlite'}")
        print(f"undisturbed: {len(expected)} triples", flush=True)
        first = Installation(root / "a", corpus, url)
        waits: list[float] = []
        different = 0
        try:
            first.run("up", "--postgres", "embedded", "--port", "4711")
            server = first.root / "d" / "server"
            database = f"postgresql://clean_room@/clean_room?host={server}&passfile={server / 'pgpass'}"
            named = {"PREFECT_API_URL": "http://127.0.0.1:4711/api"}
            named["PREFECT_API_AUTH_STRING"] = (server / "password").read_text().strip()
            databases = {"CRA_RAW_DATABASE": database, "CRA_CURATED_DATABASE": database}
            second = Installation(root / "b", corpus, url, **named, **databases)
            waits = disturb(first, second, order(given.package, corpus), database, given)
            found = triples(database)
            different = len(set(expected) ^ set(found)) + abs(len(found) - len(expected))
            for process in second.processes("worker"):
                os.kill(process, signal.SIGTERM)
        finally:
            first.run("down")
    if waits:
        median, worst = statistics.median(waits), max(waits)
        print(f"{len(waits)} kills; work went on after {median:.1f} s (median), {worst:.1f} s (worst)")
    print(f"{len(expected)} triples; {different} lost, doubled or different")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
