"""The eight measures of error handling, on small texts whose counts are known, and on hostile ones."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repos.index.error_handling import (
    Handling,
    Measure,
    UnreadableCode,
    read_code,
    read_handling,
)
from repos.index.fail_fast import WEIGHTS, measured, score, value


def handling(text: str) -> Handling:
    return read_handling(read_code(textwrap.dedent(text)))


def counts(text: str, measure: Measure) -> tuple[int, int]:
    """Good forms, and chances."""
    found = handling(text)
    return found.good[measure], found.chances[measure]


HANDLERS = """
def f():
    try:
        g()
    except ValueError as error:
        raise OwnError("f") from error
    except (KeyError, Exception):
        log()
    except BaseException:
        undo()
        raise
    except:
        pass
"""


@pytest.mark.parametrize(
    ("measure", "expected"),
    [(Measure.BARE, (3, 4)), (Measure.BLIND, (2, 3)), (Measure.SILENT, (3, 4)), (Measure.CHAINING, (1, 1))],
)
def test_handlers_are_counted_by_what_they_catch_and_do(measure: Measure, expected: tuple[int, int]) -> None:
    assert counts(HANDLERS, measure) == expected


def test_lines_that_lower_a_measure_are_named() -> None:
    found = [(fault.line, fault.measure, fault.what) for fault in handling(HANDLERS).faults]
    assert found == [
        (7, Measure.BLIND, "except (KeyError, Exception):"),
        (12, Measure.BARE, "except:"),
        (12, Measure.SILENT, "except: pass"),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("raise OwnError('x')", (1, 1)),
        ("raise errors.OwnError", (1, 1)),
        ("raise ValueError('x')", (1, 1)),
        ("raise Exception('x')", (0, 1)),
        ("raise RuntimeError", (0, 1)),
        ("raise NotImplementedError", (0, 0)),
        ("raise StopIteration", (0, 0)),
        ("raise make_error('x')", (0, 0)),
        ("raise error", (0, 0)),
        ("raise", (0, 0)),
    ],
)
def test_a_raise_is_specific_unless_its_type_says_nothing(line: str, expected: tuple[int, int]) -> None:
    assert counts(f"def f(error):\n    {line}\n", Measure.SPECIFIC) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("raise A from error", (1, 1)),
        ("raise A from None", (1, 1)),
        ("raise A", (0, 1)),
        ("raise error", (0, 0)),
        ("raise", (0, 0)),
        ("(lambda: g())()", (0, 0)),
    ],
)
def test_a_new_exception_in_a_handler_has_a_cause(line: str, expected: tuple[int, int]) -> None:
    assert counts(f"try:\n    g()\nexcept B as error:\n    {line}\n", Measure.CHAINING) == expected


def test_a_function_inside_a_handler_is_outside_it() -> None:
    text = "try:\n    g()\nexcept B:\n    def f():\n        raise A\n"
    assert counts(text, Measure.CHAINING) == (0, 0)
    assert counts("try:\n    g()\nexcept Exception:\n    def f():\n        raise A\n", Measure.BLIND) == (0, 1)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("d['k']", (1, 1)),
        ("d.get('k')", (0, 1)),
        ("d.get('k', 0)", (0, 1)),
        ("d['k'] = 1", (0, 0)),
        ("d[k]", (0, 0)),
        ("d.get(k)", (0, 0)),
        ("client.get('/path')", (0, 0)),
        ("x: Literal['k'] = d", (0, 0)),
        ("x = Literal['k']", (0, 0)),
        ("x = list['Own']", (0, 0)),
    ],
)
def test_a_key_is_required_or_has_a_default(line: str, expected: tuple[int, int]) -> None:
    assert counts(line + "\n", Measure.KEYS) == expected


def test_annotations_of_functions_are_no_look_ups() -> None:
    assert counts("def f(a: 'x'['k'] = d['k']) -> y['k']: ...\n", Measure.KEYS) == (1, 1)


def test_densities_count_statements_in_functions_without_their_docstrings() -> None:
    text = '''
    assert outside
    def f(x):
        """Text."""
        assert x
        if x:
            raise A
        return x
    '''
    assert counts(text, Measure.ASSERTS) == (1, 4)
    assert counts(text, Measure.RAISES) == (1, 4)


@pytest.mark.parametrize("name", ["suppress", "contextlib.suppress"])
def test_suppression_is_a_handler_that_does_nothing(name: str) -> None:
    text = f"with {name}(OSError):\n    g()\nwith {name}(Exception):\n    g()\n"
    assert [counts(text, each) for each in (Measure.BARE, Measure.BLIND, Measure.SILENT)] == [(2, 2), (1, 2), (0, 2)]


def test_exception_groups_are_handlers_too() -> None:
    assert counts("try:\n    g()\nexcept* ValueError:\n    pass\n", Measure.SILENT) == (0, 1)


def test_the_weights_make_a_hundred_and_a_value_is_a_mean_of_a_beta_distribution() -> None:
    assert sum(WEIGHTS.values()) == 100
    found = handling(HANDLERS)
    assert value(Measure.BARE, found) == (3 + 2) / (4 + 4)
    assert value(Measure.KEYS, found) == 0.5
    assert value(Measure.RAISES, found) == (2 / 0.085 + 20) / (7 + 40)
    assert score(found) == pytest.approx(sum(WEIGHTS[each.measure] * each.value for each in measured(found)))


def test_code_with_little_to_count_scores_near_fifty() -> None:
    assert score(Handling()) == 50
    assert score(handling("def f():\n    return 1\n")) == pytest.approx(50, abs=0.5)
    much = "".join(f"def f{n}(x):\n    try:\n        g()\n    except:\n        pass\n" for n in range(100))
    assert score(handling(much)) < 30
    good = "def f(x):\n    assert x\n    try:\n        g(x['k'])\n    except A as error:\n        raise B from error\n"
    assert score(handling(good * 100)) > 95


statements = st.sampled_from(
    [
        "try:\n    g()\nexcept ValueError:\n    pass",
        "try:\n    g()\nexcept Exception:\n    log()",
        "try:\n    g()\nexcept:\n    raise A",
        "raise Exception",
        "raise OwnError",
        "assert x",
        "d['k']",
        "d.get('k')",
        "g()",
    ]
)
bare = st.sampled_from(["pass", "log()", "return", "x = 1"])


@given(st.lists(statements, max_size=12), bare, st.integers(0, 12))
def test_adding_a_bare_except_never_raises_the_score(body: list[str], inside: str, place: int) -> None:
    def text(parts: list[str]) -> str:
        return "def f(x, d):\n" + textwrap.indent("\n".join([*parts, "return"]), "    ") + "\n"

    added = f"try:\n    h()\nexcept:\n    {inside}"
    assert score(handling(text([*body[:place], added, *body[place:]]))) <= score(handling(text(body)))


@given(st.lists(statements, min_size=1, max_size=8))
def test_a_value_lies_between_nothing_and_one(body: list[str]) -> None:
    text = "def f(x, d):\n" + textwrap.indent("\n".join(body), "    ") + "\n"
    assert all(0 <= each.value <= 1 for each in measured(handling(text)))


@pytest.mark.parametrize(
    "content",
    [
        b"x = 1\0\n",
        b"x = '\xff'\n",
        b"# coding: no-such-thing\nx = 1\n",
        b"except X, e:\n",
        b"(" * 100_000,
        b"x = " + b"-" * 100_000 + b"1\n",
        b"x = " + b"[" * 150 + b"]" * 150 + b"\n",
        b"x = a" + b".b" * 50_000 + b"\n",
    ],
    ids=["nul", "undecodable", "coding", "python2", "parentheses", "signs", "brackets", "attributes"],
)
def test_what_does_not_parse_is_refused_in_one_line(content: bytes) -> None:
    try:
        read_handling(read_code(content))
    except UnreadableCode as error:
        assert str(error)
        assert "\n" not in str(error)
    else:
        assert content.startswith(b"x = [")


def test_depth_that_parses_is_walked() -> None:
    text = "\n".join(f"{' ' * depth}if x:" for depth in range(95)) + "\n" + " " * 95 + "raise Exception\n"
    assert counts(text, Measure.SPECIFIC) == (0, 1)
    assert counts("x = " + "+".join(["d.get('k')"] * 500) + "\n", Measure.KEYS) == (0, 500)


def test_bytes_are_decoded_as_they_declare() -> None:
    found = read_handling(read_code("# coding: latin-1\nraise Exception('é')\n".encode("latin-1")))
    assert found.faults[0].what == "raise Exception('é')"
