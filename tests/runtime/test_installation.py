"""What an installation gives over its sources, and when one that was built before still holds."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from repos.trees import overlay
from runtime.environments import Installation, KeptInstallations, discover, installation_of, scripts_of
from runtime.environments.installation import installation_from_sources, start_up

INFO = "little-1.0.dist-info"
METADATA = {f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: little\nVersion: 1.0\n"}
TREE = {
    "pyproject.toml": b"[project]\nname='little'\n",
    "README.md": b"Little\n",
    "CHANGES.md": b"1.0\n",
    "setup.py": b"import setuptools\n",
    "src/little/__init__.py": b"from little.fast import two\n",
    "src/little/about.py": b"__version__ = '1.0'\n",
    "src/little/core.py": b"def one(): return 1\n",
    "src/little/data.json": b"{}",
    "tests/test_one.py": b"def test_one(): pass\n",
}
PACKAGED = {path.removeprefix("src/"): content for path, content in TREE.items() if path.startswith("src/")}
WHEEL = {**METADATA, **PACKAGED, "little/_version.py": b"version = '1.0'\n", "little/fast.cpython-312-x.so": b"\x7fELF"}


def test_sources_stay_where_they_are_and_what_a_build_makes_is_added() -> None:
    found = installation_of(WHEEL, TREE)
    assert found.import_roots == ("src",)
    assert set(found.additions) == {"src/little/_version.py", "src/little/fast.cpython-312-x.so"}
    assert set(found.site) == set(METADATA)
    assert found.modules == ("little",)


def test_a_module_that_no_source_is_equal_to_is_used_from_the_wheel() -> None:
    found = installation_of({**METADATA, "other/__init__.py": b"made = 1\n", "other/x.py": b"y = 2\n"}, TREE)
    assert found.import_roots == ()
    assert {path for path in found.site if "dist-info" not in path} == {"other/__init__.py", "other/x.py"}


def test_a_file_that_a_build_changes_replaces_its_source() -> None:
    found = installation_of({**WHEEL, "little/about.py": b"__version__ = '1.0+made'\n"}, TREE)
    assert found.additions["src/little/about.py"] == (b"__version__ = '1.0+made'\n", False)
    assert "src/little/about.py" in found.inputs


def test_namespaces_are_named_by_their_outermost_packages() -> None:
    tree = {"src/wide/one/__init__.py": b"1\n", "src/wide/two.py": b"2\n", "src/wide/deep/er/__init__.py": b"3\n"}
    wheel = {path.removeprefix("src/"): content for path, content in tree.items()}
    assert installation_of({**METADATA, **wheel}, tree).modules == ("wide.deep.er", "wide.one", "wide.two")


def test_a_package_that_declares_a_namespace_is_shared() -> None:
    declared = b"__import__('pkg_resources').declare_namespace(__name__)\n"
    tree = {
        "setup.py": b"from setuptools import setup\nsetup(name='wide.one', packages=['wide', 'wide.one'])\n",
        "wide/__init__.py": declared,
        "wide/one/__init__.py": b"1\n",
        "wide/two.py": b"2\n",
    }
    wheel = {path: content for path, content in tree.items() if path != "setup.py"}
    project = discover(tree.get, list(tree), with_requirements=False)
    assert installation_of({**METADATA, **wheel}, tree).modules == ("wide.one", "wide.two")
    found = installation_from_sources(project, "1.0")
    assert found.modules == ("wide.one", "wide.two")
    assert found.namespaces == {"wide": "wide"}


def test_only_packages_that_declare_themselves_are_shared_with_all_above_them() -> None:
    declared = b"__import__('pkg_resources').declare_namespace(__name__)\n"
    tree = {
        "wide/__init__.py": declared,
        "wide/deep/__init__.py": declared,
        "plain/__init__.py": b"",
        "plain/inner/__init__.py": declared,
        "tests/data/ns/__init__.py": declared,
        "pkg_resources/__init__.py": b"def declare_namespace(packageName):\n    declare_namespace(parent)\n",
    }
    project = discover(tree.get, list(tree), with_requirements=False)
    assert project.namespaces == (("wide", "wide"), ("wide.deep", "wide/deep"))
    assert "pkg_resources" in project.modules


def test_a_shared_namespace_has_the_tree_and_what_is_installed(tmp_path: Path) -> None:
    """Another distribution's start-up code has made the package already, without the tree."""
    for place in ("tree/wide/one.py", "site/wide/two.py"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("")
    found = replace(installation_of(WHEEL, TREE), namespaces={"wide": "wide"})
    for path, (content, _) in start_up(found, str(tmp_path / "tree")).items():
        (tmp_path / "site" / path).write_bytes(content)
    program = "import wide.one, wide.two, wide; print(len(wide.__path__))"
    for before in (
        "",
        "import sys, types; made = sys.modules['wide'] = types.ModuleType('wide'); made.__path__ = []\n",
    ):
        start = f"{before}import runpy; runpy.run_path({str(tmp_path / 'site' / 'sitecustomize.py')!r})\n{program}"
        done = subprocess.run(
            [sys.executable, "-S", "-c", start],
            env={"PYTHONPATH": str(tmp_path / "site")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == "2", done.stderr


def test_tests_and_files_beside_the_packages_are_not_written_into_the_tree() -> None:
    odd = {"little/tests/test_made.py": b"def test(): pass\n", "conftest.py": b"x\n", "pytest.ini": b"[pytest]\n"}
    found = installation_of({**WHEEL, **odd}, TREE)
    assert set(found.additions) == {"src/little/_version.py", "src/little/fast.cpython-312-x.so"}


PURE = {path: content for path, content in WHEEL.items() if not path.endswith(".so")}


def kept_after(
    root: Path,
    changed: Mapping[str, bytes | None],
    *,
    of_commit: bool = True,
    wheel: Mapping[str, bytes] = PURE,
) -> Installation | None:
    """What is found for TREE with changes, after the installation that a wheel gives over TREE was kept."""
    kept = KeptInstallations(root, "builder")
    kept.keep(TREE, installation_of(wheel, TREE), of_commit=of_commit)
    return kept.find({path: content for path, content in {**TREE, **changed}.items() if content is not None})


def test_a_commit_s_installation_holds_for_changes_that_no_build_reads(tmp_path: Path) -> None:
    unread = [
        {},
        {"src/little/core.py": b"def one(): return 2\n"},
        {"src/little/new.py": b"x = 1\n"},
        {"tests/test_one.py": b"def test_two(): pass\n"},
        {"CHANGES.md": b"2.0\n"},
        {"docs/index.md": b"Hello\n"},
    ]
    for number, changed in enumerate(unread):
        expected = replace(installation_of(PURE, TREE), of_commit=True)
        assert kept_after(tmp_path / str(number), changed) == expected, changed


def test_where_a_build_makes_more_than_a_version_any_python_file_may_have_made_it(tmp_path: Path) -> None:
    made = {**PURE, "little/table.json": b"[1]"}
    for number, wheel in enumerate((WHEEL, made)):
        changed = {"src/little/core.py": b"def one(): return 2\n"}
        assert kept_after(tmp_path / f"{number}-other", changed, wheel=wheel) is None
        assert kept_after(tmp_path / f"{number}-tests", {"tests/test_one.py": b""}, wheel=wheel) is not None


def test_a_commit_s_installation_does_not_hold_for_changes_that_a_build_may_read(tmp_path: Path) -> None:
    read: list[Mapping[str, bytes | None]] = [
        {"README.md": b"Big\n"},
        {"setup.py": b"import setuptools, os\n"},
        {"setup.py": None},
        {"src/little/about.py": b"__version__ = '2.0'\n"},
        {"src/little/data.json": b"[]"},
        {"src/little/fast.pyx": b"def two(): return 2\n"},
        {"pyproject.toml": b"[project]\nname='little'\n# CHANGES.md\n"},
    ]
    for number, changed in enumerate(read):
        assert kept_after(tmp_path / str(number), changed) is None, changed


def test_a_candidate_s_installation_holds_for_the_same_tree_only(tmp_path: Path) -> None:
    assert kept_after(tmp_path / "same", {}, of_commit=False) == installation_of(PURE, TREE)
    assert kept_after(tmp_path / "other", {"src/little/core.py": b"x = 1\n"}, of_commit=False) is None


def test_a_kept_installation_that_was_cut_short_is_not_used(tmp_path: Path) -> None:
    kept_after(tmp_path, {})
    for path in tmp_path.rglob("*.zip"):
        path.write_bytes(path.read_bytes()[:100])
    assert KeptInstallations(tmp_path, "builder").find(TREE) is None


def test_commands_run_with_the_tree_on_the_path_even_in_an_empty_environment(tmp_path: Path) -> None:
    points = b"[console_scripts]\nlittle-one = little.core:main\n[other]\nx = y:z\n"
    script = {"little-1.0.data/scripts/plain": b"#!python\nimport little.core\nprint('plain', little.core.one())\n"}
    found = installation_of({**WHEEL, **script, f"{INFO}/entry_points.txt": points}, TREE)
    (tmp_path / "a folder with a name that is rather long" / "little").mkdir(parents=True)
    root = tmp_path / "a folder with a name that is rather long"
    (root / "little" / "core.py").write_text("def one(): return 1\ndef main(): print('one', one())\n")
    (root / "bin").mkdir()
    python = Path(subprocess.check_output(["python3", "-c", "import sys; print(sys.executable)"], text=True).strip())
    overlay(root / "bin", scripts_of(found, python, [str(root)]))
    said = {}
    for name in ("little-one", "plain"):
        env = {"PATH": "/usr/bin:/bin"}
        done = subprocess.run([root / "bin" / name], env=env, capture_output=True, text=True, check=False)
        said[name] = done.stdout.strip() or done.stderr
    assert said["little-one"] == "one 1"


NAMES = st.sampled_from(["a.py", "b/c.py", "b/__init__.py", "d.so", "b/e.json", "f-1.dist-info/METADATA"])
CONTENTS = st.sampled_from([b"", b"x = 1\n", b"\x00"])


@given(wheel=st.dictionaries(NAMES, CONTENTS), tree=st.dictionaries(NAMES.map("src/{}".format) | NAMES, CONTENTS))
def test_everything_that_a_wheel_holds_is_found_on_the_import_path(
    wheel: dict[str, bytes], tree: dict[str, bytes]
) -> None:
    found = installation_of(wheel, tree)
    laid = {**tree, **{path: content for path, (content, _) in found.additions.items()}}
    for path, content in wheel.items():
        places = [f"{root}/{path}" if root else path for root in found.import_roots]
        beside = {path: file for path, (file, _) in found.site.items()}
        assert content in [*(laid.get(place) for place in places), beside.get(path)]
