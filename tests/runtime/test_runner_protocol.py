"""Test runners behind their protocol: found by the setup, reporting per test id, steered by files that they know."""

from pathlib import Path

import pytest

from models.suite import SuiteEnd
from runtime.sandbox import open_sandbox
from runtime.testing import RUNNERS, file_of, runner_of, without_parameters
from tests.support.suites import LIMITS, SETUP, lay

CALC = """
import pytest


class TestSum:
    @pytest.mark.parametrize("number", [1, 2])
    def test_of_one(self, number):
        assert sum([number]) == 1


def test_of_none():
    import nowhere
"""


def test_a_run_reports_each_test_by_its_id(tmp_path: Path) -> None:
    tree = lay(tmp_path / "tree", {"tests/test_calc.py": CALC})
    runner = runner_of(SETUP)
    report = runner.run(open_sandbox(), tree, SETUP, limits=LIMITS)
    assert report.end is SuiteEnd.COMPLETED
    names = {"TestSum::test_of_one[1]", "TestSum::test_of_one[2]", "test_of_none"}
    assert set(report.cases) == {f"tests/test_calc.py::{name}" for name in names}
    assert report.passed == {"tests/test_calc.py::TestSum::test_of_one[1]"}
    wrong, missing = (
        report.cases[f"tests/test_calc.py::{name}"] for name in ("TestSum::test_of_one[2]", "test_of_none")
    )
    assert (runner.is_assertion(wrong), runner.is_import_error(wrong)) == (True, False)
    assert (runner.is_assertion(missing), runner.is_import_error(missing)) == (False, True)
    assert not runner.refused_options(report) and not runner.restarted(report)


@pytest.mark.parametrize("name", RUNNERS)
def test_what_steers_a_runner_is_read_from_the_files_it_names(name: str) -> None:
    runner = RUNNERS[name]
    asked: set[str] = set()

    def read(path: str) -> bytes | None:
        asked.add(path)
        return None

    bare = runner.configuration(read)
    assert asked == set(runner.configuration_files)
    first = runner.configuration_files[0]
    assert runner.configuration(lambda path: b"[pytest]\naddopts = -x\n" if path == first else None) != bare


def test_ids_are_taken_apart_in_one_way() -> None:
    test = "tests/test_a.py::TestA::test_b[x::y]"
    assert (file_of(test), without_parameters(test)) == ("tests/test_a.py", "tests/test_a.py::TestA::test_b")


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("tests/test_a.py::test_b", False),
        ("tests/test_a.py::TestA::test_b[1.5]", False),
        ("tests/test_a.py::test_b[1.5]", False),
        ("tests/test_a.py::tests.test_a.helper", True),
        ("src/pkg/a.py::pkg.a.f", True),
        ("README.md::README.md", True),
        ("src/pkg/a.py::line:185,column:1", True),
    ],
)
def test_doctests_are_told_from_tests_of_modules(test: str, expected: bool) -> None:
    assert runner_of(SETUP).is_doctest(test) is expected
