"""What twins write down, in real runs."""

import json
import textwrap

import pytest

from tests.support import suites

pytestmark = pytest.mark.slow

NAME = "test_varied_x.py"
OBJECT = ["is", None, None]


def runs(tmp_path, body: str, *, head: str = "", states: bool = False, seconds: int = 5) -> list:
    """What the runs of one twin saw: each its end and its observations."""
    source = f"import observer\n{textwrap.dedent(head)}\n\ndef test_a_twin1():\n" + textwrap.indent(
        textwrap.dedent(body), "    "
    )
    seen = suites.observed(tmp_path, {NAME: source}, states=states, seconds=seconds)
    return [json.loads(text) for text in seen[f"{NAME}::test_a_twin1"]]


def told(tmp_path, *values: str, head: str = "", states: bool = False) -> list:
    """How values are written down, given as expressions."""
    body = "class Never:\n    def __eq__(self, other):\n        return False\n"
    body += "".join(f"observer.equal({n}, {value}, None)\n" for n, value in enumerate(values))
    ((end, seen),) = runs(tmp_path, body, head=head, states=states)
    assert (end, len(seen)) == ("call passed", len(values))
    return [each[3] for each in seen]


def test_numbers_are_written_by_value(tmp_path):
    head = "import decimal, fractions, enum\nclass Level(enum.IntEnum):\n    HIGH = 3\n"
    values = ["3", "3.0", "decimal.Decimal(3)", "fractions.Fraction(6, 2)", "3 + 0j"]
    assert told(tmp_path, *values, head=head) == [3] * 5
    values = ["True", "0.25", "decimal.Decimal('0.25')", "float('nan')", "-float('inf')", "1 + 2j", "Level.HIGH"]
    assert told(tmp_path, *values, head=head) == [
        *(1, ["float", "0.25"], ["float", "0.25"], ["float", "nan"], ["float", "-inf"], ["complex", 1, 2]),
        ["is", 3, None],
    ]
    big, same, other = told(tmp_path, "10**5000", "10**5000", "10**5000 + 1")
    assert big == same != other


def test_texts_and_bytes(tmp_path):
    values = ["'a'", r"'\ud800'", "b'a'", "bytearray(b'a')", "memoryview(b'a')", "repr(object())"]
    assert told(tmp_path, *values) == [
        ["str", "a"],
        ["str", "\ud800"],
        *[["bytes", "61"]] * 3,
        ["str", "<object object at 0x>"],
    ]
    one, same, other = told(tmp_path, "'x' * 10**6", "'x' * 10**6", "'x' * (10**6 - 1) + 'y'")
    assert one == same != other
    assert len(one[1]) < 3000


def test_collections_are_written_by_their_members(tmp_path):
    head = """
    import collections, types
    Pair = collections.namedtuple("Pair", "x y")
    class Mine(dict):
        pass
    """
    same = ["{1: 'a', 2: None}", "{2: None, 1: 'a'}", "collections.OrderedDict([(2, None), (1, 'a')])"]
    one, *others = told(tmp_path, *same, "types.MappingProxyType({1: 'a', 2: None})", head=head)
    assert others == [one] * 3
    assert told(tmp_path, "{3, 1}", "frozenset({1, 3})", "{1: 0, 3: 0}.keys()", head=head) == [["set", [1, 3]]] * 3
    assert told(tmp_path, "[1, (2,)]", "Pair(1, 2)", "Mine(a=1)", head=head) == [
        ["list", [1, ["tuple", [2]]]],
        ["is", ["tuple", [1, 2]], [["x", 1], ["y", 2]]],
        ["is", ["dict", [[["str", "a"], 1]]], None],
    ]


def test_values_of_the_standard_library_are_written_as_texts(tmp_path):
    head = "import datetime as d, pathlib, uuid\nclass Moment(d.timedelta):\n    pass\nZ = d.timezone"
    values = ["d.timedelta(1)", "d.timedelta(hours=24)", "pathlib.Path('a')", "pathlib.PurePosixPath('a')"]
    one, same, path, pure = told(tmp_path, *values, head=head)
    assert one == same
    assert path == pure
    early = "d.datetime(2024, 1, 1, 1, tzinfo=Z(d.timedelta(hours=1)))"
    assert len({json.dumps(x) for x in told(tmp_path, early, "d.datetime(2024, 1, 1, tzinfo=Z.utc)", head=head)}) == 1
    assert told(tmp_path, "Moment(1)", head=head) == [["is", one, None]]


CLASSES = """
import dataclasses
class Plain:
    def __init__(self):
        self._seconds = 3
class Slots:
    __slots__ = ("seconds", "unset")
    def __init__(self):
        self.seconds = 3
    @property
    def minutes(self):
        return self.seconds / 2
    @property
    def broken(self):
        raise LookupError
@dataclasses.dataclass
class Data:
    seconds: int = 3
    _private: int = 4
    cache: int = dataclasses.field(default=5, compare=False)
"""


def test_objects_are_written_by_the_fields_that_they_declare(tmp_path):
    assert told(tmp_path, "Plain()", "Slots()", "Data()", "Plain", "print", head=CLASSES) == [
        *(OBJECT, OBJECT, ["is", None, [["seconds", 3]]], OBJECT, OBJECT)
    ]


def test_the_state_of_objects_is_written_when_it_is_asked_for(tmp_path):
    assert told(tmp_path, "Plain()", "Slots()", "Plain", head=CLASSES, states=True) == [
        ["is", None, None, [["_seconds", 3]]],
        ["is", None, None, [["minutes", ["float", "1.5"]], ["seconds", 3]]],
        ["is", None, None, []],
    ]


def test_classes_made_by_attrs_declare_their_fields(tmp_path):
    head = """
    class Field:
        def __init__(self, name, eq):
            self.name, self.eq = name, eq
    class Made:
        __attrs_attrs__ = (Field("x", True), Field("_y", True), Field("z", False))
        x, z = 1, 2
    """
    assert told(tmp_path, "Made()", head=head) == [["is", None, [["x", 1]]]]


def test_hostile_objects_are_written_without_harm(tmp_path):
    head = """
    class Hostile:
        def __getattribute__(self, name):
            raise ZeroDivisionError(name)
        def __repr__(self):
            raise ZeroDivisionError
        __hash__ = None
    class Liar:
        __class__ = str
        def __eq__(self, other):
            return True
    class Text(str):
        def __eq__(self, other):
            return True
        def __str__(self):
            return "other"
        __hash__ = str.__hash__
    class Number(int):
        def __eq__(self, other):
            return True
        def __int__(self):
            return 7
        __hash__ = int.__hash__
    """
    hostile, liar, text, number = told(tmp_path, "Hostile()", "Liar()", "Text('x')", "Number(3)", head=head)
    assert hostile == OBJECT
    assert liar == OBJECT
    assert text == ["is", ["str", "x"], None]
    assert number == ["is", 3, None]


def test_what_an_equality_says_is_written_beside_its_sides(tmp_path):
    body = """
    class Array:
        def __eq__(self, other):
            return self
        def __bool__(self):
            raise ValueError("which one?")
    observer.equal(1, 2, 2)
    observer.equal(2, 2, 3)
    observer.equal(3, Array(), 1)
    """
    ((_, seen),) = runs(tmp_path, body)
    assert [each[:3] for each in seen] == [["equal", 1, True], ["equal", 2, False], ["equal", 3, None]]


def test_deep_wide_and_endless_values_are_written_in_part(tmp_path):
    head = """
    import collections.abc
    deep = []
    for _ in range(500):
        deep = [deep]
    wide = list(range(10**5))
    many = [[[[wide] * 100] * 100] * 100]
    loop = []
    loop.append(loop)
    class Endless(collections.abc.Mapping):
        def __iter__(self):
            n = 0
            while True:
                yield (n := n + 1)
        def __len__(self):
            return 3
        def __getitem__(self, key):
            return key
    """
    found = told(tmp_path, "deep", "wide", "many", "loop", "Endless()", head=head)
    assert all(len(json.dumps(each)) < 10**6 for each in found)
    assert all(each[0] != "unreadable" for each in found)


def test_exceptions_that_are_expected_are_seen(tmp_path):
    body = """
    import pytest
    with observer.expects(1, pytest.raises(ValueError)):
        raise ValueError
    with observer.expects(2, pytest.raises(ValueError)):
        pass
    with observer.expects(3, pytest.raises(ValueError, match="x")):
        raise ValueError("y")
    observer.truth(4, [0])
    observer.passes(5, lambda: None)
    def fails():
        assert 0
    observer.passes(6, fails)
    with observer.expects(7, pytest.raises(ValueError)):
        raise LookupError
    """
    ((end, seen),) = runs(tmp_path, body)
    assert end == "call failed"
    assert seen == [
        *(["expects", 1, "came"], ["expects", 2, "not"], ["expects", 3, "differs"], ["truth", 4, True]),
        *(["passes", 5, True], ["passes", 6, False], ["expects", 7, "other"]),
    ]


def test_tests_of_every_kind_are_seen_and_no_others(tmp_path):
    source = """
import asyncio, unittest
import observer, pytest

@pytest.fixture
def one():
    return 1

def test_fixture_twin1(one):
    observer.equal(1, one, 2)

@pytest.mark.parametrize("x", [1, 2])
def test_parameters_twin1(x):
    observer.truth(1, x > 1)

async def coroutine():
    observer.truth(1, True)

def test_coroutine_twin1():
    asyncio.run(coroutine())

class Test(unittest.TestCase):
    def setUp(self):
        self.x = 3
    def test_case_twin1(self):
        observer.equal(1, self.x, 3)

def test_fails_twin1():
    observer.truth(1, True)
    raise ValueError

def test_original():
    raise SystemExit
"""
    seen = suites.observed(tmp_path, {NAME: source})
    found = {name.rpartition("::")[2]: [json.loads(text) for text in each] for name, each in seen.items()}
    assert found == {
        "test_fixture_twin1": [["call passed", [["equal", 1, False, 1, 2]]]],
        "test_parameters_twin1": [["call passed", [["truth", 1, False]]], ["call passed", [["truth", 1, True]]]],
        "test_coroutine_twin1": [["call passed", [["truth", 1, True]]]],
        "test_case_twin1": [["call passed", [["equal", 1, True, 3, 3]]]],
        "test_fails_twin1": [["call failed", [["truth", 1, True]]]],
    }
    assert {name for name, each in seen.items() if not each.whole} == {f"{NAME}::test_fails_twin1"}


@pytest.mark.parametrize("body", ["while True:\n    pass\n", "import time\ntime.sleep(100)\n"])
def test_a_twin_that_takes_too_long_ends_alone(tmp_path, body):
    ((end, seen),) = runs(tmp_path, f"observer.truth(1, True)\n{body}", seconds=1)
    assert (end, seen) == ("call failed", [["truth", 1, True]])


def test_only_the_twins_that_are_asked_for_run(tmp_path):
    source = """
import observer, pytest

@pytest.mark.parametrize("x", ["a_twin1", "[", "::"])
def test_a_twin1(x):
    observer.truth(1, x)

def test_a_twin10():
    raise SystemExit

def test_a_twin2():
    raise SystemExit
"""
    wanted = f"{NAME}::test_a_twin1"
    seen = suites.observed(tmp_path, {NAME: source}, only=[wanted])
    assert {name: len(each) for name, each in seen.items()} == {wanted: 3}
