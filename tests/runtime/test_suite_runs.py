"""Real pytest suites, run in a real sandbox with the interpreter that runs these tests."""

import pytest

from models.limits import MIB
from models.suite import SuiteEnd
from runtime.sandbox import Mount
from runtime.testing import Selection, SuiteSetup
from tests.support.suites import SETUP, statuses

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
def test_a_suite_runs_against_the_work_tree_and_leaves_no_trace_in_it(suite, tmp_path, kind):
    files = {
        "src/lib.py": "def f(): return 1\n",
        "tests/test_a.py": "from lib import f\ndef test_f(): assert f() == 1\n",
    }
    report = suite(files, kind=kind)
    assert (report.end, report.exit_code) == (SuiteEnd.COMPLETED, 0)
    assert statuses(report) == {"tests/test_a.py::test_f": "passed"}
    left = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*") if path.is_file()}
    assert left == set(files)


def test_every_outcome_has_its_status(suite):
    report = suite(
        {
            "test_a.py": """
import pytest, unittest
@pytest.fixture
def breaks():
    raise ValueError("before")
@pytest.fixture
def breaks_later():
    yield
    raise ValueError("after")
def test_passes(): pass
def test_fails(): assert 1 == 2, "reason"
def test_setup_error(breaks): pass
def test_teardown_error(breaks_later): pass
def test_fails_and_teardown_error(breaks_later): assert 0
@pytest.mark.skip(reason="why")
def test_skipped(): pass
@pytest.mark.xfail
def test_xfails(): assert 0
@pytest.mark.xfail
def test_xpasses(): pass
@pytest.mark.xfail(strict=True)
def test_xpasses_strictly(): pass
class Case(unittest.TestCase):
    def test_subtests(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)
"""
        }
    )
    assert report.end is SuiteEnd.COMPLETED
    assert statuses(report) == {
        "test_a.py::test_passes": "passed",
        "test_a.py::test_fails": "failed",
        "test_a.py::test_setup_error": "error",
        "test_a.py::test_teardown_error": "error",
        "test_a.py::test_fails_and_teardown_error": "error",
        "test_a.py::test_skipped": "skipped",
        "test_a.py::test_xfails": "xfailed",
        "test_a.py::test_xpasses": "passed",
        "test_a.py::test_xpasses_strictly": "failed",
        "test_a.py::Case::test_subtests": "failed",
    }
    assert "reason" in report.cases["test_a.py::test_fails"].message
    assert report.cases["test_a.py::test_skipped"].message == "why"


def test_ids_are_those_that_pytest_gives(suite, tmp_path):
    values = ["a::b", "a/b.py", "]", "[", "", "é", "\x1b", "#x1B", "\n", " ", "<&>", "\\", "a" * 300]
    report = suite(
        {
            "pkg/test_a.py": f"""
import pytest
VALUES = {values!r}
@pytest.mark.parametrize("x", VALUES)
def test_p(x): pass
@pytest.mark.parametrize("x", VALUES)
class TestOuter:
    class TestInner:
        def test_n(self, x): pass
""",
            "conftest.py": """
def pytest_collection_finish(session):
    open("ids", "w", encoding="utf-8").write("\\0".join(item.nodeid for item in session.items))
""",
            "pytest.ini": """
[pytest]
disable_test_id_escaping_and_forfeit_all_rights_to_community_support = True
""",
        }
    )
    given = (tmp_path / "tree" / "ids").read_text(encoding="utf-8").split("\0")
    assert len(given) == 2 * len(values)
    assert report.passed == set(given)


def test_modules_that_cannot_be_collected_are_no_cases(suite):
    report = suite(
        {
            "tests/test_import.py": "import no_such_module\n",
            "tests/test_syntax.py": "def f(:\n",
            "tests/test_skips.py": "import pytest\npytest.importorskip('no_such_module')\n",
            "tests/test_good.py": "def test_good(): pass\n",
        }
    )
    assert report.end is SuiteEnd.COMPLETED
    assert set(report.collection_errors) == {"tests/test_import.py", "tests/test_syntax.py"}
    assert "no_such_module" in report.collection_errors["tests/test_import.py"]
    assert statuses(report) == {"tests/test_good.py::test_good": "passed", "tests/test_skips.py": "skipped"}


def test_doctests_keep_their_ids(suite):
    lib = 'def f():\n    """\n    >>> f()\n    1\n    """\n    return 1\n'
    report = suite({"src/lib.py": lib, "pytest.ini": "[pytest]\naddopts = --doctest-modules\n"})
    assert statuses(report) == {"src/lib.py::lib.f": "passed"}


def test_a_repository_configured_from_a_folder_keeps_ids_relative_to_the_tree(suite):
    report = suite(
        {"tests/pytest.ini": "[pytest]\n", "tests/test_a.py": "def test_a(): pass\n"},
        Selection(only=("tests/test_a.py",)),
    )
    assert set(report.cases) == {"tests/test_a.py::test_a"}


def test_the_last_of_equal_ids_does_not_hide_a_failure(suite):
    report = suite(
        {
            "test_a.py": """
def test_x(): assert 0
failing = test_x
""",
            "conftest.py": """
def pytest_collection_modifyitems(items):
    passing = type(items[0]).from_parent(items[0].parent, name="test_x", callobj=lambda: None)
    items.append(passing)
""",
        }
    )
    assert statuses(report) == {"test_a.py::test_x": "failed"}


ORDER = {
    "tests/test_a.py": "def test_1(): pass\ndef test_2(): pass\n",
    "tests/test_b.py": "def test_1(): pass\ndef test_2(): assert 0\n",
    "tests/test_c.py": "def test_1(): pass\n",
}
ALL = {f"tests/test_{name}::test_{n}" for name, n in [("a.py", 1), ("a.py", 2), ("b.py", 1), ("b.py", 2), ("c.py", 1)]}
B1, B2 = "tests/test_b.py::test_1", "tests/test_b.py::test_2"


def test_first_files_run_first_and_the_order_is_otherwise_kept(suite, tmp_path):
    conftest = "def pytest_runtest_setup(item): open('order', 'a').write(item.nodeid + '\\n')\n"
    report = suite({**ORDER, "conftest.py": conftest}, Selection(first=("tests/test_b.py",)))
    assert set(report.cases) == ALL
    order = (tmp_path / "tree" / "order").read_text().split()
    assert order == [B1, B2, *sorted(ALL - {B1, B2})]


@pytest.mark.parametrize(
    ("selection", "seen"),
    [
        (Selection(first=("tests/test_b.py",), stop="after-first"), {B1, B2}),
        (Selection(first=("tests/test_b.py",), stop="if-required-fail", required=(B1,)), ALL),
        (Selection(first=("tests/test_b.py",), stop="if-required-fail", required=(B1, B2)), {B1, B2}),
        (
            Selection(first=("tests/test_b.py",), stop="if-required-fail", required=("gone.py::test_x",)),
            {B1, B2},
        ),
        (Selection(first=("gone.py",), stop="if-required-fail", required=("gone.py::test_x",)), set()),
        (Selection(only=("tests/test_b.py", "tests/test_c.py")), {B1, B2, "tests/test_c.py::test_1"}),
    ],
)
def test_a_run_stops_where_the_selection_says(suite, selection, seen):
    report = suite(ORDER, selection)
    assert (report.end, set(report.cases)) == (SuiteEnd.COMPLETED, seen)


def test_a_required_test_that_breaks_in_teardown_has_not_passed(suite):
    files = {
        "test_a.py": "import pytest\n@pytest.fixture\ndef bad():\n  yield\n  1 / 0\ndef test_x(bad): pass\n",
        "test_b.py": "def test_y(): pass\n",
    }
    report = suite(files, Selection(first=("test_a.py",), stop="if-required-fail", required=("test_a.py::test_x",)))
    assert set(report.cases) == {"test_a.py::test_x"}


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("import os\ndef test_x(): os._exit(0)\n", SuiteEnd.CRASHED),
        ("import os\nos._exit(0)\n", SuiteEnd.CRASHED),
        ("import ctypes\ndef test_x(): ctypes.string_at(0)\n", SuiteEnd.CRASHED),
        ("import pytest\ndef test_x(): pytest.exit('enough')\n", SuiteEnd.CRASHED),
        ("import pytest\ndef test_x(): pytest.exit('enough', returncode=0)\n", SuiteEnd.CRASHED),
        ("def test_x(): raise KeyboardInterrupt\n", SuiteEnd.CRASHED),
        ("import atexit, os\natexit.register(os._exit, 0)\ndef test_x(): assert 0\n", SuiteEnd.CRASHED),
        ("x = 1\n", SuiteEnd.NO_TESTS),
    ],
)
def test_an_end_that_is_none_is_not_a_completed_run(suite, text, ending):
    report = suite({"test_a.py": "def test_first(): pass\n" if ending is SuiteEnd.CRASHED else "", "test_b.py": text})
    assert report.end is ending


def test_an_internal_error_of_pytest_is_a_crash(suite):
    conftest = "def pytest_runtest_protocol(item, nextitem): raise ValueError('plugin')\n"
    report = suite({"test_a.py": "def test_x(): pass\n", "conftest.py": conftest})
    assert (report.end, report.exit_code) == (SuiteEnd.CRASHED, 3)


def test_a_conftest_that_breaks_is_a_usage_error(suite):
    report = suite({"conftest.py": "import no_such_module\n", "test_a.py": "def test_x(): pass\n"})
    assert report.end is SuiteEnd.USAGE
    assert "no_such_module" in report.output


def test_options_for_a_plugin_that_is_missing_are_dropped_and_that_is_said(suite):
    ini = "[pytest]\naddopts = --no-such-plugin-option=x -p no:doctest\n"
    report = suite({"test_a.py": "def test_x(): pass\n", "pytest.ini": ini})
    assert (report.end, set(report.cases)) == (SuiteEnd.COMPLETED, {"test_a.py::test_x"})
    assert "--no-such-plugin-option=x" in report.output.splitlines()[0]


def test_options_that_end_a_run_early_do_not(suite):
    ini = "[pytest]\naddopts = -x --maxfail=1\n"
    report = suite({"test_a.py": "def test_1(): assert 0\ndef test_2(): pass\n", "pytest.ini": ini})
    assert statuses(report) == {"test_a.py::test_1": "failed", "test_a.py::test_2": "passed"}


def test_a_hang_ends_as_a_timeout_with_what_is_known(suite):
    text = "import time\ndef test_1(): pass\ndef test_2(): assert 0\ndef test_3(): time.sleep(300)\n"
    report = suite({"test_a.py": text}, wall_seconds=4)
    assert report.end is SuiteEnd.TIMEOUT
    assert statuses(report) == {"test_a.py::test_1": "passed", "test_a.py::test_2": "failed"}


def test_a_flood_of_output_and_a_memory_hog_have_their_ends(suite):
    flood = "import os\ndef test_x():\n    while True: os.write(2, b'x' * 65536)\n"
    report = suite({"test_a.py": flood, "pytest.ini": "[pytest]\naddopts = -s\n"}, output_bytes=MIB)
    assert report.end is SuiteEnd.OUTPUT_LIMIT
    hog = "import time\ndef test_x():\n    hog = [b'x' * 2**20 for _ in range(800)]\n    time.sleep(300)\n"
    report = suite({"test_a.py": hog}, memory_bytes=300 * MIB)
    assert report.end is SuiteEnd.CRASHED
    assert "[killed: memory-limit]" in report.output


def test_the_hash_seed_time_zone_and_order_are_fixed(suite):
    text = """
import os, time
def test_it():
    assert os.environ["PYTHONHASHSEED"] == "0"
    assert time.tzname == ("UTC", "UTC")
    assert os.environ["LC_ALL"] == "C.UTF-8"
"""
    assert len(suite({"test_a.py": text}).passed) == 1


def test_command_words_are_kept(suite):
    setup = SuiteSetup(SETUP.python, SETUP.mounts, SETUP.import_roots, command=("python", "-m", "pytest", "-k", "yes"))
    report = suite({"test_a.py": "def test_yes(): pass\ndef test_no(): pass\n"}, setup=setup)
    assert set(report.cases) == {"test_a.py::test_yes"}


def test_extra_path_comes_after_the_import_roots(suite, tmp_path):
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "lib.py").write_text("where = 'extra'\n")
    (extra / "other.py").write_text("where = 'extra'\n")
    setup = SuiteSetup(SETUP.python, (*SETUP.mounts, Mount(extra, extra)), SETUP.import_roots, (extra,))
    test = "import lib, other\ndef test_x(): assert (lib.where, other.where) == ('tree', 'extra')\n"
    assert suite({"src/lib.py": "where = 'tree'\n", "test_a.py": test}, setup=setup).passed
