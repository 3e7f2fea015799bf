"""What attacks are tried on: a sample that is gold-validated once for all processes of the test run, a server."""

from collections.abc import Iterator

import pytest

from benchmarks.attacks import _engine
from benchmarks.attacks._subject import SIGN, SPAN, Subject, prepare_sample, prepared_sample
from benchmarks.false_alarms import REIMPLEMENTATIONS
from tests.support.shared import made_once, shared_root


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """The instances that attacks and reimplementations are about; needs the package index."""
    folder, environments = (shared_root(tmp_path_factory) / name for name in ("subject", "environments"))
    commits = {SIGN, SPAN, *(path.name for path in REIMPLEMENTATIONS.iterdir())}
    made_once(folder, lambda folder: prepare_sample(folder, tuple(sorted(commits)), environments))
    return prepared_sample(folder, tmp_path_factory.mktemp("subject"), environments)


@pytest.fixture(scope="session", autouse=True)
def engine_ends() -> Iterator[None]:
    """The server that attacks start ends with the tests."""
    with _engine.RUNNING:
        yield
