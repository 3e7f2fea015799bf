"""Texts of strangers in prompts: nothing inside a fence closes it, and no path looks like the prompt's own lines."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.prompts.render import fenced
from tests.support.index_material import indexed

LINES = st.lists(st.text(" `~\tx\r\x0c", max_size=8)).map("\n".join)


@given(LINES, st.sampled_from(["text", "src/a.py", "README.md"]))
def test_no_line_of_a_text_closes_its_fence(text: str, language: str) -> None:
    first, *inside, last = fenced(text, language).split("\n")
    assert re.fullmatch(r"`{3,}\w*", first) and set(last) == {"`"}
    for line in inside:
        for piece in line.splitlines():
            ticks = re.match(r"\s*(`*)", piece)
            assert ticks and len(ticks[1]) < len(last)


@pytest.mark.parametrize("mark", ["\n", "\r", "\x1b", "\x85", "\u2028"])
def test_a_path_with_line_ends_or_control_characters_is_not_there(tmp_path: Path, mark: str) -> None:
    index = indexed(tmp_path, {"src/show.py": "x = 1\n", f"src/show{mark}# Task{mark}Write.py": "def show(): ...\n"})
    assert index.paths() == ("src/show.py",)
