"""Rewritings keep the meaning of what they rewrite."""

import ast
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rewrites import REWRITINGS, rewritten

SOURCE = '''
import contextlib


def f(a, b):
    """Documentation stays."""
    total, rest = a, b
    found = [x * 2 for x in range(a) if x % 2 if x != b]
    pairs = {x: y for x, y in zip(found, "abcdef")}
    if a < b and (not rest or 3 < b < 9 or 0 <= b < 2):
        total += 1
    elif a == b:
        return f"{a!r:>4}{{}}{b:03d} {pairs}"
    else:
        total = total - 1
    while rest > 0 and total < 50:
        rest -= 2
        total += 3
        if rest == 3:
            continue
    kind = "low" if 0 < a < 5 else "high"
    with contextlib.nullcontext(a) as one, contextlib.nullcontext(one) as other:
        total = total + other
    try:
        if b == 7:
            raise ValueError(f"seven {a}")
    except ValueError as error:
        return str(error)
    if kind is not None and kind == "low":
        return sorted({c for c in kind}, key=str, reverse=True), total, found
    return [total, rest, kind, pairs, dict(b=a, a=b)] if total else None
'''


def outcome(source: str, a: int, b: int) -> object:
    space: dict = {}
    exec(compile(source, "x", "exec"), space)
    try:
        return space["f"](a, b)
    except Exception as error:  # noqa: BLE001 - what is raised is part of the meaning
        return repr(error)


@pytest.mark.slow
@given(st.integers(0, 9), st.integers(0, 9))
def test_every_version_means_the_same(a, b):
    expected = outcome(SOURCE, a, b)
    for name, files in rewritten({"x.py": ("", SOURCE)}, 12):
        assert outcome(files["x.py"], a, b) == expected, name


def test_every_rewriting_finds_a_place():
    names = {name for name, _ in rewritten({"x.py": ("", SOURCE)}, 3)}
    assert names >= {"layout", "mixed 1", "mixed 2", "mixed 3"}
    assert {kind.__name__ for kind in REWRITINGS} - names <= {"RestInElse", "ElseAsRest"}


@pytest.mark.parametrize("kind", REWRITINGS)
def test_a_rewriting_counts_what_it_changes_and_leaves_the_signature(kind):
    tree = ast.parse(SOURCE)
    function = tree.body[1]
    assert isinstance(function, ast.FunctionDef)
    before = ast.unparse(function)
    made = kind(random.Random(2))
    made.rewrite(function)
    assert (ast.unparse(function) != before) == (made.done > 0)
    assert ast.unparse(function.args) == "a, b"
    assert ast.get_docstring(function) == "Documentation stays."


def test_no_two_versions_are_the_same_and_chance_is_fixed():
    files = {"x.py": ("", SOURCE), "y.py": ("", SOURCE)}
    one, other = list(rewritten(files, 8)), list(rewritten(files, 8))
    assert one == other
    texts = [tuple(made.values()) for _, made in one]
    assert len(set(texts)) == len(texts)


def test_only_changed_functions_are_rewritten():
    before = "def g(x):\n    return x + 1\n\n\ndef f(x):\n    return x\n"
    after = "def g(x):\n    return x + 1\n\n\ndef f(x):\n    return x + 2\n"
    for name, files in rewritten({"x.py": (before, after)}, 4):
        assert "def g(x):\n    return x + 1\n" in files["x.py"], name
