"""Thinking traces are told from answers whatever both hold."""

from hypothesis import given
from hypothesis import strategies as st

from llm.thinking import split_trace

plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<"))


@given(plain, plain)
def test_trace_and_answer_come_apart(trace: str, text: str) -> None:
    assert split_trace(f"<think>{trace}</think>{text}") == (text.lstrip(), trace.strip())


@given(plain)
def test_a_trace_that_is_not_closed_leaves_no_answer(trace: str) -> None:
    assert split_trace(f"\n<think>{trace}") == ("", trace.strip())


@given(plain)
def test_a_text_without_tags_is_all_answer(text: str) -> None:
    assert split_trace(text) == (text, "")


@given(st.text())
def test_nothing_breaks_it(text: str) -> None:
    answer, trace = split_trace(text)
    assert answer in text
    assert trace in text
