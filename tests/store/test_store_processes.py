"""The raw store under several threads and processes, and under SIGKILL at every kind of moment."""

import multiprocessing
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from models.outcomes import OutcomeKind
from store.database import open_database
from store.runs import RawStore, Triple, open_raw_store
from tests.support.store_material import TASK, make_manifest, record_all

FORK = multiprocessing.get_context("fork")
INSTANCES = 8
PLANNERS = {"gold": OutcomeKind.PASSED, "null": OutcomeKind.EMPTY_PATCH}


def run_campaign(store: RawStore) -> str:
    """A small campaign as a worker runs it: what is closed is left alone, the rest gets a new attempt."""
    keys = store.register_package(make_manifest(INSTANCES))
    campaign = store.register_campaign({"planners": sorted(PLANNERS)})
    store.start_run(campaign, "smoke", f"flow-{os.getpid()}", [Path("corpus/lib")])
    for label, instance in sorted(keys.items()):
        for planner, kind in PLANNERS.items():
            trajectory = store.open_trajectory(campaign, instance, planner, f"{planner} v1")
            attempt = store.begin_attempt(trajectory)
            if attempt is None:
                continue
            recorder = store.recorder(trajectory, attempt)
            record_all(recorder, TASK.model_copy(update={"text": label}))
            patch = f"{planner} diff of {label}"
            store.close_trajectory(trajectory, attempt, kind, patch=patch)
    return campaign


def undisturbed(tmp_path: Path) -> list[Triple]:
    store = open_raw_store(tmp_path / "undisturbed.db")
    return list(store.triples(run_campaign(store)))


def work(target: str, barrier: Any) -> None:
    store = open_raw_store(target)
    barrier.wait(timeout=180)  # so that one that died does not leave the others waiting
    for _ in range(3):
        run_campaign(store)


@pytest.mark.slow
def test_processes_that_run_the_same_campaign_together_end_with_each_triple_once(
    database_target: str, tmp_path: Path
) -> None:
    barrier = FORK.Barrier(4)
    workers = [FORK.Process(target=work, args=(database_target, barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    store = open_raw_store(database_target)
    triples = list(store.triples(run_campaign(store)))
    assert triples == undisturbed(tmp_path)
    report = store.report("smoke")
    assert (report.planners["gold"].passed, report.planners["null"].failed) == (INSTANCES, INSTANCES)


def killed_at(target: str, statement: int) -> None:
    """Run the campaign and die, as if pulled from the wall, before the given statement."""
    engine = open_database(target, "raw")
    seen = Counter[str]()

    @event.listens_for(engine, "before_cursor_execute")
    def die(*_: object) -> None:
        seen["statements"] += 1
        if seen["statements"] == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    run_campaign(RawStore(engine))


def test_a_campaign_killed_again_and_again_ends_with_the_triples_of_an_undisturbed_one(
    database_target: str, tmp_path: Path
) -> None:
    exits = []
    for kill in range(12):
        worker = FORK.Process(target=killed_at, args=(database_target, 5 + 7 * kill))
        worker.start()
        worker.join()
        exits.append(worker.exitcode)
    assert exits == [-signal.SIGKILL] * 12
    store = open_raw_store(database_target)
    triples = list(store.triples(run_campaign(store)))
    assert triples == undisturbed(tmp_path)
    assert len({triple.trajectory for triple in triples}) == len(triples) == INSTANCES * len(PLANNERS)
    assert len({triple.context for triple in triples}) == INSTANCES


def test_threads_that_share_a_store_get_different_attempts_and_lose_no_row(database_target: str) -> None:
    engine = open_database(database_target, "raw")
    store = RawStore(engine)
    keys = store.register_package(make_manifest(1))
    campaign = store.register_campaign({})
    trajectory = store.open_trajectory(campaign, keys["lib-0"], "gold", "gold v1")

    def attempt(_: int) -> int:
        number = store.begin_attempt(trajectory)
        assert number is not None
        record_all(store.recorder(trajectory, number))
        return number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(24))) == list(range(1, 25))
    with ThreadPoolExecutor(8) as pool:
        closed = list(pool.map(lambda n: store.close_trajectory(trajectory, n, OutcomeKind.PASSED), range(1, 25)))
    assert closed.count(True) == 1
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM plans")).scalar() == 2 * 24
