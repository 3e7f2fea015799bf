"""How failures of real suites began, as their reports say it."""

import pytest

from models.causes import Layer
from models.suite import SuiteEnd
from runtime.testing import PYTEST
from runtime.testing.output import first_fault

pytestmark = pytest.mark.slow

TESTS = """
import subprocess, pytest

def test_lacks_a_fixture(no_such_fixture): pass

@pytest.fixture
def breaks():
    raise LookupError("in the fixture")

def test_fixture_breaks(breaks): pass

def test_chained():
    try:
        import no_such_module
    except ImportError:
        raise RuntimeError("please install it")

def test_caused():
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("outer") from error

def test_program(): subprocess.run(["no-such-program"])

def test_two_lines(): raise ValueError("first\\nsecond")

class Odd(Exception):
    def __str__(self): raise RuntimeError("no text")

def test_odd_text(): raise Odd()

def test_asserts(): assert 1 == 2
"""


def test_a_failure_is_told_by_the_exception_that_it_began_with(suite):
    report = suite({"test_a.py": TESTS})
    faults = {test.partition("::")[2]: case.fault for test, case in report.cases.items()}
    told = {name: fault and (fault.error, fault.text, fault.then) for name, fault in faults.items()}
    assert told == {
        "test_lacks_a_fixture": ("FixtureLookupError", "fixture 'no_such_fixture' not found", ""),
        "test_fixture_breaks": ("LookupError", "in the fixture", ""),
        "test_chained": ("ModuleNotFoundError", "No module named 'no_such_module'", "RuntimeError: please install it"),
        "test_caused": ("KeyError", "'key'", "ValueError: outer"),
        "test_program": ("FileNotFoundError", "[Errno 2] No such file or directory: 'no-such-program'", ""),
        "test_two_lines": ("ValueError", "first", ""),
        "test_odd_text": None,
        "test_asserts": ("AssertionError", "assert 1 == 2", ""),
    }
    program = faults["test_program"]
    assert program is not None
    assert program.module == "subprocess"


def test_a_module_that_is_not_collected_is_told_by_what_its_import_raised(suite):
    report = suite(
        {
            "test_a.py": "import lib",
            "lib.py": "try:\n    import absent\nexcept ImportError:\n    raise RuntimeError('x')\n",
            "test_b.py": "def test(:\n",
        }
    )
    assert (report.faults["test_a.py"].error, report.faults["test_a.py"].then) == (
        "ModuleNotFoundError",
        "RuntimeError: x",
    )
    assert report.faults["test_b.py"].error == "SyntaxError"


INTERNAL = "def pytest_collection_modifyitems(): raise KeyError('in a hook')\n"
CONFTEST = "try:\n    import absent\nexcept ImportError as e:\n    raise RuntimeError('x') from e\n"


@pytest.mark.parametrize(
    ("files", "layer", "error", "text"),
    [
        ({"conftest.py": CONFTEST}, Layer.IMPORT, "ModuleNotFoundError", "absent"),
        ({"conftest.py": "def f(:\n"}, Layer.COLLECTION, "SyntaxError", ""),
        ({"conftest.py": "1 / 0\n"}, Layer.COLLECTION, "ZeroDivisionError", "division"),
        ({"conftest.py": INTERNAL}, Layer.CONFIGURATION, "KeyError", "in a hook"),
        ({"pytest.ini": "[pytest]\nminversion = 999\n"}, Layer.CONFIGURATION, "UsageError", "999"),
        ({"pytest.ini": "[pytest]\nrequired_plugins = absent\n"}, Layer.CONFIGURATION, "UsageError", "absent"),
        ({"pytest.ini": "[pytest]\naddopts = -p absent\n"}, Layer.CONFIGURATION, "UsageError", "absent"),
        ({"pytest.ini": "[pytest]\nfilterwarnings = wrong\n"}, Layer.CONFIGURATION, "UsageError", "wrong"),
        ({"conftest.py": "import os\nos._exit(3)\n"}, Layer.TEST, "crashed", "exit code 3"),
        ({"conftest.py": "import os\nos.abort()\n"}, Layer.TEST, "signal 6", "died"),
    ],
    ids=["import", "syntax", "raises", "internal", "version", "plugins", "option", "warnings", "leaves", "aborts"],
)
def test_a_run_without_results_is_told_by_its_first_error(suite, files, layer, error, text):
    report = suite({"test_a.py": "def test_f(): pass\n", **files})
    assert report.end is not SuiteEnd.COMPLETED
    found, fault = PYTEST.run_fault(report)
    assert (found, fault.error, text in fault.text) == (layer, error, True), report.output


def test_of_printed_tracebacks_the_first_exception_counts():
    text = """Traceback (most recent call last):
  File "/x/setup.py", line 3, in <module>
    import numpy
ModuleNotFoundError: No module named 'numpy'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/x/setup.py", line 5, in <module>
SystemExit: please install numpy
error: see above
"""
    fault = first_fault(text)
    assert fault is not None
    assert (fault.error, fault.text, fault.module) == ("ModuleNotFoundError", "No module named 'numpy'", "setup")
    assert first_fault("all went well\nError: not one of Python\n") is None
