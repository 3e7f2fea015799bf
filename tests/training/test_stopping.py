"""How many tokens an answer and its thinking trace may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.stopping import Allowance, TraceTokens

OPEN, CLOSE, WORD = 1, 2, 3
TOKENS = TraceTokens(OPEN, CLOSE)


def written(tokens: list[int], answer: int, trace: int, opened: bool = False, known: bool = True) -> int:
    """How many tokens of one answer are taken before it has all that it may have; -1: it may have more."""
    allowance = Allowance([answer], [trace], [opened], TOKENS if known else None)
    for count, token in enumerate(tokens, 1):
        if allowance.take([token]) == [True]:
            return count
    return -1


@pytest.mark.parametrize(
    ("tokens", "opened", "expected"),
    [
        ([WORD] * 9, False, 3),
        ([OPEN, WORD, CLOSE] + [WORD] * 9, False, 6),
        ([WORD, CLOSE] + [WORD] * 9, True, 5),
        ([OPEN] + [WORD] * 9, False, 5),
        ([WORD] * 9, True, 5),
        ([WORD, OPEN, WORD, WORD], False, 3),
        ([OPEN, CLOSE, OPEN, WORD, WORD], False, 5),
        ([OPEN, WORD, CLOSE, WORD], False, -1),
    ],
)
def test_a_trace_and_an_answer_are_counted_apart(tokens: list[int], opened: bool, expected: int) -> None:
    assert written(tokens, 3, 5, opened) == expected


def test_a_base_without_traces_has_its_answer_only() -> None:
    assert written([OPEN, WORD, CLOSE, WORD], 3, 5, known=False) == 3


@given(st.lists(st.sampled_from([OPEN, CLOSE, WORD]), min_size=40, max_size=40), st.booleans())
def test_no_answer_goes_beyond_both_allowances(tokens: list[int], opened: bool) -> None:
    assert 0 < written(tokens, 7, 11, opened) <= 7 + 11


@given(st.lists(st.lists(st.sampled_from([OPEN, CLOSE, WORD]), min_size=30, max_size=30), min_size=1, max_size=4))
def test_answers_of_a_batch_are_counted_each_for_itself(rows: list[list[int]]) -> None:
    allowance = Allowance([4] * len(rows), [6] * len(rows), [False] * len(rows), TOKENS)
    ended: dict[int, int] = {}
    for count, column in enumerate(zip(*rows, strict=True), 1):
        for row, full in enumerate(allowance.take(list(column))):
            if full:
                ended.setdefault(row, count)
    assert [ended[row] for row in range(len(rows))] == [written(tokens, 4, 6) for tokens in rows]


@pytest.mark.parametrize(("prompt", "inside"), [([WORD], False), ([OPEN, WORD], True), ([OPEN, CLOSE, WORD], False)])
def test_a_prompt_may_have_opened_the_trace(prompt: list[int], inside: bool) -> None:
    assert TOKENS.opened(prompt) is inside
