"""Commits of which no test can fail before and pass after, as their texts show."""

from pathlib import Path

import pytest

from harness.mining import mine
from harness.mining.indistinct import SAME_CODE, SAME_TESTS, indistinct
from harness.packages.locking import find_environments
from harness.packages.prepare import select
from models.manifest import InvalidReason
from tests.support.mining_history import entry, write_history

CODE = {"pkg.py": "def f():\n    return 1\n"}
CHANGED = {"pkg.py": "def f():\n    return 2\n"}
TESTS = """\
import unittest
import warnings

from pkg import f


def helper(value):
    return value


def test_one():
    assert f() == helper(1)


class FTest(unittest.TestCase):
    def test_two(self):
        with warnings.catch_warnings():
            self.assertTrue(f())
"""


def why(folder: Path, before: str, after: str, *, code: dict[str, str] = CHANGED, name: str = "tests/test_f.py") -> str:
    """What is said of a commit that changes a test module from one text to another."""
    first = entry("Add the function f", CODE, {name: before})
    git = write_history(folder / "repo", [first, entry("Return another number from f", code, {name: after})])
    (commit,) = [each for each in mine(git).commits if each.subject.startswith("Return")]
    return indistinct(git, commit)


SAME = {
    "a test is removed": TESTS.replace("def test_one():\n    assert f() == helper(1)\n", ""),
    "a test and its import are removed": TESTS.partition("class FTest")[0].replace("import warnings\n", ""),
    "comments": TESTS.replace("def helper", "# a helper\ndef helper") + "# end\n",
    "layout": TESTS.replace("f() == helper(1)", "(f() ==\n        helper(1))"),
    "docstring of a test": TESTS.replace("test_one():\n", 'test_one():\n    """One."""\n'),
    "annotations": "import typing as t\n"
    + TESTS.replace("test_one():", "test_one() -> None:").replace("helper(value):", "helper(value: t.Any) -> t.Any:"),
    "imports for types": "import typing as t\nif t.TYPE_CHECKING:\n    from pkg import T\n" + TESTS,
}

OTHER = {
    "a test is added": TESTS + "\n\ndef test_three():\n    assert f() == 2\n",
    "an assertion changes": TESTS.replace("helper(1)", "helper(2)"),
    "a helper changes": TESTS.replace("return value", "return value + 1"),
    "the name that is imported changes": TESTS.replace("from pkg import f", "from pkg import g as f"),
    "a mark at the top is removed": TESTS,
    "a decorator is added": TESTS.replace("def test_one", "@mark\ndef test_one"),
    "an annotated helper that is decorated": TESTS.replace("def helper(value)", "@typed\ndef helper(value: int)"),
    "a class of a test": TESTS.replace("    assert f()", "    class A:\n        x: int = 1\n    assert f()"),
    "not of this Python": TESTS + "\nprint 'x'\n",
}


@pytest.mark.parametrize("after", SAME.values(), ids=SAME)
def test_what_no_test_can_notice(tmp_path: Path, after: str) -> None:
    assert why(tmp_path, TESTS, after) == SAME_TESTS


@pytest.mark.parametrize(("what", "after"), OTHER.items(), ids=OTHER)
def test_what_a_test_may_notice(tmp_path: Path, what: str, after: str) -> None:
    before = TESTS + "\npytestmark = skip\n" if "mark at the top" in what else TESTS
    assert why(tmp_path, before, after) == ""


def test_a_removed_test_may_have_hidden_another_of_its_name(tmp_path: Path) -> None:
    hidden = "def test_one():\n    assert f() == 2\n\n\n"
    assert why(tmp_path, hidden + TESTS, TESTS.replace("assert f() == helper(1)", "assert f() == 2")) == ""
    inherits = TESTS.replace("unittest.TestCase", "Shared")
    assert why(tmp_path / "2", inherits, inherits.partition("    def test_two")[0] + "    pass\n") == ""


def test_local_annotations_are_never_evaluated(tmp_path: Path) -> None:
    before = "from pkg import f\n\n\ndef test_one():\n    x = f()\n    assert x\n"
    assert why(tmp_path, before, before.replace("x = f()", "x: int = f()")) == SAME_TESTS


def test_new_files_and_helpers_are_noticed(tmp_path: Path) -> None:
    assert why(tmp_path, "", TESTS) == ""
    assert why(tmp_path / "2", "X = 1\nY = 2\n", "X = 1\n", name="tests/conftest.py") == ""


def test_code_that_is_only_laid_out_anew_changes_nothing(tmp_path: Path) -> None:
    laid_out = {"pkg.py": "# f\ndef f():\n    return (1)\n"}
    assert why(tmp_path, TESTS, OTHER["a test is added"], code=laid_out) == SAME_CODE
    documented = {"pkg.py": 'def f():\n    """One."""\n    return 1\n'}
    assert why(tmp_path / "2", TESTS, OTHER["a test is added"], code=documented) == ""


def test_such_commits_do_not_count_and_are_listed_with_their_reason(tmp_path: Path) -> None:
    first = entry("Add the function f", CODE, {"tests/test_f.py": TESTS})
    real = entry("Return another number from f", CHANGED, {"tests/test_f.py": OTHER["a test is added"]})
    typed = entry("Return a third number from f", CODE, {"tests/test_f.py": OTHER["a test is added"] + "# end\n"})
    git = write_history(tmp_path / "repo", [first, real, typed])
    chosen = select(mine(git), 1, git)
    assert [commit.subject for commit in chosen] == [typed.message, real.message]
    (candidate,) = find_environments(git, chosen[:1], tmp_path / "packages", tmp_path / "cache")
    assert (candidate.environment, candidate.reason) == (None, InvalidReason.INDISTINCT)
