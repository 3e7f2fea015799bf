"""What a teacher's answer is read as, where its modules go, and what is refused before anything runs."""

import hashlib
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.supplement.answer import MOST_BYTES, NoTests, read_modules
from harness.supplement.module_paths import place
from harness.supplement.static_checks import reaches_into_runner
from models.generated import Failing
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from repos.index.paths import is_test_path
from repos.trees import inside
from runtime.testing.failures import how_it_fails

TEST = "def test_a():\n    assert 1\n"


def fenced(module: str, fence: str = "```", info: str = "python") -> str:
    return f"{fence}{info}\n{module}{fence}\n"


def test_the_block_that_holds_tests_is_the_module() -> None:
    answer = f"First run\n```sh\npytest -k test_a\n```\nThe helper `f`:\n```python\nf()\n```\nso:\n{fenced(TEST)}Done."
    assert read_modules(answer) == (TEST,)


def test_several_blocks_with_tests_are_several_modules_and_the_same_twice_is_one() -> None:
    other = TEST.replace("test_a", "test_b")
    assert read_modules(fenced(TEST) + fenced(other, "~~~", "py") + fenced(TEST)) == (TEST, other)


def test_a_fence_inside_a_longer_fence_belongs_to_the_module() -> None:
    module = 'def test_a():\n    text = """\n```\nx\n```\n"""\n    assert text\n'
    assert read_modules(fenced(module, "````")) == (module,)


def test_an_answer_without_fences_is_the_module() -> None:
    assert read_modules(TEST) == (TEST,)
    assert read_modules("import pytest\r\n" + TEST.replace("\n", "\r\n")) == ("import pytest\n" + TEST,)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("", "no test module"),
        ("I cannot write tests for this.", "no test module"),
        (fenced("x = 1\n"), "no test module"),
        (fenced(TEST, info="javascript"), "no test module"),
        (f"```python\n{TEST}", "cut short"),
        ("".join(fenced(TEST.replace("_a", f"_{n}")) for n in range(5)), "5 test modules"),
        (fenced(TEST + "# " + "x" * MOST_BYTES + "\n"), "bytes"),
        (fenced("def test_a(): '\0'\n"), "NUL"),
        (fenced("def test_a(): '\ud800'\n"), "surrogate"),
    ],
)
def test_what_is_no_module_is_refused_with_words_for_the_teacher(answer: str, says: str) -> None:
    with pytest.raises(NoTests, match=says):
        read_modules(answer)


@given(st.text())
def test_any_text_is_read_or_refused(answer: str) -> None:
    try:
        modules = read_modules(answer)
    except NoTests:
        return
    assert all("test" in module.lower() and module.endswith("\n") for module in modules)


LINES = st.sampled_from(["x = 1", "", "    ```", "# ~~~", "def test_b(): pass", "é\u2028", "\x0c", "'''"])


@given(st.lists(LINES, max_size=8), st.sampled_from(["`````", "~~~~~"]))
def test_what_is_fenced_comes_out_as_it_was(lines: list[str], fence: str) -> None:
    module = "\n".join(["def test_a(): pass", *lines]).strip("\n") + "\n"
    assert read_modules(f"So:\n{fenced(module, fence)}") == (module,)


@pytest.mark.parametrize(
    ("tests", "preferred", "folder", "suffixed"),
    [
        (["tests/test_a.py", "tests/unit/test_b.py", "tests/unit/test_c.py"], [], "tests/unit", False),
        (["tests/test_a.py", "tests/unit/test_b.py"], [], "tests", False),
        (["tests/test_a.py", "tests/unit/test_b.py"], ["tests/unit/test_b.py"], "tests/unit", False),
        (["src/p/tests/a_test.py", "src/p/tests/b_test.py"], [], "src/p/tests", True),
        (["tests/conftest.py", "tests/data/x.json"], ["tests/conftest.py"], "tests", False),
        ([], [], "tests", False),
        (["test_p.py"], [], ".", False),
    ],
)
def test_a_module_goes_beside_the_tests_there_are(
    tests: list[str], preferred: list[str], folder: str, suffixed: bool
) -> None:
    file = place(TEST, tests, preferred)
    path = PurePosixPath(file.path)
    assert (str(path.parent), path.stem.endswith("_test")) == (folder, suffixed)
    assert file.sha256 == hashlib.sha256(TEST.encode()).hexdigest()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.lists(st.text(max_size=20), max_size=3))
def test_nothing_that_a_teacher_says_chooses_the_path(module: str, tests: list[str]) -> None:
    there = ["tests/test_a.py", *(f"tests/{name}.py" for name in ("..", "test_b"))]
    path = place(module, there).path
    assert inside(path)
    assert is_test_path(path)
    assert path.startswith("tests/test_generated_")


@pytest.mark.parametrize(
    "module",
    [
        "import _pytest.runner\n",
        "from _pytest import reports\n",
        "from pluggy import HookimplMarker\n",
        "pytest_plugins = ['x']\n",
        "def pytest_runtest_makereport(item, call): ...\n",
        "import os\nos._exit(0)\n",
        "from os import _exit\n",
        "import gc\nx = gc.get_objects()\n",
        "open('/cra/suite/results/report.xml', 'w')\n",
        "import _pytest\nthis is not Python\n",
    ],
)
def test_a_module_that_handles_the_runner_is_refused(module: str) -> None:
    assert reaches_into_runner(module + TEST)


def test_what_tests_usually_do_is_not_refused() -> None:
    module = (
        "import gc, os, subprocess, sys\nimport pytest\nfrom pytest import raises\n\n\n"
        "@pytest.fixture\ndef pytester_like(tmp_path): ...\n\n\n"
        "def test_a(monkeypatch):\n    gc.collect()\n    monkeypatch.setattr(os, 'name', 'nt')\n"
        "    with raises(SystemExit):\n        sys.exit(1)\n"
    )
    assert reaches_into_runner(module) is None


@pytest.mark.parametrize(
    ("status", "message", "how"),
    [
        (CaseStatus.FAILED, "assert 1 == 2", Failing.ASSERTION),
        (CaseStatus.FAILED, "AssertionError: one is not two\nassert 1 == 2", Failing.ASSERTION),
        (CaseStatus.FAILED, "Failed: DID NOT RAISE <class 'ValueError'>", Failing.ASSERTION),
        (CaseStatus.FAILED, "numpy.testing.AssertionError: x", Failing.ASSERTION),
        (CaseStatus.FAILED, "AttributeError: module 'p' has no attribute 'f'", Failing.EXCEPTION),
        (CaseStatus.FAILED, "ImportError: cannot import name 'f' from 'p'", Failing.IMPORT),
        (CaseStatus.FAILED, "ModuleNotFoundError: No module named 'p.x'", Failing.IMPORT),
        (CaseStatus.ERROR, "assert 0", Failing.EXCEPTION),
        (CaseStatus.SKIPPED, "why", None),
        (CaseStatus.PASSED, "", None),
    ],
)
def test_how_a_test_fails_is_read_from_its_message(status: CaseStatus, message: str, how: Failing | None) -> None:
    case = CaseResult(id="t.py::test_a", status=status, message=message)
    report = SuiteReport(end=SuiteEnd.COMPLETED, exit_code=1, seconds=0.0, cases={case.id: case})
    assert how_it_fails(case.id, report) is how


def test_how_a_test_fails_that_did_not_run() -> None:
    def report(end: SuiteEnd, **errors: str) -> SuiteReport:
        errors = {f"{name}.py": text for name, text in errors.items()}
        return SuiteReport(end=end, exit_code=1, seconds=0.0, collection_errors=errors)

    assert how_it_fails("t.py::test_a", report(SuiteEnd.COMPLETED, t="SyntaxError")) is Failing.COLLECTION
    assert how_it_fails("t.py::test_a", report(SuiteEnd.TIMEOUT)) is Failing.RUN
    assert how_it_fails("t.py::test_a", report(SuiteEnd.COMPLETED)) is None
