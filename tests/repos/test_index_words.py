"""Identifiers as subtokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repos.index.words import count_subtokens, prose_subtokens, subtokens

PARTS = st.lists(st.from_regex(r"[a-z]{2,6}", fullmatch=True), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("read_http_response", ("read", "http", "response")),
        ("readHTTPResponse_v2", ("read", "http", "response", "v", "2")),
        ("__init__", ("init",)),
        ("XMLParser", ("xml", "parser")),
        ("utf8Decoder", ("utf", "8", "decoder")),
        ("MAX_SIZE", ("max", "size")),
        ("A", ("a",)),
        ("aB", ("a", "b")),
        ("$el", ("el",)),
        ("größeMax", ("größe", "max")),
        ("", ()),
        ("___", ()),
    ],
)
def test_names_are_split(name: str, parts: tuple[str, ...]) -> None:
    assert subtokens(name) == parts


@given(PARTS)
def test_the_usual_ways_to_write_a_name_give_the_same_subtokens(parts: list[str]) -> None:
    wanted = tuple(parts)
    camel = parts[0] + "".join(part.capitalize() for part in parts[1:])
    for name in ("_".join(parts), "_".join(parts).upper(), "-".join(parts), camel, "".join(map(str.capitalize, parts))):
        assert subtokens(name) == wanted


@given(st.text())
def test_no_letter_and_no_digit_of_ascii_is_lost_whatever_the_name(name: str) -> None:
    kept = "".join(char for char in name if char.isascii() and char.isalnum()).lower()
    found = "".join(subtokens(name))
    assert "".join(char for char in found if char.isascii() and char.isalnum()) == kept or not name.isascii()
    assert all(part and part == part.lower() and "_" not in part for part in subtokens(name))


def test_counts_add_up() -> None:
    assert count_subtokens({"read_it": 2, "readAll": 1}) == {"read": 3, "it": 2, "all": 1}
    assert prose_subtokens(["Read read_it.", "it's"]) == {"read": 2, "it": 2, "s": 1}
