"""A PostgreSQL of a benchmark's own, from the programs of the extra `server`."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.postgres import USER, initialise, run_program, socket_answers


@contextmanager
def embedded(root: Path) -> Iterator[str]:
    """A URL with `{}` for the name of a database, of a server in `root` that ends with the context."""
    initialise(root / "postgres", "benchmark")
    places = f"Path({str(root / 'postgres')!r}), Path({str(root)!r})"
    program = f"from pathlib import Path; from host.postgres import serve; serve({places})"
    with (root / "postgres.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)
    try:
        while not socket_answers(root):
            if server.poll() is not None:
                raise RuntimeError(f"postgres ended: {(root / 'postgres.log').read_text()[-500:]}")
            time.sleep(0.2)
        yield f"postgresql://{USER}:benchmark@/{{}}?host={root}"
    finally:
        server.send_signal(signal.SIGINT)  # ends at once; SIGTERM waits for every client
        server.wait(timeout=60)


def create(root: Path, name: str) -> None:
    """Create a database."""
    run_program("createdb", ["-h", str(root), "-U", USER, name], env={"PGPASSWORD": "benchmark"})
