"""Kill a campaign at random moments, start it again, and compare its triples with an undisturbed run's.

    uv run python benchmarks/kill_resume.py PACKAGE... [--kills 20] [--seed 0]

Each kill is SIGKILL to the whole process group (command, engine, sandboxes) at a random moment of a run. Whenever the
campaign comes to its end in spite of them, its triples are compared and a new database is begun, until all kills were
dealt.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def environment(root: Path) -> dict[str, str]:
    """Databases, caches and engine under `root`; environments are shared, they are not what is tested."""
    return {
        **os.environ,
        "CRA_DATA_DIR": str(root / "data"),
        "CRA_CACHE_DIR": str(root / "cache"),
        "PREFECT_HOME": str(root / "engine"),
    }


def start(packages: list[str], root: Path) -> subprocess.Popen[bytes]:
    """A campaign of both planners as a process group of its own."""
    command = [
        str(Path(sys.executable).parent / "cra"),
        "campaign",
        *packages,
        "--planner",
        "gold",
        "--planner",
        "null",
        "--name",
        "k",
        "--json",
    ]
    log = (root / "log").open("ab")
    return subprocess.Popen(command, env=environment(root), stdout=log, stderr=log, start_new_session=True)


def triples(root: Path) -> list[str]:
    """What the database holds, free of times, in key order."""
    from store.runs import open_raw_store

    store = open_raw_store(f"sqlite:///{root / 'data' / 'raw.sqlite'}")
    return [repr(triple) for triple in store.triples(store.report("k").campaign_id)]


def finish(process: subprocess.Popen[bytes], root: Path) -> None:
    """Wait for a run to end by itself."""
    if process.wait() != 0:
        sys.exit(f"a run failed: {(root / 'log').read_text()[-2000:]}")


def kill_at(process: subprocess.Popen[bytes], moment: float) -> bool:
    """Kill a run after `moment` seconds; False if it had ended by then."""
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def main() -> None:
    """Print how many kills, how many campaigns they were spread over, and whether any triple differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="cra-kills-", ignore_cleanup_errors=True) as name:
        calm = Path(name) / "calm"
        calm.mkdir()
        started = time.monotonic()
        finish(start(options.packages, calm), calm)
        length = time.monotonic() - started
        expected = triples(calm)
        print(f"undisturbed: {len(expected)} triples in {length:.1f} s", flush=True)
        dealt = campaigns = different = 0
        while dealt < options.kills:
            root = Path(name) / f"disturbed-{campaigns}"
            root.mkdir()
            campaigns += 1
            while dealt < options.kills and kill_at(start(options.packages, root), chance.uniform(0.2, 0.8) * length):
                dealt += 1
                print(f"kill {dealt}", flush=True)
            finish(start(options.packages, root), root)
            found = triples(root)
            different += len(set(expected) ^ set(found)) + abs(len(found) - len(expected))
            print(
                f"campaign {campaigns}: {len(found)} triples, {dealt} kills so far, {different} differences", flush=True
            )
    print(
        f"{dealt} kills over {campaigns} campaigns of {len(expected)} triples: {different} lost, doubled or different"
    )
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
