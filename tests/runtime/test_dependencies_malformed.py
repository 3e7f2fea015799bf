"""Strangers' packaging files hold anything: what is malformed counts as not written, and the rest is still read."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.throwaway import throwaway
from repos.trees import overlay
from runtime.environments import Project, discover, generated_files, own_metadata, pretend_version


def project(files: dict[str, str]) -> Project:
    contents = {path: text.encode() for path, text in files.items()}
    return discover(contents.get, sorted(contents))


def written(found: Project) -> None:
    """The metadata and generated files of a project, written as for a run."""
    with throwaway("cra-test-") as folder:
        (folder / "metadata").mkdir()
        overlay(folder / "metadata", own_metadata(found, "1.0"))
        tree = folder / "tree"
        tree.mkdir()
        overlay(tree, {path: (text.encode(), False) for path, text in generated_files(found, "1.0").items()})


LONG, NUMBER = "a" * 300, "5" * 5000
MALFORMED_LINES = [
    "dependencies = 5",
    "dependencies = {a = 1}",
    "dependencies = [5]",
    f"dependencies = [{NUMBER}]",
    f"dependencies = ['a ; {'(' * 5000}']",
    f"description = {'[' * 9000}{']' * 9000}",
    "optional-dependencies = {a = 5}",
    "optional-dependencies = [1]",
    "requires-python = 5",
    f"requires-python = '>={NUMBER}'",
    "keywords = 5",
    "authors = [5]",
    "authors = [{name = 5}]",
    "urls = 5",
    "scripts = [1]",
    "entry-points = {a = {b = 5}}",
    "classifiers = 5",
    "license = {text = 5}",
]


@pytest.mark.parametrize("line", MALFORMED_LINES, ids=lambda line: line[:40])
def test_a_malformed_value_of_the_project_table_counts_as_not_written(line: str) -> None:
    found = project({"pyproject.toml": f"[project]\nname = 'my-lib'\n{line}\n", "my_lib/__init__.py": ""})
    assert (found.name, found.requires) == ("my-lib", ("pytest",))
    written(found)


@pytest.mark.parametrize("name", ["5", f"'{LONG}'", "['a']", "{a = 1}", r"'../x'"])
def test_a_name_that_is_none_is_looked_for_elsewhere(name: str) -> None:
    found = project({"pyproject.toml": f"[project]\nname = {name}\n", "my_lib/__init__.py": ""})
    assert found.name == "my-lib"
    written(found)


def test_one_malformed_value_takes_no_other_with_it() -> None:
    text = """
    [build-system]
    requires = 7
    [project]
    name = "lib"
    dependencies = ["attrs"]
    keywords = 5
    authors = 5
    urls = 5
    entry-points = { lib = { plugin = "lib:x", broken = 5 } }
    [tool]
    poetry = 5
    hatch = {envs = {test = {dependencies = ["hypothesis", 5], features = 5}}}
    [dependency-groups]
    broken = 5
    tests = ["dirty-equals", {include-group = 5}]
    """
    found = project({"pyproject.toml": text, "lib/__init__.py": ""})
    assert found.requires == ("attrs", "dirty-equals", "hypothesis", "pytest")
    assert found.entry_points == (("lib", "plugin", "lib:x"),)


_SETUP = "from setuptools import setup\n"


@pytest.mark.parametrize(
    "text",
    [
        "-" * 200_000 + "1",
        "+".join(["1"] * 20_000),
        _SETUP + r'setup(name="lib", description="a\ud800")',
        _SETUP + f"setup(name='lib', description={'+'.join(['1'] * 900)})",
        _SETUP + "setup(name='lib', entry_points={'a': 5, 5: ['x = y']}, project_urls=5, py_modules=5)",
        _SETUP + "setup(name='lib', keywords={[]: 1}, extras_require={'x': 5, 5: ['y']})",
        "x = 'aa'\n" + "x = x + x\n" * 60 + _SETUP + "setup(name='lib', description=x)",
        "x = 'aa'\n" + "x = f'{x}{x}'\n" * 60 + _SETUP + "setup(name='lib', description=x)",
        "x = ['aa']\n" + "x += x\n" * 60 + _SETUP + "setup(name='lib', install_requires=x)",
        _SETUP + "setup(name='lib', description='%99999999999d' % 1)",
    ],
    ids=lambda text: text[-60:],
)
def test_a_setup_script_that_no_reader_can_follow_counts_as_not_written(text: str) -> None:
    found = project({"setup.py": text, "noxfile.py": text, "lib/__init__.py": text, "tests/test_a.py": text})
    assert (found.name, found.requires) == ("lib", ("pytest",))
    written(found)


def test_requirements_files_that_include_each_other_manifold_are_read_once() -> None:
    files = {f"requirements/{n}.txt": f"-r {n + 1}.txt\n" * 4 for n in range(40)}
    found = project({**files, "requirements/40.txt": "dep", "requirements-test.txt": "-r requirements/0.txt"})
    assert "dep" in found.requires


def test_locks_that_hold_anything_else_than_packages_are_read_as_far_as_they_can_be() -> None:
    pipfile = {"default": {"a": {"version": 5}, "b": {"version": "==2"}}, "develop": 5}
    good = '[[package]]\nname = "c"\nversion = "3"\n'
    found = project({"Pipfile.lock": json.dumps(pipfile), "uv.lock": "[[package]]\nname = 5\nversion = []\n" + good})
    assert found.constraints == ("b==2", "c==3")
    assert project({"Pipfile.lock": "[" * 100_000, "poetry.lock": "package = 5"}).constraints == ()


@pytest.mark.parametrize(
    "path",
    ["conftest.py", "lib/conftest.py", "setup.py", "pytest.ini", "pyproject.toml", "tox.ini", "tests/test_a.py",
     "test_a.py", "lib/__init__.py/_version.py", "lib", "../x.py", "/x.py", ".git/config", f"{'a' * 250}.py",
     "lib/../conftest.py", "./conftest.py", "a\\u0000b.py"],
)  # fmt: skip
def test_a_build_writes_no_file_that_steers_the_tests(path: str) -> None:
    text = f'[project]\nname = "lib"\n[tool.setuptools_scm]\nwrite_to = "{path}"\nversion_file = "lib/_version.py"\n'
    found = project({"pyproject.toml": text, "lib/__init__.py": ""})
    assert found.generated == ("lib/_version.py",)


def test_a_tag_with_a_number_of_any_length_names_a_version_that_can_be_written() -> None:
    assert pretend_version(f"v{NUMBER}") == "0"
    assert pretend_version(f"v{'1.' * 200}1") == "0"


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from([LONG, "../x", "a\nb", "é", "dep", ".[x]"])
_SCALAR = _TEXT | st.integers(-(2**70), 2**70) | st.booleans() | st.floats() | st.just(10**4000)
_VALUE = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=8
)
_KEYS = (
    "build-system", "build-system.requires", "build-system.build-backend", "build-system.backend-path", "project",
    *(f"project.{key}" for key in (
        "name", "requires-python", "dependencies", "optional-dependencies", "optional-dependencies.x", "description",
        "license", "keywords", "authors", "maintainers", "urls", "classifiers", "scripts", "gui-scripts",
        "entry-points", "entry-points.x")),
    "dependency-groups", "dependency-groups.x", "tool",
    *(f"tool.poetry{key}" for key in (
        "", ".name", ".dependencies", ".dependencies.python", ".dependencies.x", ".extras", ".extras.x",
        ".dev-dependencies", ".group", ".group.x", ".group.x.dependencies", ".description", ".license", ".scripts",
        ".plugins", ".plugins.x", ".packages")),
    *(f"tool.{key}" for key in (
        "flit", "flit.metadata", "flit.metadata.requires", "flit.metadata.requires-extra", "flit.metadata.module",
        "pdm", "pdm.dev-dependencies", "pdm.version", "pdm.version.write_to", "uv", "uv.dev-dependencies", "hatch",
        "hatch.envs", "hatch.envs.test", "hatch.envs.test.features", "hatch.build", "hatch.build.hooks",
        "hatch.build.hooks.vcs.version-file", "hatch.build.targets.wheel.packages", "setuptools",
        "setuptools.package-dir", "setuptools.packages", "setuptools.packages.find.where", "setuptools.py-modules",
        "setuptools.dynamic", "setuptools.dynamic.dependencies", "setuptools.dynamic.dependencies.file",
        "setuptools_scm", "setuptools_scm.write_to", "tox", "tox.env_run_base", "tox.env", "tox.env.x",
        "tox.env.x.deps", "tox.legacy_tox_ini")),
)  # fmt: skip


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F") if isinstance(value, str) else str(value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(_KEYS), _VALUE, min_size=1, max_size=4))
def test_any_value_at_any_key_gives_a_project_whose_metadata_can_be_written(values: dict[str, object]) -> None:
    root: dict[str, object] = {}
    for keys, value in values.items():
        table = root
        *above, last = keys.split(".")
        for key in above:
            below = table.get(key)
            below = below if isinstance(below, dict) else {}
            table[key] = below
            table = below
        table[last] = value
    text = "\n".join(f"{key} = {_toml(value)}" for key, value in root.items())
    written(project({"pyproject.toml": text, "Pipfile": text, "lib/__init__.py": ""}))


_FILES = ("setup.py", "setup.cfg", "tox.ini", "noxfile.py", "Pipfile.lock", "poetry.lock", "requirements-test.txt",
          "PKG-INFO", "Cargo.toml", "meson.build", "README.md", "pyproject.toml", "tests/test_a.py")  # fmt: skip
_LINES = st.lists(
    st.sampled_from([
        "[metadata]", "[options]", "[testenv]", "name = x", "description = \x00", "deps =", "    -r a", "    {[a]b}",
        "[options.entry_points]", "key", "  more", "setup(name=f(), **x)", "x = {[]: 1}", r'setup(name="\ud800")',
        "def f(): return f()", "install_requires =", "py_modules = " + LONG, "Name: " + LONG, "project('x" + LONG + "'",
        f"[package]\nname = {NUMBER}", '{"default": 5}', "-r requirements-test.txt", "pip install " + LONG,
    ]) | _TEXT, max_size=8,
).map("\n".join)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(_FILES), _LINES, min_size=1), st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_in_any_packaging_file_gives_a_project_whose_metadata_can_be_written(
    files: dict[str, str], more: str
) -> None:
    name = "".join(c for c in more if c.isidentifier()) or "lib"
    written(project({**files, f"{name}.py": "", f"src/{name * 5}/__init__.py": ""}))


def test_metadata_of_a_package_with_a_long_name_in_another_script_can_be_written(tmp_path: Path) -> None:
    found = project({f"src/{'é' * 120}/__init__.py": ""})
    overlay(tmp_path, own_metadata(found, "1"))
    assert found.name == "project"
