"""What hangs together in a repository: tests and code, symbols, files that change together; and its overview."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repos.index import build_index
from repos.index.overview import OverviewFile, overview, overview_paths
from repos.index.test_mapping import subject_of
from repos.sources import GitSource
from tests.support.index_material import indexed, repository


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("tests/test_cache.py", "cache"),
        ("cache_test.py", "cache"),
        ("a/Button.test.tsx", "button"),
        ("a/button.spec.ts", "button"),
        ("a/button-test.js", "button"),
        ("tests/cache.py", None),
        ("conftest.py", None),
        ("tests/test_.py", None),
        ("tests/test_a_b.py", "a_b"),
        ("test.py", None),
    ],
)
def test_a_test_is_called_after_something(path: str, subject: str | None) -> None:
    assert subject_of(path) == subject


def test_tests_are_mapped_to_what_they_exercise(tmp_path: Path) -> None:
    index = indexed(
        tmp_path,
        {
            "src/pkg/__init__.py": "from pkg._core import run\n",
            "src/pkg/_core.py": "from pkg.low import bottom\ndef run(): bottom()\n",
            "src/pkg/low.py": "def bottom(): ...\n",
            "src/pkg/cli/main.py": "",
            "src/pkg/web/main.py": "",
            "tests/test_core.py": "import pkg\n",
            "tests/test_all.py": "from pkg import run\n",
            "tests/cli/test_main.py": "",
            "tests/test_web_main.py": "",
            "tests/helper.py": "import pkg.low\n",
            "app/button.tsx": "export const Button = 1;\n",
            "app/button.test.tsx": "import { Button } from './button';\n",
        },
    )
    assert index.tests_of("src/pkg/_core.py") == ("tests/test_core.py", "tests/test_all.py")
    assert index.tests_of("src/pkg/low.py") == ("tests/helper.py",)
    assert index.tests_of("src/pkg/cli/main.py") == ("tests/cli/test_main.py",)
    assert index.tests_of("src/pkg/web/main.py") == ("tests/test_web_main.py",)
    assert index.tests_of("app/button.tsx") == ("app/button.test.tsx",)
    assert index.tests_of("nowhere.py") == ()
    assert index.exercised_by("tests/test_all.py") == ("src/pkg/__init__.py", "src/pkg/_core.py")
    assert index.exercised_by("tests/test_core.py") == ("src/pkg/_core.py", "src/pkg/__init__.py")


def test_a_file_without_tests_of_its_own_is_exercised_through_those_that_import_it(tmp_path: Path) -> None:
    index = indexed(
        tmp_path,
        {
            "pkg/a.py": "x = 1\n",
            "pkg/b.py": "from pkg.a import x\n",
            "tests/test_c.py": "from pkg.b import y\n",
            "pkg/__init__.py": "",
        },
    )
    assert index.tests_of("pkg/a.py") == ("tests/test_c.py",)


SHAPES = {
    "shapes.py": (
        "LIMIT = 1\n"
        "class Shape:\n    def area(self): return LIMIT\n    def twice(self): return 2 * self.area()\n"
        "def make(): return Shape()\n"
    ),
    "use.py": "from shapes import Shape as S, make\ndef show():\n    return S().area()\nmake()\n",
    "other.py": "class Shape: ...\ndef f(): return Shape()\n",
    "mod.py": "import shapes\ndef g(): return shapes.make()\n",
}


def test_references_are_found_where_a_file_is_imported(tmp_path: Path) -> None:
    index = indexed(tmp_path, SHAPES)
    assert index.references("shapes.py", "Shape") == (
        ("shapes.py", "make"),
        ("use.py", "<module>"),
        ("use.py", "show"),
    )
    assert index.references("shapes.py", "Shape.area") == (("shapes.py", "Shape.twice"), ("use.py", "show"))
    assert index.references("shapes.py", "make") == (("mod.py", "g"), ("use.py", "<module>"))
    assert index.references("gone.py", "x") == ()


def test_dependencies_are_the_symbols_that_a_symbol_names(tmp_path: Path) -> None:
    index = indexed(tmp_path, SHAPES)
    assert index.dependencies("shapes.py", "Shape") == (("shapes.py", "LIMIT"),)
    assert index.dependencies("shapes.py", "Shape.twice") == (("shapes.py", "Shape.area"),)
    assert index.dependencies("use.py", "show") == (("shapes.py", "Shape"),)
    assert index.dependencies("mod.py", "g") == (("shapes.py", "make"),)


def test_past_commits_tell_what_changes_together_under_the_names_of_now(tmp_path: Path) -> None:
    body = "".join(f"line_{number} = {number}\n" for number in range(30))
    git = repository(
        tmp_path / "r",
        {"old.py": body, "with.py": "a\n"},
        {"old.py": body + "more = 1\n", "with.py": "b\n"},
        {"old.py": None, "new.py": body + "more = 1\n"},
        {"new.py": body, "late.py": "c\n"},
        {f"many/{number}.py": "d\n" for number in range(31)} | {"new.py": "x\n"},
        messages=("First", "Second\n\nAnd why.", "Rename old to new"),
    )
    history = build_index(GitSource(git, "HEAD")).history
    assert history.changed_with("new.py") == {"with.py": 2, "late.py": 1}
    assert history.changes("new.py") == 5
    assert [(c.subject, c.body) for c in history.commits("with.py")] == [("Second", "And why."), ("First", "")]
    assert history.changes("old.py") == 0


def test_an_overview_says_as_much_as_fits(tmp_path: Path) -> None:
    index = indexed(
        tmp_path,
        {
            "src/a/core.py": "def run(): ...\ndef _hidden(): ...\n",
            "src/a/x.py": "",
            "tests/test_a.py": "",
            "README.md": "x\n",
        },
    )
    assert index.overview(1000) == "src/a/\n  core.py: run\n  x.py\ntests/: test_a.py\n./: README.md"
    assert index.overview(57) == "src/a/\n  core.py: run\n  x.py\ntests/ (1 file)\n./ (1 file)"
    assert index.overview(50) == "src/a/: core.py, x.py\ntests/ (1 file)\n./ (1 file)"
    assert index.overview(20) == "src/ (2 files)\n..."
    every = {"src/a/core.py", "src/a/x.py", "tests/test_a.py", "README.md"}
    assert overview_paths(index.overview(1000)) == every
    assert overview_paths(index.overview(50)) == {"src/a/core.py", "src/a/x.py"}
    assert overview_paths(index.overview(20)) == set()


FILES = st.lists(
    st.builds(
        OverviewFile,
        st.from_regex(r"[ab]{1,3}(/[cd]{1,3}){0,3}", fullmatch=True),
        st.integers(0, 2),
        st.text("xy", max_size=9),
    )
)


@given(FILES, st.integers(0, 200))
def test_an_overview_keeps_to_its_size_and_not_to_the_order_of_files(files: list[OverviewFile], most: int) -> None:
    files = list({file.path: file for file in files}.values())
    text = overview(files, most)
    assert len(text) <= most
    assert text == overview(files[::-1], most)
