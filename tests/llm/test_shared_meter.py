"""Caps that several processes share, by a budget in the database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from llm.meter import Spent
from llm.shared_meter import SharedMeter
from models.errors import CapReached, DatabaseError
from store.database import open_database
from store.runs import RawStore, open_raw_store


def test_meters_of_one_budget_stop_at_its_cap_together(database_target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm.shared_meter._PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("llm.shared_meter._POLL_SECONDS", 0.01)
    store = open_raw_store(database_target)
    store.open_budget("run", 1.0, None)
    meters = [SharedMeter(store, "run", None, 1.0) for _ in range(2)]

    def call(number: int) -> float:
        meter = meters[number % 2]
        try:
            with meter.aside(100, 0.2):
                meter.add(Spent(calls=1, prompt_tokens=50, completion_tokens=10, cost=0.1))
        except CapReached:
            return 0.0
        return 0.1

    with ThreadPoolExecutor(4) as pool:
        spent = sum(pool.map(call, range(40)))
    state = store.budget("run")
    assert state.cost == pytest.approx(spent)
    assert 0.7 <= state.cost <= 1.0 + 1e-9, "a call reserves 0.2 and takes 0.1"
    assert meters[0].spent.cost + meters[1].spent.cost == pytest.approx(spent)


def test_what_a_failed_call_reserved_is_given_back(database_target: str) -> None:
    store = open_raw_store(database_target)
    store.open_budget("run", None, 100)
    meter = SharedMeter(store, "run", 100, None)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="no answer"), meter.aside(80, 0.0):
            raise RuntimeError("no answer")
    assert store.budget("run").tokens == 0


class Unsteady(RawStore):
    """A store whose database is away when a call is settled."""

    def settle(self, key: str, cost: float, tokens: int) -> None:
        raise DatabaseError("the server closed the connection")


def test_a_call_that_could_not_be_settled_is_not_waited_for(
    database_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm.shared_meter._PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("llm.shared_meter._POLL_SECONDS", 0.01)
    store = Unsteady(open_database(database_target, "raw"))
    store.open_budget("run", None, 100)
    meter = SharedMeter(store, "run", 100, None)
    with pytest.raises(DatabaseError), meter.aside(80, 0.0):
        pass
    with ThreadPoolExecutor(1) as pool:

        def call() -> None:
            with meter.aside(80, 0.0):
                pass

        with pytest.raises(CapReached):
            pool.submit(call).result(timeout=120)
