"""What all tests share: databases on both kinds of server, a runtime, a sample package, an engine for flows."""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from harness.packages.package import RepoPackage
    from runtime.trees import Runtime

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

os.environ.setdefault("CLEAN_ROOM_SANDBOX_LIMITS_TOLD", "1")  # what tests start need not say it again

UNPRIVILEGED = 65534  # nobody: PostgreSQL refuses to run as root


def _binaries() -> Path | None:
    """The directory of the newest installed PostgreSQL server."""
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if installed:
        return max(installed, key=lambda path: int(path.parent.name))
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


def _wait_until_ready(binaries: Path, directory: Path, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        if server.poll() is not None:
            pytest.fail(f"postgres ended with {server.returncode}: {(directory / 'log').read_text()[-500:]}")
        ready = [str(binaries / "pg_isready"), "-q", "-h", str(directory), "-t", "1"]
        if subprocess.run(ready, check=False).returncode == 0:
            return
        signal.sigtimedwait([], 0.05)
    pytest.fail("postgres did not start within 30 s")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server of our own, on a unix socket in a private directory; it dies with this
    process."""
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL's server is not installed; install the package postgresql")
        pytest.skip("PostgreSQL's server is not installed")
    directory = Path(tempfile.mkdtemp(prefix="cra-pg-", dir="/tmp"))
    lower = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        os.chown(directory, UNPRIVILEGED, UNPRIVILEGED)
        lower += ["--reuid", str(UNPRIVILEGED), "--regid", str(UNPRIVILEGED), "--clear-groups"]
    data = directory / "data"
    try:
        options = ["-U", "cra", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        initdb = [*lower, binaries / "initdb", "-D", data, *options]
        subprocess.run(initdb, check=True, cwd=directory, stdout=subprocess.DEVNULL)
        with (directory / "log").open("wb") as log:
            options = ["-k", directory, "-c", "listen_addresses=", "-c", "fsync=off"]
            postgres = [*lower, binaries / "postgres", "-D", data, *options]
            server = subprocess.Popen(postgres, cwd=directory, stdout=log, stderr=log)
        try:
            _wait_until_ready(binaries, directory, server)
            yield f"postgresql://cra@/postgres?host={directory}"
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: disconnects clients
            server.wait(timeout=30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A target for `open_database` that holds nothing yet: once a SQLite file, once a PostgreSQL database."""
    if request.param == "sqlite":
        return str(tmp_path / "new" / "raw.db")
    import psycopg

    url: str = request.getfixturevalue("postgres_url")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> "Runtime":
    """A real sandbox and an environment store of this test run."""
    from models.limits import Limits
    from runtime.environments import EnvironmentStore
    from runtime.sandbox import open_sandbox
    from runtime.trees import Runtime

    root = tmp_path_factory.mktemp("runtime")
    store = EnvironmentStore(root / "environments", 4 * 1024**3)
    return Runtime(open_sandbox(), store, Limits(wall_seconds=60), root / "scratch")


@pytest.fixture(scope="session")
def sample(runtime: "Runtime", tmp_path_factory: pytest.TempPathFactory) -> "RepoPackage":
    """The repo package of the sample repository, gold-validated; needs the package index."""
    from harness.mining import mine
    from harness.packages.package import read_package
    from harness.packages.prepare import acquire, find_environment, select, validate_candidate, write_package
    from harness.packages.sample import build_sample
    from models.manifest import Environment

    root = tmp_path_factory.mktemp("sample")
    source = acquire(str(build_sample(root / "spans")), root / "corpus")
    mined = mine(source.git)
    known: dict[str, Environment] = {}
    packages, cache = source.directory / "packages", root / "cache"
    found = [find_environment(source.git, commit, known, packages, cache) for commit in select(mined, 3)]
    instances = [validate_candidate(runtime, source.git, each, packages, cache)[0] for each in found]
    write_package(source, mined, found, instances, {})
    return read_package(source.directory)


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """An engine for flows."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
