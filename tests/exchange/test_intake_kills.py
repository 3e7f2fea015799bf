"""An intake that is killed at any moment ends as one that is not: nothing half integrated, one line in the ledger."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.intake import integration
from exchange.intake.batch import ingest
from exchange.intake.ledger import IntakeFolders, read_events
from harness.packages.package import RepoPackage, read_package
from models.intake import IntakeVerdict
from runtime.trees import Runtime
from tests.support.intake_material import files_in, intake_in, nobody

pytestmark = pytest.mark.slow
KILLS = 20
STEPS = ("write_atomically", "sync_tree", "rename_new", "exchange_names", "record")


@pytest.fixture
def data(runtime: Runtime, tmp_path: Path) -> Path:
    """A data directory whose databases are there."""
    intake_in(tmp_path / "data", runtime)
    return tmp_path / "data"


@pytest.fixture
def medium(sample: RepoPackage, tmp_path: Path) -> Path:
    shutil.copytree(sample.directory, tmp_path / "medium" / "spans")
    return tmp_path / "medium"


def _started(data: Path, medium: Path, runtime: Runtime, cache: Path, before: Callable[[], None]) -> int:
    """A process of its own that takes in a medium; `before` is called in it first."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            before()
            ingest(intake_in(data, runtime, cache=cache), medium, lambda process: None)
            code = 0
        finally:
            os._exit(code)
    return child


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _check(data: Path, identities: set[str]) -> None:
    """The corpus holds nothing, or one whole package; each line of the ledger is an event."""
    corpus = data / "corpus"
    there = [path for path in corpus.iterdir() if not path.name.startswith(".")] if corpus.exists() else []
    assert [path.name for path in there] in ([], ["spans"])
    assert all(read_package(path).identity in identities for path in there)
    read_events(IntakeFolders(data / "intake", corpus))


def _check_end(data: Path, medium: Path, runtime: Runtime, cache: Path, identity: str, verdict: IntakeVerdict) -> None:
    """One more intake completes the work: one event says that the package came in, and nothing is left over."""
    ingest(intake_in(data, runtime, cache=cache), medium, nobody)
    events = read_events(IntakeFolders(data / "intake", data / "corpus"))
    assert [each.identity for each in events if each.verdict is verdict] == [identity]
    assert {each.verdict for each in events} <= {verdict, IntakeVerdict.ALREADY_HERE}
    assert read_package(data / "corpus" / "spans").identity == identity
    assert files_in(data / "intake") == ["ledger.jsonl", "lock"]
    assert [path.name for path in (data / "corpus").iterdir()] == ["spans"]


def test_kills_at_random_moments_end_as_none(data: Path, medium: Path, runtime: Runtime, sample: RepoPackage) -> None:
    cache = sample.directory.parents[1] / "cache"
    started = time.monotonic()
    assert _ended(_started(Path(shutil.copytree(data, data.with_name("first"))), medium, runtime, cache, list)) == 0
    whole = time.monotonic() - started
    moments, here, killed = random.Random(19), Path(shutil.copytree(data, data.with_name("killed"))), 0
    for attempt in range(KILLS):
        child = _started(here, medium, runtime, cache, list)
        time.sleep(moments.uniform(0, whole))
        os.kill(child, signal.SIGKILL)
        died = _ended(child) == -signal.SIGKILL
        _check(here, {sample.identity})
        if not died and not killed:  # it was faster than the first, which built the environment: sooner, and from anew
            whole, here = whole / 2, Path(shutil.copytree(data, data.with_name(f"again-{attempt}")))
        killed += died
    assert killed > 0
    _check_end(here, medium, runtime, cache, sample.identity, IntakeVerdict.ACCEPTED)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_around_a_step_of_the_move_ends_as_none(
    step: str, after: bool, data: Path, medium: Path, runtime: Runtime, sample: RepoPackage
) -> None:
    cache = sample.directory.parents[1] / "cache"
    verdict, identities = IntakeVerdict.ACCEPTED, {sample.identity}
    if step == "exchange_names":  # an earlier state is here: the same package without one of its instances
        verdict = IntakeVerdict.UPDATED
        earlier = Path(shutil.copytree(sample.directory, data / "corpus" / "spans"))
        manifest = sample.manifest.model_copy(update={"instances": sample.manifest.instances[:2]})
        (earlier / "manifest.json").write_text(manifest.to_json())
        identities.add(manifest.identity())

    def dies() -> None:
        real = getattr(integration, step)

        def deadly(*arguments: object) -> None:
            if after:
                real(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(integration, step, deadly)

    assert _ended(_started(data, medium, runtime, cache, dies)) == -signal.SIGKILL
    _check(data, identities)
    _check_end(data, medium, runtime, cache, sample.identity, verdict)
