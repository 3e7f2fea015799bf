"""Fences around texts of strangers: nothing inside closes them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from agent.prompts.render import fenced

LINES = st.lists(st.text(" `~\tx\r\x0c", max_size=8)).map("\n".join)


@given(LINES, st.sampled_from(["text", "src/a.py", "README.md"]))
def test_no_line_of_a_text_closes_its_fence(text: str, language: str) -> None:
    first, *inside, last = fenced(text, language).split("\n")
    assert re.fullmatch(r"`{3,}\w*", first) and set(last) == {"`"}
    for line in inside:
        for piece in line.splitlines():
            ticks = re.match(r"\s*(`*)", piece)
            assert ticks and len(ticks[1]) < len(last)
