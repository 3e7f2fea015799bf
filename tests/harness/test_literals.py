"""Variants of literals."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from harness.validation.confirmation.literals import is_literal, variants

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(),
    st.binary(),
    st.just(...),
)


@given(VALUES)
def test_variants_are_other_values_of_the_same_type(value):
    found = variants(value)
    assert all(type(each) is type(value) for each in found)
    assert all(each != value for each in found)
    assert len({repr(each) for each in found}) == len(found)
    assert found == variants(value)


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_a_text_keeps_its_look(text):
    def look(value):
        return ["9" if c.isdecimal() else "a" if c.islower() else "A" if c.isupper() else c for c in value]

    *same_length, longer = variants(text)
    assert all(look(each) == look(text) for each in same_length)
    assert len(longer) == len(text) + 1


@given(VALUES)
def test_a_variant_can_be_written_into_a_test(value):
    for each in variants(value):
        assert ast.literal_eval(ast.unparse(ast.Constant(each))) == each


@given(st.text(st.characters(exclude_characters="", categories=["P", "S", "Z"])))
def test_a_text_without_letters_or_digits_has_no_variants(text):
    assert variants(text) == []


def test_a_literal_is_built_of_constants_alone():
    for text in ("1", "-1", "'a'", "[1, (2, {3})]", "{'a': [None]}", "..."):
        assert is_literal(ast.parse(text, mode="eval").body), text
    for text in ("a", "f()", "[a]", "{**a}", "1 + 1", "f'{1}'", "[x for x in y]"):
        assert not is_literal(ast.parse(text, mode="eval").body), text
