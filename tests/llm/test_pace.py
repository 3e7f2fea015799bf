"""Calls at a time follow what the endpoint says."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from llm.rate_limit import FAILED_CALLS, AimdLimiter, CircuitBreaker


def test_complaints_of_calls_that_were_out_together_count_once() -> None:
    pace = AimdLimiter(8)
    pace.slow_down(0)
    pace.slow_down(0)
    assert pace.limit == 4
    pace.slow_down(1)
    assert pace.limit == 2


@given(st.lists(st.booleans(), max_size=200))
def test_the_limit_stays_between_one_and_the_ceiling(good: list[bool]) -> None:
    pace = AimdLimiter(5)
    for round_, answered in enumerate(good):
        if answered:
            pace.speed_up()
        else:
            pace.slow_down(round_)
        assert 1 <= pace.limit <= 5


def test_good_answers_raise_the_limit_by_one_per_round() -> None:
    pace = AimdLimiter(8)
    pace.slow_down(0)
    for _ in range(4):
        pace.speed_up()
    assert 4.8 < pace.limit < 5.2


@given(st.lists(st.sampled_from(["good", "busy", "cancelled"]), min_size=1, max_size=40), st.integers(1, 4))
def test_everybody_gets_a_turn_and_never_too_many_at_a_time(ends: list[str], ceiling: int) -> None:
    most = out = 0

    async def call(pace: AimdLimiter, end: str) -> None:
        nonlocal most, out
        async with pace.slot() as round_:
            out += 1
            most = max(most, out)
            try:
                await asyncio.sleep(0)
            finally:
                out -= 1
            if end == "good":
                pace.speed_up()
            else:
                pace.slow_down(round_)

    async def all_calls() -> None:
        pace = AimdLimiter(ceiling)
        tasks = [asyncio.create_task(call(pace, end)) for end in ends]
        await asyncio.sleep(0)
        for task, end in zip(tasks, ends, strict=True):
            if end == "cancelled":
                task.cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=120)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)

    asyncio.run(all_calls())
    assert most <= ceiling


def test_the_breaker_opens_at_the_third_call_in_a_row() -> None:
    breaker = CircuitBreaker()
    for _ in range(FAILED_CALLS - 1):
        breaker.bad("down", 60.0)
    assert breaker.refusal() is None
    breaker.good()
    for _ in range(FAILED_CALLS):
        breaker.bad("down", 60.0)
    refusal = breaker.refusal()
    assert refusal is not None
    assert refusal.startswith("down; not asked again for ")
    breaker.good()
    assert breaker.refusal() is None
