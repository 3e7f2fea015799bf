"""The tests that are run after a step, and why each of them is."""

from pathlib import Path
from typing import Any

from harness.runs.step_tests import StepTests
from repos.index import RepositoryIndex
from repos.index.suite_layout import PLAIN, suite_layout
from tests.support.identity_material import INSTANCE
from tests.support.index_material import indexed
from tests.support.suites import lay

FILES = {
    "src/pkg/__init__.py": "",
    "src/pkg/db.py": "def connect(): ...\n",
    "src/pkg/lone.py": "x = 1\n",
    "tests/conftest.py": "import pytest\nfrom pkg.db import connect\n@pytest.fixture\ndef link(): return connect()\n",
    "tests/test_link.py": "def test_link(link): pass\n",
    "tests/test_other.py": "def test_other(): pass\n",
}


def steps(tmp_path: Path, files: dict[str, str], index: RepositoryIndex | None, layout=PLAIN) -> StepTests:
    unused: Any = None
    tree = lay(tmp_path / "tree", files)
    return StepTests(unused, tree, unused, INSTANCE, ("tests/test_other.py",), index, layout=layout)


def test_each_affected_test_says_how_it_was_found(tmp_path: Path) -> None:
    found = steps(tmp_path, FILES, indexed(tmp_path, FILES)).affected
    [(path, reason)] = found(["src/pkg/db.py"]).items()
    assert (path, "link" in reason, "fixture" in reason) == ("tests/test_link.py", True, True)
    assert set(found(["tests/conftest.py"])) == {"tests/test_link.py", "tests/test_other.py"}
    assert list(found(["src/pkg/db.py", "tests/test_other.py"])) == ["tests/test_link.py", "tests/test_other.py"]
    assert found(["docs/index.md"]) == {}


def test_without_a_known_test_those_that_passed_before_are_run_and_that_is_said(tmp_path: Path) -> None:
    found = steps(tmp_path, FILES, indexed(tmp_path, FILES)).affected(["src/pkg/lone.py"])
    assert list(found) == ["tests/test_other.py"]
    assert "src/pkg/lone.py" in found["tests/test_other.py"]


def test_tests_by_the_configuration_are_among_them(tmp_path: Path) -> None:
    files = {
        "pytest.ini": "[pytest]\npython_files = *_spec.py\n",
        "pkg/a.py": "x = 1\n",
        "pkg/__init__.py": "",
        "spec/a_spec.py": "from pkg.a import x\ndef test_x(): pass\n",
    }
    layout = suite_layout({path: text.encode() for path, text in files.items()}.get)
    for index in (indexed(tmp_path, files), None):
        assert list(steps(tmp_path, files, index, layout).affected(["pkg/a.py"])) == ["spec/a_spec.py"]
