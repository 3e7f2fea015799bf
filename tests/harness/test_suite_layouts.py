"""Tests whose names and folders only the configuration of pytest tells are tests wherever a path is classified."""

from pathlib import Path

import pytest

from harness.mining import mine
from harness.packages.gold_patch import read_gold_patch
from harness.packages.prepare import acquire, find_environment, select, validate_candidate
from models.manifest import Environment
from repos.index.suite_layout import PLAIN, suite_layout
from repos.layouts import layout_at
from runtime.trees import Runtime, install_tests
from tests.support.index_material import indexed
from tests.support.mining_history import Entry, write_history

SPEC = "[pytest]\npython_files = *_spec.py\ntestpaths = spec\n"
BEFORE = {
    "pytest.ini": SPEC,
    "pyproject.toml": "[project]\nname = 'pkg'\nversion = '1'\n[dependency-groups]\ntest = ['pytest']\n",
    "pkg/__init__.py": "def double(x):\n    return x\n",
    "pkg/openapi_spec.py": "def text():\n    return ''\n",
    "spec/__init__.py": "",
    "spec/helper.py": "ONE = 1\n",
    "spec/pkg_spec.py": "from pkg import double\ndef test_none(): assert double(0) == 0\n",
}
AFTER = {
    "pkg/__init__.py": "def double(x):\n    return x * 2\n",
    "spec/helper.py": "ONE = 1\nTWO = 2\n",
    "spec/pkg_spec.py": "from pkg import double\nfrom spec.helper import ONE, TWO\n"
    "def test_none(): assert double(0) == 0\ndef test_one(): assert double(ONE) == TWO\n",
}


@pytest.mark.parametrize(
    ("options", "tests", "others"),
    [
        ("python_files = *_spec.py", {"a_spec.py", "x/b_spec.py"}, {"spec/a.py", "spec/data.json", "a_spec.txt"}),
        ("python_files = *_spec.py\ntestpaths = spec", {"spec/a_spec.py", "spec/data.json"}, {"pkg/a_spec.py"}),
        ("python_files = check_*.py\ntestpaths = ./checks/ src", {"checks/check_a.py", "src/check_a.py"}, {"src/a.py"}),
        ("testpaths = integration", {"integration/helper.py"}, {"src/integration/helper.py"}),
        ("testpaths = parts/*/spec", {"parts/one/spec/helper.py"}, {"parts/one/a.py"}),
        ("python_files = suite/run_*.py", {"suite/run_a.py"}, {"run_a.py"}),
        ("python_files = *.py\ntestpaths = src", set(), {"src/a.py", "a.py"}),
        ("python_files = test*.py _*.py *", set(), {"src/testing.py", "src/_a.py", "src/__init__.py"}),
        ("python_files = test_*.py *_test.py\ntestpaths = tests", set(), {"a_spec.py"}),
        ("testpaths = src docs .", set(), {"src/a.py", "docs/a.py", "a.py"}),
    ],
)
def test_patterns_and_folders_of_the_configuration_are_followed(
    options: str, tests: set[str], others: set[str]
) -> None:
    layout = suite_layout({"pytest.ini": f"[pytest]\n{options}\n".encode()}.get)
    assert {path for path in tests | others if layout.is_test(path)} == tests
    assert all(layout.kind_of(path) == "test" for path in tests if path.endswith(".py"))
    assert all(layout.kind_of(path) != "test" for path in others)
    assert (layout == PLAIN) is (not tests)


def test_modules_that_hold_tests_are_told_from_their_helpers() -> None:
    layout = suite_layout({"pytest.ini": SPEC.encode()}.get)
    paths = (
        "spec/a_spec.py",
        "spec/test_a.py",
        "spec/helper.py",
        "spec/conftest.py",
        "spec/a_spec.json",
        "tests/test_a.py",
    )
    assert [layout.holds_tests(path) for path in paths] == [True, True, False, False, False, True]


def test_commits_are_classified_by_the_configuration_at_each(tmp_path: Path) -> None:
    entries = [
        Entry("Add the package", {**BEFORE, "pytest.ini": "[pytest]\n"}),
        Entry("Let the double be one", {"spec/pkg_spec.py": "x = 1\n"}),
        Entry("Configure the tests", {"pytest.ini": SPEC}),
        Entry("Return twice the value", dict(AFTER)),
    ]
    git = write_history(tmp_path / "r.git", entries)
    kinds = {
        commit.subject: {c.path: c.kind for c in commit.changes} for commit in mine(git, with_symbols=False).commits
    }
    assert kinds["Let the double be one"] == {"spec/pkg_spec.py": "production"}
    expected = {"pkg/__init__.py": "production", "spec/helper.py": "test", "spec/pkg_spec.py": "test"}
    assert kinds["Return twice the value"] == expected
    head = git.resolve("HEAD")
    gold = read_gold_patch(git, head)
    assert [change.path for change in gold.production] == ["pkg/__init__.py"]
    assert [change.path for change in gold.tests] == ["spec/helper.py", "spec/pkg_spec.py"]
    assert (gold.side_of("spec/new.py"), gold.side_of("pkg/new.py")) == ("test", "production")


def test_hidden_tests_replace_what_a_candidate_wrote_in_their_place(tmp_path: Path) -> None:
    git = write_history(tmp_path / "r.git", [Entry("Add", dict(BEFORE)), Entry("Return twice the value", dict(AFTER))])
    tree = tmp_path / "tree"
    (tree / "spec").mkdir(parents=True)
    (tree / "pkg").mkdir()
    for path in ("spec/pkg_spec.py", "spec/mine_spec.py", "spec/conftest.py", "pkg/mine.py"):
        (tree / path).write_text("mine")
    (tree / "pytest.ini").write_text("")  # a candidate's configuration does not decide
    install_tests(git, git.resolve("HEAD"), tree)
    assert (tree / "spec" / "pkg_spec.py").read_text() == AFTER["spec/pkg_spec.py"]
    left = {path.relative_to(tree).as_posix() for path in tree.rglob("*.py")}
    assert left == {"spec/__init__.py", "spec/helper.py", "spec/pkg_spec.py", "pkg/mine.py"}


def test_the_index_follows_the_configuration_of_its_revision(tmp_path: Path) -> None:
    index = indexed(tmp_path, dict(BEFORE))
    kinds = {path: index.file(path).kind for path in index.paths() if path.endswith(".py")}
    assert {path for path, kind in kinds.items() if kind == "test"} == {p for p in kinds if p.startswith("spec/")}
    assert index.tests_of("pkg/__init__.py") == ("spec/pkg_spec.py",)


def test_a_repository_without_such_configuration_has_the_plain_layout(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r.git", [Entry("Add", {"a.py": "", "setup.cfg": "[tool:pytest]\ntestpaths = tests\n"})]
    )
    assert layout_at(git, git.resolve("HEAD")) == PLAIN


@pytest.mark.slow
def test_a_commit_with_such_tests_is_an_instance(tmp_path: Path, runtime: Runtime) -> None:
    history = write_history(
        tmp_path / "pkg.git", [Entry("Add the package", dict(BEFORE)), Entry("Return twice the value", dict(AFTER))]
    )
    source = acquire(str(history.directory), tmp_path / "corpus")
    packages, known = source.directory / "packages", dict[str, Environment]()
    [commit] = select(mine(source.git), 1)
    candidate = find_environment(source.git, commit, known, packages, tmp_path / "cache")
    instance, _ = validate_candidate(runtime, source.git, candidate, packages, tmp_path / "cache")
    assert (instance.reason, instance.fail_to_pass) == (None, ("spec/pkg_spec.py::test_one",))
    assert instance.pass_to_pass == ("spec/pkg_spec.py::test_none",)
    assert instance.production_files == ("pkg/__init__.py",)
