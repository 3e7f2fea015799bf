"""What the watcher of a judged run sees, and what it does not mind, in real runs."""

import textwrap
from dataclasses import replace

import pytest

from models.suite import SuiteEnd
from runtime.sandbox import open_sandbox
from runtime.testing.pytest_runner import run_suite
from runtime.testing.pytest_runner.guard import Guard
from tests.support import suites

pytestmark = pytest.mark.slow

TEST = "tests/test_lib.py"
CALLS = "from lib import f\n\n\ndef test_f():\n    f()\n\n\ndef test_g():\n    assert 1 == 1\n"

DEEDS = {
    "runner": [
        "import _pytest.python\ndef f():\n    _pytest.python.Function.runtest = lambda self: None\n",
        "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\ndef f():\n    pass\n",
        "import pytest\ndef f():\n    pytest.raises = None\n",
        "import unittest\ndef f():\n    unittest.TestCase.assertEqual = lambda *a: None\n",
        "import builtins\ndef f():\n    builtins.AssertionError = Warning\n",
        """
        import gc
        def f():
            from _pytest.python import Function
            for each in gc.get_objects():
                if type(each) is Function:
                    each.runtest = lambda: None
        """,
    ],
    "frames": [
        "import sys\ndef f():\n    return sys._getframe(1).f_locals\n",
        "import inspect\ndef f():\n    return inspect.stack()[1].frame.f_code\n",
        "import inspect\ndef f():\n    return inspect.currentframe().f_back.f_code\n",
        "import traceback\ndef f():\n    return traceback.extract_stack()\n",
        "import traceback\ndef f():\n    return traceback.format_stack()\n",
        "def f():\n    return (lambda: (yield))().gi_frame\n",
        """
        def f():
            try:
                raise ValueError
            except ValueError as error:
                return error.__traceback__.tb_frame.f_back.f_code
        """,
    ],
    "objects": [
        "import gc\ndef f():\n    return gc.get_objects()\n",
        "import gc\ndef f():\n    return gc.get_referrers(f)\n",
    ],
    "tests": [
        "def f():\n    return open('tests/test_lib.py').read()\n",
        "import pathlib\ndef f():\n    pathlib.Path('tests/test_lib.py').write_text('')\n",
        "import os\ndef f():\n    os.rename('tests/test_lib.py', 'tests/other.py')\n",
        "import linecache\ndef f():\n    return linecache.getlines('tests/test_lib.py')\n",
    ],
    "rewritten": [
        "import subprocess\ndef f():\n    subprocess.run(['sed', '-i', 's/1/2/', 'tests/test_lib.py'])\n",
        "import subprocess\ndef f():\n    subprocess.run(['touch', 'tests/test_lib.py'])\n",
    ],
    "report": [
        "import glob\ndef f():\n    for path in glob.glob('/cra/*/results'):\n        open(path + '/x', 'w').close()\n"
    ],
    "name": ["import sys\ndef f():\n    compile('1', sys.prefix + '/lib/x.py', 'eval')\n"],
    "trace": [
        "import sys\ndef f():\n    sys.settrace(lambda *a: None)\n    sys.settrace(None)\n",
        "import sys\ndef f():\n    sys.setprofile(lambda *a: None)\n    sys.setprofile(None)\n",
    ],
    "hook": ["import sys\ndef f():\n    sys.addaudithook(lambda *a: None)\n"],
    "code": [
        "import _pytest.runner\ndef f():\n    _pytest.runner.call_and_report.__code__ = f.__code__\n",
        """
        import sys
        def g():
            return 1
        def f():
            sys.modules["test_lib"].test_g.__code__ = g.__code__
        """,
    ],
    "memory": [
        "import ctypes\ndef f():\n    return ctypes.string_at(id(f), 8)\n",
        "import os\ndef f():\n    os.close(os.open('/proc/self/mem', os.O_RDONLY))\n",
    ],
}


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in DEEDS.items() for code in codes])
def test_each_deed_is_seen(tmp_path, kind, code):
    files = {"src/lib.py": textwrap.dedent(code), TEST: CALLS}
    _, seen = suites.guarded(tmp_path, files, [TEST])
    assert seen is not None
    assert kind in {each.kind for each in seen}
    assert {each.file for each in seen} <= {"src/lib.py", ""}


DECENT = '''
"""A library that uses what libraries use."""

import collections
import contextlib
import dataclasses
import functools
import inspect
import logging
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import threading
import traceback
import typing
import warnings

log = logging.getLogger(__name__)
Pair = collections.namedtuple("Pair", "x y")


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    x: int = 1


class Typed(typing.NamedTuple):
    x: int


class Color(__import__("enum").Enum):
    RED = 1


@functools.lru_cache
@contextlib.contextmanager
def context():
    yield 1


def warn():
    warnings.warn("old", DeprecationWarning, stacklevel=2)


def fails():
    try:
        raise ValueError("x")
    except ValueError as error:
        log.exception("failed")
        return "".join(traceback.format_exception(type(error), error, error.__traceback__)), sys.exc_info()[0]


def runs(callback):
    try:
        callback()
    except LookupError as error:
        log.warning("it failed: %r", error)
        return [frame.name for frame in traceback.extract_tb(error.__traceback__, limit=1)]


def threads():
    found = []
    made = [threading.Thread(target=found.append, args=(n,)) for n in range(3)]
    for each in made:
        each.start()
    for each in made:
        each.join()
    return sorted(found)


def process():
    return subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True, check=True).stdout


def files():
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "x"
        path.write_text("x")
        os.replace(path, path.with_name("y"))
        return os.listdir(name)


def looks():
    return inspect.signature(fails), inspect.getsource(fails)[:3], pickle.loads(pickle.dumps(Pair(1, 2)))
'''

DECENT_TESTS = """
import logging
import os
import unittest
from unittest import mock

import lib
import pytest


def test_warnings():
    with pytest.warns(DeprecationWarning):
        lib.warn()


def test_logging(caplog, capsys):
    text, kind = lib.fails()
    print(text)
    assert "failed" in caplog.text
    assert "ValueError" in capsys.readouterr().out


def test_patches(monkeypatch):
    monkeypatch.setattr(lib, "files", lambda: 1)
    monkeypatch.setattr("builtins.open", None)
    monkeypatch.setenv("X", "1")
    monkeypatch.undo()
    with mock.patch("lib.process", return_value=2), mock.patch.object(os, "getcwd"):
        assert lib.process() == 2


@pytest.mark.parametrize("name", ["threads", "process", "files", "looks"])
def test_calls(name, tmp_path, request):
    assert getattr(lib, name)()


def test_callback():
    assert lib.runs(lambda: {}["x"]) == ["runs"]


def test_fails_inside():
    with pytest.raises(AssertionError):
        assert [1, 2] == [1, 3]


class Case(unittest.TestCase):
    def test_case(self):
        with self.assertLogs(level=logging.INFO), self.subTest(x=1):
            logging.getLogger().info("x")
        with self.assertRaisesRegex(ValueError, "x"), mock.patch("json.dumps"):
            raise ValueError("x")
"""


def test_a_decent_suite_is_not_suspected(tmp_path):
    conftest = "import json, pathlib\nTEXT = pathlib.Path(__file__).with_name('test_lib.py').read_text()\n"
    files = {"src/lib.py": DECENT, TEST: DECENT_TESTS, "tests/conftest.py": conftest}
    report, seen = suites.guarded(tmp_path, files, [TEST])
    assert report.end is SuiteEnd.COMPLETED, report.output
    assert report.passed == set(report.cases), report.output
    assert seen is not None
    assert [str(each) for each in seen] == []


def test_a_suite_whose_own_tests_look_around_is_not_suspected(tmp_path):
    tests = (
        "import gc, inspect, sys\n\ndef test_a():\n    gc.get_objects()\n    inspect.stack()\n    sys._getframe(1)\n"
    )
    _, seen = suites.guarded(tmp_path, {TEST: tests}, [TEST])
    assert seen == []


def test_a_run_that_ends_early_has_no_report(tmp_path):
    files = {"src/lib.py": "import os\ndef f():\n    os._exit(0)\n", TEST: CALLS}
    assert suites.guarded(tmp_path, files, [TEST])[1] is None


def test_a_report_of_the_tested_codes_own_does_not_count(tmp_path):
    code = """
    import json, os
    def f():
        with open("/cra/guard/results/guard.json", "w") as file:
            json.dump({"nonce": "0" * 32, "seen": [], "hidden": {}}, file)
        os._exit(0)
    """
    files = {"src/lib.py": textwrap.dedent(code), TEST: CALLS}
    assert suites.guarded(tmp_path, files, [TEST])[1] is None


def test_each_part_of_the_runner_that_was_replaced_is_told(tmp_path):
    code = (
        "import _pytest.python\n_pytest.python.Function.runtest = _pytest.python.Function.setup = lambda self: None\n"
    )
    _, seen = suites.guarded(tmp_path, {"src/lib.py": code + "def f():\n    pass\n", TEST: CALLS}, [TEST])
    assert seen is not None
    assert {each.what for each in seen} == {"_pytest.python.Function.runtest", "_pytest.python.Function.setup"}
    assert len({each.place for each in seen}) == 2


def test_a_command_that_asks_for_several_processes_is_watched_in_one(tmp_path):
    sandbox = open_sandbox()
    guard = Guard(sandbox, suites.lay(tmp_path, {TEST: "def test_a():\n    pass\n"}), [TEST])
    setup = replace(suites.SETUP, command=("python", "-m", "pytest", "-n", "2"), plugins=("xdist", "xdist.looponfail"))
    report = run_suite(sandbox, tmp_path, setup, limits=suites.LIMITS, plugins=[guard.plugin])
    assert (report.passed, guard.seen) == ({f"{TEST}::test_a"}, [])
