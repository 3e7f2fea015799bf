"""Twins: tests with one input varied."""

import ast
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.validation.confirmation.recorded import MOST_KEPT, choose
from harness.validation.confirmation.twins import OBSERVER, Twin, TwinModule, twin_module
from runtime.testing import Seen

PATH = "tests/test_x.py"


def made(source: str, *tests: str, most: int = 64) -> TwinModule:
    module = twin_module(PATH, source, [f"{PATH}::{test}" for test in tests], most)
    assert module is not None
    return module


def bodies(module: TwinModule) -> dict[str, str]:
    """The text of each twin's function, its name left out, by its node id."""
    tree = ast.parse(module.source)
    found = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    texts = {}
    for twin in module.twins:
        node = found[twin.id.rpartition("::")[2]]
        node.name = "test"
        texts[twin.id] = ast.unparse(node)
    return texts


def values(module: TwinModule) -> set[tuple[str, str]]:
    return {(twin.before, twin.value) for twin in module.twins if not twin.is_base}


LITERALS = st.one_of(st.integers(0, 9), st.booleans(), st.text(max_size=4), st.binary(max_size=4), st.none())


@given(st.lists(LITERALS, min_size=1, max_size=5), st.lists(LITERALS, min_size=1, max_size=3), st.integers(1, 20))
def test_each_twin_differs_from_its_test_in_one_literal(arguments, expected, most):
    call = ", ".join(map(repr, arguments))
    source = f"def test_a():\n    assert f({call}) == {expected!r}\n"
    module = twin_module(PATH, source, [f"{PATH}::test_a"], most)
    assert module == twin_module(PATH, source, [f"{PATH}::test_a"], most)
    if module is None:
        return
    base, *others = [ast.parse(text) for text in bodies(module).values()]
    assert 1 <= len(others) <= most
    for other, twin in zip(others, module.twins[1:], strict=True):
        before = [node.value for node in ast.walk(base) if isinstance(node, ast.Constant)]
        after = [node.value for node in ast.walk(other) if isinstance(node, ast.Constant)]
        changed = [(x, y) for x, y in zip(before, after, strict=True) if repr(x) != repr(y)]
        assert [(repr(x), repr(y)) for x, y in changed] == [(twin.before, twin.value)]
        (equal,) = (n for n in ast.walk(other) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith(".equal"))
        assert ast.literal_eval(equal.args[2]) == expected


def test_what_is_merely_expected_is_left_alone():
    source = """
def test_a():
    assert f(1) == 20
    assert 30 == f(2)
    assert f(3) != [40]
    self.assertEqual(f(4), "fifty")
    assert f(5), "message 60"
"""
    assert {before for before, _ in values(made(source, "test_a"))} == {"1", "2", "3", "4", "5"}


def test_what_steers_the_runner_or_documents_is_left_alone():
    source = '''
import pytest

def test_a():
    """Documentation 1."""
    import json
    with pytest.raises(ValueError, match="7"):
        f(1)
    match x:
        case 8:
            pass
    g(f"{1}")
'''
    assert values(made(source, "test_a")) == {("1", "2"), ("1", "5")}


def test_parametrized_tests_keep_the_set_that_is_varied():
    source = """
import pytest

@pytest.mark.parametrize(("a", "b"), [(1, "x"), (2, "y")], ids=["one", "two"])
def test_a(a, b):
    assert f(a) == b
"""
    module = made(source, "test_a[one]", "test_a[two]")
    texts = bodies(module)
    of_two = next(twin for twin in module.twins if (twin.before, twin.value) == ("2", "3"))
    assert "[(3, 'y')]" in texts[of_two.id]
    assert "ids" not in texts[of_two.id]
    base = next(twin for twin in module.twins if twin.is_base)
    assert "[(1, 'x'), (2, 'y')]" in texts[base.id]


def test_methods_and_coroutines_are_varied_where_they_are():
    source = """
class TestA:
    class TestB:
        async def test_a(self):
            assert await f(1) == 2
"""
    module = made(source, "TestA::TestB::test_a")
    assert module.path == "tests/test_varied_test_x.py"
    assert {twin.id.rpartition("::")[0] for twin in module.twins} == {f"{module.path}::TestA::TestB"}
    assert {twin.origin for twin in module.twins} == {f"{PATH}::TestA::TestB::test_a"}
    assert "async def test_a_twin1" in module.source


def test_constants_of_the_module_are_varied_for_one_test_alone():
    source = "LIMIT = 3\nTWICE = 4\nTWICE = 5\n\n\ndef test_a():\n    assert f(LIMIT, TWICE) == 1\n"
    module = made(source, "test_a")
    assert {before for before, _ in values(module)} == {"3"}
    assert "LIMIT = 3" in module.source


def test_the_observer_is_imported_after_what_must_be_first():
    source = '"""Documentation."""\nfrom __future__ import annotations\nimport os\n\n\ndef test_a():\n    assert f(1)\n'
    module = made(source, "test_a")
    compile(module.source, "x", "exec")
    names = [ast.unparse(node) for node in ast.parse(module.source).body[1:3]]
    assert names == ["from __future__ import annotations", f"import observer as {OBSERVER}"]


@pytest.mark.parametrize(
    "source", ["", "def test_a(:", "def test_a():\n    assert f()\n", "def test_b():\n    f(1)\n", "x = '\0'"]
)
def test_there_may_be_nothing_to_vary(source):
    assert twin_module(PATH, source, [f"{PATH}::test_a"], 8) is None


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 30))
def test_tests_share_what_there_is_room_for(sizes, most):
    arguments = [", ".join(map(repr, range(size))) for size in sizes]
    source = "".join(f"def test_{n}():\n    assert f({text})\n" for n, text in enumerate(arguments))
    module = made(source, *(f"test_{n}" for n in range(len(sizes))), most=most)
    counts = [sum(t.origin.endswith(f"_{n}") and not t.is_base for t in module.twins) for n in range(len(sizes))]
    assert sum(counts) == min(most, sum(2 * size for size in sizes))
    assert all(count == 2 * size for count, size in zip(counts, sizes, strict=True) if count < max(counts) - 1)


# choosing


def run(*observations, end="call passed"):
    return json.dumps([end, list(observations)])


def equal(left, right, place=1):
    return ["equal", place, left == right, left, right]


BASE = Twin("m::t_twin0", "t")
TWIN = Twin("m::t_twin1", "t", 3, "1", "2")
GOLD, OTHER = Seen([run(equal(20, 10))]), Seen([run(equal(0, 10))])


def chosen(gold, again=None, parent=OTHER, base=Seen([run(equal(10, 10))])):  # noqa: B008
    seen = {TWIN.id: gold, BASE.id: base}
    return [twin.id for twin in choose([BASE, TWIN], seen, {TWIN.id: again or gold}, {TWIN.id: parent})]


def test_a_twin_judges_if_gold_is_steady_and_differs_from_the_parent():
    assert chosen(GOLD) == [TWIN.id]
    assert chosen(GOLD, again=OTHER) == []
    assert chosen(GOLD, parent=GOLD) == []
    assert chosen(Seen()) == []
    assert chosen(Seen([run(end="call passed")])) == []
    assert chosen(Seen([run(equal(20, 10), end="call failed")])) == []


def test_a_twin_whose_expected_answer_alone_was_varied_does_not_judge():
    assert chosen(Seen([run(equal(10, 2))]), base=Seen([run(equal(10, 1))])) == []
    follows = ["truth", 2, False], ["truth", 2, True]
    assert chosen(Seen([run(equal(10, 2), follows[0])]), base=Seen([run(equal(10, 1), follows[1])])) == []
    assert chosen(Seen([run(equal(11, 2))]), base=Seen([run(equal(10, 1))])) == [TWIN.id]
    assert chosen(Seen([run(equal(10, 3))]), base=Seen([run(equal(10, 1))])) == [TWIN.id]


def test_no_more_are_kept_than_judge_and_every_test_has_its_share():
    twins = [Twin(f"m::{t}_twin{n}", t, 1, "1", str(n)) for t in ("a", "b", "c") for n in range(1, 41)]
    twins += [Twin("m::d_twin1", "d", 1, "1", "2")]
    seen = {twin.id: GOLD for twin in twins}
    random.Random(1).shuffle(twins)
    bases = [Twin(f"m::{t}_twin0", t) for t in "abcd"]
    kept = choose([*bases, *twins], seen, seen, {})
    assert len(kept) == MOST_KEPT
    assert sum(twin.origin == "d" for twin in kept) == 1
    assert {sum(twin.origin == t for twin in kept) for t in "abc"} <= {10, 11}
