"""Sentinels fail under a real run, whatever the module looks like."""

import pytest

from harness.validation.confirmation.sentinels import with_sentinels, without_sentinels
from models.suite import SuiteEnd
from tests.support import suites

PATH = "tests/test_x.py"
PLAIN = "def test_a():\n    assert 1 + 1 == 2\n"
MODULES = {
    "a function": (PLAIN, ["test_a"], {}),
    "no line end": (PLAIN.rstrip("\n"), ["test_a"], {}),
    "other line ends": (PLAIN.replace("\n", "\r\n"), ["test_a"], {}),
    "a mark of byte order": ("\ufeff" + PLAIN, ["test_a"], {}),
    "an encoding": ("# -*- coding: utf-8 -*-\nX = 'é'\n" + PLAIN, ["test_a"], {}),
    "imports from the future": ('"""Doc."""\nfrom __future__ import annotations\n' + PLAIN, ["test_a"], {}),
    "a list of names": ("__all__ = ['test_a']\n" + PLAIN, ["test_a"], {}),
    "parameters": (
        "import pytest\n@pytest.mark.parametrize(('x', 'y'), [(1, 2), (2, 3)], ids=['p', 'q'])\n"
        "def test_a(x, y):\n    assert x + 1 == y\n",
        ["test_a[p]", "test_a[q]"],
        {},
    ),
    "a fixture": (
        "import pytest\n@pytest.fixture\ndef one():\n    return 1\n\ndef test_a(one):\n    assert one == 1\n",
        ["test_a"],
        {},
    ),
    "a class": (
        "class TestA:\n    def setup_method(self):\n        self.x = 1\n\n"
        "    def test_a(self):\n        assert self.x == 1\n",
        ["TestA::test_a"],
        {},
    ),
    "classes in classes": (
        "class TestA:\n    class TestB:\n        def test_a(self):\n            assert 1 == 1\n",
        ["TestA::TestB::test_a"],
        {},
    ),
    "unittest": (
        "import unittest\nclass T(unittest.TestCase):\n    def setUp(self):\n        self.x = 1\n\n"
        "    def test_a(self):\n        self.assertEqual(self.x, 1)\n",
        ["T::test_a"],
        {},
    ),
    "a base class of tests": (
        "import unittest\nclass Base(unittest.TestCase):\n    pass\n\nclass MoreTests(Base):\n"
        "    def testA(self):\n        self.assertTrue(1)\n",
        ["MoreTests::testA"],
        {},
    ),
    "a coroutine": (
        "import asyncio\nasync def f():\n    return 1\n\ndef test_a():\n    assert asyncio.run(f()) == 1\n",
        ["test_a"],
        {},
    ),
    "functions of other names": (
        "def check_a():\n    assert 1 == 1\n",
        ["check_a"],
        {"pytest.ini": "[pytest]\npython_functions = check_*\n"},
    ),
    "names without an underscore": ("def testA():\n    assert 1 == 1\n", ["testA"], {}),
    "an indented end": ("if True:\n    def test_a():\n        assert 1 == 1\n    # the end", ["test_a"], {}),
    "a comment at the end": (PLAIN + "# the end", ["test_a"], {}),
}


@pytest.mark.parametrize("name", MODULES)
def test_every_sentinel_fails_and_no_test_is_disturbed(tmp_path, name):
    source, tests, others = MODULES[name]
    made = with_sentinels(PATH, source, [f"{PATH}::{test}" for test in tests])
    report = suites.run(tmp_path, {PATH: made.source, **others})
    assert report.end is SuiteEnd.COMPLETED, report.output
    rest, passed, failed = without_sentinels(report, made.failing)
    assert passed == []
    assert failed == set(made.failing)
    assert len(failed) >= 3
    assert rest.passed == set(rest.cases) == {f"{PATH}::{test}" for test in tests}


@pytest.mark.parametrize("mark", ["skip", "xfail"])
def test_sentinels_of_a_module_that_is_left_out_do_not_fail_as_they_must(tmp_path, mark):
    source = f"import pytest\npytestmark = pytest.mark.{mark}\n{PLAIN}"
    made = with_sentinels(PATH, source, [f"{PATH}::test_a"])
    _, passed, failed = without_sentinels(suites.run(tmp_path, {PATH: made.source}), made.failing)
    assert (passed, failed) == (sorted(made.failing), set())


def test_sentinels_that_pass_are_told(tmp_path):
    made = with_sentinels(PATH, PLAIN, [f"{PATH}::test_a"])
    conftest = "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n"
    _, passed, failed = without_sentinels(
        suites.run(tmp_path, {PATH: made.source, "conftest.py": conftest}), made.failing
    )
    assert (set(passed), failed) == (set(made.failing), set())


def test_an_object_that_equals_everything_passes_a_sentinel(tmp_path):
    source = (
        "class Any:\n    def __eq__(self, other):\n        return True\n\n\n"
        "def test_a():\n    assert Any() == 1\n\n\ndef test_b():\n    assert 2 == Any()\n"
    )
    made = with_sentinels(PATH, source, [f"{PATH}::test_a", f"{PATH}::test_b"])
    _, passed, _ = without_sentinels(suites.run(tmp_path, {PATH: made.source}), made.failing)
    assert len(passed) == 2


def test_a_module_that_does_not_parse_has_none():
    for source in ("def test_a(:\n", "x = '\0'\n"):
        assert with_sentinels(PATH, source, [f"{PATH}::test_a"]).failing == {}


def test_names_are_never_the_same_twice():
    one, other = (with_sentinels(PATH, PLAIN, [f"{PATH}::test_a"]) for _ in range(2))
    assert not set(one.failing) & set(other.failing)
