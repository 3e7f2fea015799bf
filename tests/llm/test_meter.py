"""A run's caps hold, whatever runs at the same time."""

import threading

import pytest

from llm import Meter, Spent
from models.errors import CapReached
from models.llm_settings import Price
from models.protocols import Stage
from tests.support.asking import answer, request, router
from tests.support.bad_server import ScriptedServer


def test_a_call_that_could_go_over_the_cap_is_not_made() -> None:
    with ScriptedServer("one two three") as server:
        asking = router(server, Meter(max_tokens=200), window=8000)
        answer(asking)
        with pytest.raises(CapReached, match="cap of 200 tokens"):
            answer(asking, max_tokens=190)
        assert len(server.requests) == 1
        answer(asking)


def test_a_cap_on_cost() -> None:
    with ScriptedServer("one " * 40) as server:
        asking = router(server, Meter(max_cost=0.001), window=8000, price=Price(output=10.0))
        with pytest.raises(CapReached, match=r"cap on cost, 0.001"):
            for _ in range(5):
                answer(asking)
        assert len(server.requests) == 2
        assert asking.meter.spent.cost <= 0.001


def test_calls_at_the_same_time_do_not_exceed_a_cap_together_nor_give_up_too_soon() -> None:
    with ScriptedServer("one two") as server:
        meter = Meter(max_tokens=400)
        asking = router(server, meter, window=8000, concurrency=8)
        ends: list[str] = []

        def call() -> None:
            try:
                asking.complete(Stage.CODE, request(max_tokens=100))
                ends.append("answered")
            except CapReached:
                ends.append("refused")

        threads = [threading.Thread(target=call) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert meter.spent.tokens <= 400
    assert ends == ["answered"] * 16  # each may take 150 tokens and takes 7: those that wait find room


def test_what_was_set_aside_is_given_back_by_a_call_that_fails() -> None:
    meter = Meter(max_tokens=100)
    with pytest.raises(ValueError, match="broke"), meter.aside(100, 0.0):
        raise ValueError("broke")
    with meter.aside(100, 0.0):
        meter.add(Spent(calls=1, prompt_tokens=60, completion_tokens=40))
    with pytest.raises(CapReached), meter.aside(1, 0.0):
        pass


def test_no_cap_is_no_cap() -> None:
    meter = Meter()
    with meter.aside(10**12, 1e9):
        meter.add(Spent(calls=1, cost=1e9))
    assert meter.spent.cost == 1e9
