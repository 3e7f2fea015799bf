"""Several processes on one campaign: claims, leases of the dead, questions asked once, budgets held together."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from host.processes import is_dead, this_process
from models.outcomes import OutcomeKind
from models.protocols import Answer, Stage
from store.leases import LEASES, database_time, in_force, live_holders, renew, take
from store.rows import writing
from store.runs import RawStore, open_raw_store
from tests.support.store_material import make_manifest

SPAWN = multiprocessing.get_context("spawn")
ANSWER = Answer(text="yes", model="m", endpoint="e", prompt_tokens=3, completion_tokens=2, cost=0.5)


def open_many(store: RawStore, count: int) -> list[str]:
    keys = store.register_package(make_manifest(count))
    campaign = store.register_campaign({"planners": ["null"]})
    return [store.open_trajectory(campaign, key, "null", "null v1") for key in keys.values()]


def in_another_process(function: Callable[..., None], *arguments: Any) -> None:
    process = SPAWN.Process(target=function, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def claim_and_leave(target: str, keys: list[str], answer: str) -> None:
    """Claim, and end without giving anything back."""
    store = open_raw_store(target)
    assert store.claim(dict.fromkeys(keys, 0), len(keys)).taken == keys
    assert store.begin_attempt(keys[0]) == 1
    assert store.claim_answer(answer) is not None


def work_through(target: str, keys: list[str], told: Any) -> None:
    store = open_raw_store(target)
    pending = dict.fromkeys(keys, 0)
    while pending:
        claims = store.claim(pending, 2)
        for key in claims.taken:
            attempt = store.begin_attempt(key)
            assert attempt == 1
            time.sleep(0.005)
            store.close_trajectory(key, attempt, OutcomeKind.EMPTY_PATCH)
            told.put((os.getpid(), key))
        for key in [*claims.taken, *claims.closed]:
            del pending[key]


def test_processes_work_on_disjoint_trajectories(database_target: str) -> None:
    keys = open_many(open_raw_store(database_target), 40)
    told = SPAWN.Queue()
    workers = [SPAWN.Process(target=work_through, args=(database_target, keys, told)) for _ in range(3)]
    for worker in workers:
        worker.start()
    done = [told.get(timeout=120) for _ in keys]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(key for _, key in done) == sorted(keys)
    assert told.empty()


def test_a_claim_says_what_became_of_the_others(database_target: str) -> None:
    store = open_raw_store(database_target)
    closed, failed, held, free = open_many(store, 4)
    known = store.attempts([closed, failed, held, free])
    for key, kind in ((closed, OutcomeKind.EMPTY_PATCH), (failed, OutcomeKind.PROVIDER_ERROR)):
        attempt = store.begin_attempt(key)
        assert attempt is not None
        store.close_trajectory(key, attempt, kind)
    with writing(store.engine) as connection:
        now = database_time(connection)
        row = {"name": held, "holder": "elsewhere/boot/1/2", "expires_at": now + timedelta(seconds=30)}
        connection.execute(insert(LEASES).values(row))
    claims = store.claim(known, 4)
    assert (claims.taken, claims.closed, claims.ended, claims.held) == ([free], {closed}, {failed}, {held})
    assert store.holders([held, free]) == {held: "elsewhere/boot/1/2", free: this_process()}
    assert store.claim({failed: 1}, 1).taken == [failed], "one more attempt by a caller that knows of the first"


def test_what_the_dead_of_this_machine_held_is_free_at_once(database_target: str) -> None:
    store = open_raw_store(database_target)
    keys = open_many(store, 2)
    in_another_process(claim_and_leave, database_target, keys, "question")
    assert store.claim(dict.fromkeys(keys, 0), 2).taken == keys, "also the one in whose attempt it died"
    slot = store.claim_answer("question")
    assert slot is not None and slot.answer is None


def test_a_lease_of_another_machine_falls_free_by_the_clock_of_the_database(database_target: str) -> None:
    store = open_raw_store(database_target)
    (key,) = open_many(store, 1)
    with writing(store.engine) as connection:
        until = database_time(connection) + timedelta(seconds=0.5)
        connection.execute(insert(LEASES).values(name=key, holder="elsewhere/boot/1/2", expires_at=until))
    assert store.claim({key: 0}, 1).held == {key}
    deadline = time.monotonic() + 30
    while not (taken := store.claim({key: 0}, 1).taken):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert taken == [key]


def test_a_holder_whose_lease_ran_out_does_not_count_twice(database_target: str) -> None:
    store = open_raw_store(database_target)
    (key,) = open_many(store, 1)
    with writing(store.engine) as connection:
        assert take(connection, [key], seconds=-1) == {key}
    slow = store.begin_attempt(key)
    assert store.claim({key: 0}, 1).taken == [key]
    quick = store.begin_attempt(key)
    assert (slow, quick) == (1, 2)
    assert store.close_trajectory(key, 1, OutcomeKind.EMPTY_PATCH)
    assert not store.close_trajectory(key, 2, OutcomeKind.PASSED)
    assert store.outcome(key) is OutcomeKind.EMPTY_PATCH


def test_renewing_keeps_only_own_leases(database_target: str) -> None:
    store = open_raw_store(database_target)
    with writing(store.engine) as connection:
        assert take(connection, ["mine"], seconds=1) == {"mine"}
        row = {"name": "other", "holder": "elsewhere/boot/1/2", "expires_at": database_time(connection)}
        connection.execute(insert(LEASES).values(row))
    assert renew(store.engine) == 1
    assert live_holders(store.engine, ["mine", "other"]) == {"mine": this_process()}
    store.release(["mine", "other"])
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM leases")).scalars().all() == ["other"]


def test_a_question_is_asked_by_one_and_answered_for_all(database_target: str) -> None:
    store = open_raw_store(database_target)
    asked = Counter[str]()

    def ask(_: int) -> Answer:
        while (slot := store.claim_answer("q")) is None:
            time.sleep(0.01)
        if slot.answer is None:
            asked["q"] += 1
            time.sleep(0.05)
            store.keep_answer(slot, Stage.SCOPE, ANSWER)
            return ANSWER
        return slot.answer

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [ANSWER] * 6
    assert asked == {"q": 1}
    assert store.answer_slot("q").answer == ANSWER


def test_a_void_answer_is_asked_again_under_another_id(database_target: str) -> None:
    store = open_raw_store(database_target)
    first = store.answer_slot("q")
    store.keep_answer(first, Stage.SCOPE, ANSWER)
    with store.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO voided_answers (id, reason, created_at) VALUES (:id, 'wrong', :at)"),
            {"id": first.id, "at": database_time(connection).isoformat()},
        )
    second = store.answer_slot("q")
    assert (second.answer, second.generation) == (None, 1)
    assert second.id != first.id
    store.keep_answer(second, Stage.SCOPE, ANSWER.model_copy(update={"text": "no"}))
    assert store.answer_slot("q").answer == ANSWER.model_copy(update={"text": "no"})


def test_a_closed_trajectory_is_opened_again_only_with_a_reason(database_target: str) -> None:
    from sqlalchemy.exc import DBAPIError

    from models.errors import DatabaseError

    store = open_raw_store(database_target)
    (key,) = open_many(store, 1)
    assert store.begin_attempt(key) == 1
    store.close_trajectory(key, 1, OutcomeKind.EMPTY_PATCH)
    reopen = "UPDATE task_runs SET closed_at = NULL, closed_attempt = NULL, outcome = NULL, success = NULL"
    with pytest.raises((DatabaseError, DBAPIError)), store.engine.begin() as connection:
        connection.execute(text(reopen))
    with store.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO reopenings SELECT campaign_id, id, closed_attempt, outcome, 'void answers', closed_at "
                "FROM task_runs"
            )
        )
        connection.execute(text(reopen))
    assert store.begin_attempt(key) == 2


def reserve_much(target: str, told: Any) -> None:
    store = open_raw_store(target)
    told.put(sum(store.reserve("run", 0.25, 10) for _ in range(20)))


def test_a_budget_is_never_exceeded_together(database_target: str) -> None:
    store = open_raw_store(database_target)
    store.open_budget("run", 5.0, 1000)
    store.open_budget("run", 50.0, None)  # no effect: it is open
    told = SPAWN.Queue()
    workers = [SPAWN.Process(target=reserve_much, args=(database_target, told)) for _ in range(2)]
    for worker in workers:
        worker.start()
    granted = sum(told.get(timeout=180) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert granted == 20
    assert store.budget("run") == (5.0, 200, 5.0, 1000)
    assert not store.reserve("run", 0.01, 1)
    store.settle("run", -0.25, -8)
    assert store.reserve("run", 0.25, 8)


def test_processes_are_told_apart() -> None:
    assert not is_dead(this_process())
    assert not is_dead("elsewhere/another-boot/1/2")
    child = SPAWN.Process(target=time.sleep, args=(60,))
    child.start()
    host, machine, *_ = this_process().rsplit("/", 3)
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    identity = f"{host}/{machine}/{child.pid}/{started}"
    assert not is_dead(identity)
    assert is_dead(f"{host}/{machine}/{child.pid}/1"), "another process had the number before"
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    assert is_dead(identity)


@pytest.mark.parametrize("seconds", [60.0, 600.0])
def test_a_lease_from_before_the_clock_was_set_back_is_free(database_target: str, seconds: float) -> None:
    store = open_raw_store(database_target)
    other = "elsewhere/boot.1/7/1"
    with writing(store.engine) as connection:
        now = database_time(connection)
        held = {"renewed": timedelta(seconds=50), "a year ahead": timedelta(days=365)}
        connection.execute(
            insert(LEASES), [{"name": name, "holder": other, "expires_at": now + at} for name, at in held.items()]
        )
    with writing(store.engine) as connection:
        assert take(connection, list(held), seconds) == {"a year ahead"}
    assert in_force(store.engine) == sorted([other, this_process()])


def test_a_lease_of_a_living_process_is_its_own_while_the_clock_is_set_forth_and_back(database_target: str) -> None:
    store = open_raw_store(database_target)
    living = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        host, machine, _, _ = this_process().rsplit("/", 3)
        started = Path(f"/proc/{living.pid}/stat").read_text().rpartition(")")[2].split()[19]
        holder, gone = f"{host}/{machine}/{living.pid}/{started}", "elsewhere/boot.1/7/1"
        with writing(store.engine) as connection:
            ahead = database_time(connection) + timedelta(hours=1)  # renewed by a clock that ran an hour ahead
            connection.execute(insert(LEASES), [
                {"name": "held", "holder": holder, "expires_at": ahead},
                {"name": "left", "holder": gone, "expires_at": ahead},
            ])  # fmt: skip
        assert in_force(store.engine) == [holder]
        with writing(store.engine) as connection:
            assert take(connection, ["held", "left"]) == {"left"}
    finally:
        living.kill()
        living.wait()
    with writing(store.engine) as connection:
        assert take(connection, ["held"]) == {"held"}


def test_a_trajectory_that_was_claimed_before_the_clock_was_set_back_is_claimed_again(database_target: str) -> None:
    store = open_raw_store(database_target)
    (key,) = open_many(store, 1)
    with writing(store.engine) as connection:
        until = database_time(connection) + timedelta(days=365)
        connection.execute(insert(LEASES).values(name=key, holder="here/before the power cut.1/7/1", expires_at=until))
    assert live_holders(store.engine, [key]) == {}
    assert store.claim({key: 0}, 1).taken == [key]
