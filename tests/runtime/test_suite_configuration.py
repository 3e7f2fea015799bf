"""A repository's own configuration of pytest, in real runs: what stays of it, and what is left out by name."""

from pathlib import Path

import pytest

from models.suite import SuiteEnd, SuiteReport
from runtime.sandbox import Mount, open_sandbox
from runtime.testing import SuiteSetup
from runtime.testing.pytest_runner import run_suite
from tests.support.suites import LIMITS, SETUP, lay, statuses

pytestmark = pytest.mark.slow

IN_ORDER = """
SEEN = []
def test_0(): SEEN.append(0)
def test_1(): SEEN.append(1)
def test_2(): SEEN.append(2)
def test_3(): SEEN.append(3)
def test_all_in_order(): assert SEEN == [0, 1, 2, 3]
"""
WAVERS = """
COUNT = []
def test_wavers():
    COUNT.append(1)
    assert len(COUNT) == 2
"""
REPEATS = """
import pytest
from _pytest.runner import runtestprotocol
def pytest_addoption(parser):
    parser.getgroup("g").addoption("--reruns", type=int, default=0)
    parser.addini("reruns", "how often")
def pytest_configure(config):
    config.addinivalue_line("markers", "flaky(reruns): repeat")
def pytest_runtest_protocol(item, nextitem):
    mark = item.get_closest_marker("flaky")
    marked = mark.kwargs["reruns"] if mark else 0
    times = item.config.option.reruns or int(item.config.getini("reruns") or 0) or marked
    if not times:
        return None
    for _ in range(times + 1):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in reports):
            break
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
SHUFFLES = """
import os, random, pytest
def pytest_addoption(parser):
    group = parser.getgroup("randomly")
    group.addoption("--randomly-seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    group.addoption("--randomly-dont-reorganize", action="store_false", dest="reorganize", default=True)
def pytest_collection_modifyitems(config, items):
    if config.option.reorganize:
        items.reverse()
@pytest.fixture
def drawn(request):
    return random.Random(request.config.option.randomly_seed).random()
"""


@pytest.fixture
def with_plugin(tmp_path):
    """Run a suite with a distribution installed that registers a plugin."""

    def run(name: str, source: str, files: dict[str, str]) -> SuiteReport:
        extra = tmp_path / "extra"
        lay(extra, {
            f"pytest_{name}.py": source,
            f"pytest_{name}-3.2.dist-info/METADATA": f"Metadata-Version: 2.1\nName: pytest-{name}\nVersion: 3.2\n",
            f"pytest_{name}-3.2.dist-info/entry_points.txt": f"[pytest11]\n{name} = pytest_{name}\n",
        })  # fmt: skip
        mounts = (*SETUP.mounts, Mount(extra, extra))
        setup = SuiteSetup(SETUP.python, mounts, SETUP.import_roots, (extra,), plugins=(name,))
        return run_suite(open_sandbox(), lay(tmp_path / "tree", files), setup, limits=LIMITS)

    return run


def left_out(report: SuiteReport) -> str:
    return "\n".join(line for line in report.output.splitlines()[:2] if line.startswith("[options"))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts = --ff --doctest-modules --sw -vx --lf --cov=lib\n"),
        ("pytest.toml", "[pytest]\naddopts = ['--ff', '--doctest-modules', '--sw', '-vx', '--lf', '--cov', 'lib']\n"),
        ("pyproject.toml", "[tool.pytest]\naddopts = ['--ff', '--doctest-modules', '--sw', '-vx', '--lf', '--cov']\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '--cov lib --ff --doctest-modules --sw -vx --lf'\n"),
        ("setup.cfg", "[tool:pytest]\naddopts =\n    --ff --doctest-modules\n    --sw -vx --lf --cov=lib\n"),
        ("tox.ini", "[pytest]\naddopts = --ff --doctest-modules --sw -vx --lf --cov=lib\n"),
    ],
)  # fmt: skip
def test_only_single_options_are_left_out_and_each_is_named(suite, file: str, text: str) -> None:
    lib = 'def f():\n    """\n    >>> f()\n    1\n    """\n    return 1\n'
    report = suite({"lib.py": lib, "test_a.py": "def test_fails(): assert 0\ndef test_x(): pass\n", file: text})
    assert report.end is SuiteEnd.COMPLETED
    assert statuses(report) == {
        "lib.py::lib.f": "passed",
        "test_a.py::test_fails": "failed",
        "test_a.py::test_x": "passed",
    }
    assert all(f"{option}" in left_out(report) for option in ("--ff", "--sw", "-x", "--lf", "--cov"))
    assert "--doctest-modules" not in left_out(report)


def test_of_unknown_options_only_those_are_left_out(suite) -> None:
    files = {
        "conftest.py": "def pytest_addoption(parser): parser.addoption('--level', default='0')\n",
        "test_a.py": "def test_x(pytestconfig): assert pytestconfig.option.level == '3'\n",
        "pytest.ini": "[pytest]\naddopts = --timeout-of-no-plugin 5 --level 3 --none=1 --strict-markers\n",
    }
    report = suite(files)
    assert (report.end, statuses(report)) == (SuiteEnd.COMPLETED, {"test_a.py::test_x": "passed"})
    first = report.output.splitlines()[0]
    assert "--timeout-of-no-plugin 5" in first and "--none=1" in first
    assert "--level" not in first and "--strict-markers" not in first


def test_without_tolerance_unknown_options_are_refused_and_the_others_still_left_out(tmp_path: Path) -> None:
    tree = lay(
        tmp_path / "tree", {"test_a.py": "def test_x(): pass\n", "pytest.ini": "[pytest]\naddopts = --none --lf\n"}
    )
    assert run_suite(open_sandbox(), tree, SETUP, limits=LIMITS, restart=False).end is SuiteEnd.USAGE


@pytest.mark.parametrize(
    "ini",
    [
        "addopts = --strict-config\ncache_dir = .cache/tests\n",
        "addopts = -p no:doctest\n",
        "cache_dir = /nowhere/at/all\nfilterwarnings = error\n",
    ],
)
def test_the_cache_works_and_lies_outside_of_the_tree(suite, tmp_path: Path, ini: str) -> None:
    files = {
        "conftest.py": "def pytest_configure(config): config.cache.set('own/value', 7)\n",
        "test_a.py": "def test_x(cache): assert cache.get('own/value', 0) == 7\ndef test_fails(): assert 0\n",
        "pytest.ini": f"[pytest]\n{ini}",
    }
    report = suite(files)
    assert statuses(report) == {"test_a.py::test_x": "passed", "test_a.py::test_fails": "failed"}
    tree = tmp_path / "tree"
    assert {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()} == set(files)


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
def test_nothing_is_kept_in_the_cache_from_one_run_to_the_next(suite, kind: str) -> None:
    test = "def test_x(cache):\n    assert cache.get('own/value', 0) == 0\n    cache.set('own/value', 7)\n"
    assert statuses(suite({"test_a.py": test}, kind=kind)) == {"test_a.py::test_x": "passed"}
    assert statuses(suite({"test_a.py": test}, kind=kind)) == {"test_a.py::test_x": "passed"}


def test_the_report_is_written_though_the_repository_blocks_its_plugin(suite) -> None:
    report = suite({"test_a.py": "def test_x(): pass\n", "pytest.ini": "[pytest]\naddopts = -p no:junitxml\n"})
    assert (report.end, set(report.cases)) == (SuiteEnd.COMPLETED, {"test_a.py::test_x"})


@pytest.mark.parametrize("ini", ["addopts = --reruns 4", "addopts = --reruns=4 -q", "reruns = 4", ""])
def test_tests_are_not_repeated_until_they_pass(with_plugin, ini: str) -> None:
    mark = "" if ini else "import pytest\n@pytest.mark.flaky(reruns=4)"
    wavers = WAVERS.replace("def test", f"{mark}\ndef test")
    strict = "markers = none\nxfail_strict = true\n"
    report = with_plugin("rerunfailures", REPEATS, {"test_a.py": wavers, "pytest.ini": f"[pytest]\n{strict}{ini}\n"})
    assert statuses(report) == {"test_a.py::test_wavers": "failed"}
    assert "rerunfailures" in left_out(report)


@pytest.mark.parametrize(
    "ini",
    ["required_plugins = pytest-randomly>=3", "addopts = -p randomly --randomly-seed=77", "addopts = -p randomly"],
)
def test_a_plugin_that_shuffles_is_loaded_with_a_fixed_order_and_seed(with_plugin, tmp_path: Path, ini: str) -> None:
    draws = "\nimport pathlib\ndef test_draw(drawn): pathlib.Path('drawn').write_text(str(drawn))\n"
    files = {"test_a.py": IN_ORDER + draws, "pytest.ini": f"[pytest]\n{ini}\n"}
    drawn = set()
    for _ in range(2):
        report = with_plugin("randomly", SHUFFLES, files)
        assert report.end is SuiteEnd.COMPLETED
        assert set(statuses(report).values()) == {"passed"}
        drawn.add((tmp_path / "tree" / "drawn").read_text())
    assert len(drawn) == 1


def test_a_plugin_that_the_repository_blocks_is_not_in_force(with_plugin) -> None:
    blocked = "import pytest\n@pytest.fixture(autouse=True)\ndef breaks(): raise ValueError\n"
    report = with_plugin(
        "breaks", blocked, {"test_a.py": "def test_x(): pass\n", "pytest.ini": "[pytest]\naddopts = -p no:breaks\n"}
    )
    assert statuses(report) == {"test_a.py::test_x": "passed"}


def test_a_required_plugin_that_is_too_old_is_told_as_plain_pytest_would(with_plugin) -> None:
    ini = "[pytest]\nrequired_plugins = pytest-randomly>=99\n"
    report = with_plugin("randomly", SHUFFLES, {"test_a.py": "def test_x(): pass\n", "pytest.ini": ini})
    assert report.end is not SuiteEnd.COMPLETED
    assert "pytest-randomly>=99" in report.output


CASE = "import unittest\nclass Numbers(unittest.TestCase):\n    def test_one(self): self.assertEqual(1, 1)\n"


@pytest.mark.parametrize("path", ["test.py", "tests.py", "tests/all.py", "pkg/tests/figures.py"])
def test_tests_under_a_name_that_no_pattern_matches_run_where_there_are_no_others(suite, path: str) -> None:
    report = suite({path: CASE, "pkg/__init__.py": "", "tests/helper.py": "ONE = 1\n"})
    assert statuses(report) == {f"{path}::Numbers::test_one": "passed"}


def test_beside_tests_that_the_patterns_match_such_files_are_not_collected(suite) -> None:
    report = suite({"test.py": CASE, "tests/test_a.py": "def test_x(): pass\n"})
    assert set(report.cases) == {"tests/test_a.py::test_x"}
