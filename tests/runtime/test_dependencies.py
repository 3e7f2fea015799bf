"""What a commit needs is read from wherever history put it, and nothing of it is ever run."""

from pathlib import Path

import pytest

from runtime.environments import discover
from tests.support.projects import project

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "My_Lib"
requires-python = ">=3.9"
description = "A library"
dependencies = ["attrs>=21", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
web = ["flask>2"]
tests = ["pytest", "my-lib[web]"]
docs = ["sphinx"]
[project.scripts]
lib = "my_lib:main"
[project.entry-points.pytest11]
plugin = "my_lib.plugin"
"""


def test_runtime_and_test_requirements_of_pyproject_are_found() -> None:
    found = project({"pyproject.toml": PYPROJECT, "src/my_lib/__init__.py": ""})
    assert found.name == "my-lib"
    assert found.requires_python == ">=3.9"
    assert found.requires == ("attrs>=21", "flask>2", "pytest", 'tomli ; python_version < "3.11"')
    assert found.entry_points == (
        ("console_scripts", "lib", "my_lib:main"),
        ("pytest11", "plugin", "my_lib.plugin"),
    )
    assert (found.import_roots, found.import_names) == (("src",), ("my_lib",))
    assert not found.needs_build


def test_pytest_is_always_there() -> None:
    assert project({"pyproject.toml": "[project]\nname = 'x'\n"}).requires == ("pytest",)
    assert project({}).requires == ("pytest",)


def test_dependency_groups_include_each_other_even_in_a_circle() -> None:
    text = """
    [project]
    name = "x"
    [dependency-groups]
    tests = ["hypothesis", {include-group = "Extra_Things"}]
    extra-things = ["dirty-equals", {include-group = "tests"}]
    docs = ["furo"]
    """
    assert project({"pyproject.toml": text}).requires == ("dirty-equals", "hypothesis", "pytest")


def test_development_tools_are_left_out_unless_a_test_imports_them() -> None:
    text = "[project]\nname = 'x'\n[dependency-groups]\ndev = ['mypy', 'ruff', 'anyio']\n"
    assert project({"pyproject.toml": text}).requires == ("anyio", "pytest")
    found = project({"pyproject.toml": text, "tests/test_api.py": "from mypy import api\n"})
    assert found.requires == ("anyio", "mypy", "pytest")


@pytest.mark.parametrize(
    "source",
    [
        "import aiohttp.web\n",
        "def test():\n    from aiohttp import web\n",
        "import pytest\naio = pytest.importorskip('aiohttp')\n",
        "pytest_plugins = ['aiohttp.pytest_plugin']\n",
    ],
)
def test_optional_dependencies_that_tests_import_are_found_in_any_group(source: str) -> None:
    text = "[project]\nname = 'x'\n[project.optional-dependencies]\nspecial = ['aiohttp>=3', 'flask']\n"
    assert project({"pyproject.toml": text, "tests/test_a.py": source}).requires == ("aiohttp>=3", "pytest")


def test_import_names_that_differ_from_distribution_names_are_known() -> None:
    names = ("PyYAML>5", "python-dateutil", "zope.interface", "google-cloud-storage", "Pillow")
    tox = "[testenv:docs]\ndeps =\n" + "".join(f"  {name}\n" for name in names)
    source = "import yaml, dateutil.parser, PIL\nfrom zope import interface\nimport google.cloud.storage\n"
    found = project({"tox.ini": tox, "tests/test_a.py": source})
    assert found.requires == (
        "google-cloud-storage", "pillow", "pytest", "python-dateutil", "pyyaml>5", "zope-interface",
    )  # fmt: skip


def test_sources_that_disagree_about_an_imported_distribution_leave_its_version_open() -> None:
    tox = "[testenv]\ndeps =\n  old42: django<5\n  new52: django>=5\n"
    assert project({"tox.ini": tox, "tests/test_a.py": "import django\n"}).requires == ("django", "pytest")


def test_documents_count_only_where_their_examples_are_tests() -> None:
    groups = "[project]\nname='x'\n[dependency-groups]\ndocs=['sqlalchemy']\n"
    files = {"docs/a.md": "```python\nfrom sqlalchemy import text\n```\n"}
    assert project({"pyproject.toml": groups, **files}).requires == ("pytest",)
    tested = f"{groups}tests=['sybil']\n"
    assert "sqlalchemy" in project({"pyproject.toml": tested, **files}).requires


def test_setup_cfg_is_read() -> None:
    text = """
[metadata]
name = old
description = An old library
[options]
python_requires = >=3.6
install_requires =
    six>=1.0  # comment
package_dir =
    =lib
[options.extras_require]
test =
    mock; python_version<"3.8"
    coverage
[options.entry_points]
console_scripts =
    old = old.cli:main
"""
    found = project({"setup.cfg": text, "lib/old/__init__.py": "", "lib/old/cli.py": ""})
    assert (found.name, found.requires_python, found.import_roots) == ("old", ">=3.6", ("lib",))
    assert found.requires == ("coverage", 'mock ; python_version < "3.8"', "pytest", "six>=1.0")
    assert found.entry_points == (("console_scripts", "old", "old.cli:main"),)
    assert ("Summary", "An old library") in found.headers


def test_setup_py_is_read_through_its_names_and_sums_and_never_run(tmp_path: Path) -> None:
    text = f"""
import os, re
from setuptools import setup, find_packages
open({str(tmp_path)!r} + "/ran", "w")
NAME = "oldest"
META = re.search("x", os.environ["NOWHERE"]).group(1)
EXTRAS = {{"docs": ["sphinx"], "tests": ["hypothesis", "pympler"]}}
EXTRAS["dev"] = EXTRAS["tests"] + EXTRAS["docs"] + ["pre-commit"]
INSTALL = ["six"]
INSTALL += ["zipp"]
if __name__ == "__main__":
    setup(name=NAME, version=META, install_requires=INSTALL + ["toml"], extras_require=EXTRAS,
          tests_require="mock\\nnose>1", package_dir={{"": "src"}}, python_requires=">=2.7, !=3.0.*",
          entry_points={{"pytest11": ["oldest = oldest.plugin"]}}, project_urls={{"Source": "u"}},
          **dict(zip_safe=False))
"""
    found = project({"setup.py": text, "src/oldest/__init__.py": ""})
    assert found.requires == ("hypothesis", "mock", "nose>1", "pympler", "pytest", "six", "toml", "zipp")
    assert found.entry_points == (("pytest11", "oldest", "oldest.plugin"),)
    assert found.requires_python == "!=3.0.*,>=2.7"
    assert not (tmp_path / "ran").exists()


def test_old_conditional_extras_become_markers() -> None:
    extras = "{':python_version<\"3.4\"': ['enum34']}"
    text = f"from setuptools import setup\nsetup(name='x', extras_require={extras})\n"
    assert project({"setup.py": text}).requires == ('enum34 ; python_version < "3.4"', "pytest")


def test_requirements_files_follow_includes_and_ignore_options() -> None:
    files = {
        "setup.py": "from setuptools import setup\nsetup(name='x', install_requires=['six'])\n",
        "requirements/test.txt": "-r base.txt\n--index-url https://example.invalid\n"
        "pytest-cov>=2  # why\n-e .[web]\n"
        "git+https://example.invalid/a.git\nmarked==1.0 \\\n    --hash=sha256:00\n",
        "requirements/base.txt": "-r test.txt\nrequests\n",
        "requirements/docs.txt": "sphinx\n",
    }
    assert project(files).requires == ("marked==1.0", "pytest", "pytest-cov>=2", "requests", "six")


def test_a_bare_requirements_file_counts_when_nothing_else_is_declared() -> None:
    assert project({"requirements.txt": "flask==2.0\n"}).requires == ("flask==2.0", "pytest")
    declared = {
        "requirements.txt": "flask==2.0\n",
        "pyproject.toml": "[project]\nname='x'\ndependencies=['six']\n",
    }
    assert project(declared).requires == ("pytest", "six")


def test_compiled_requirements_are_pins_of_the_file_they_come_from() -> None:
    files = {"requirements-test.in": "attrs\n", "requirements-test.txt": "attrs==23.1.0\nsix==1.16 # via\n"}
    found = project(files)
    assert found.requires == ("attrs", "pytest")
    assert found.constraints == ("attrs==23.1.0", "six==1.16")


def test_own_locks_pin_what_they_name_once() -> None:
    uv = """
[[package]]
name = "x"
version = "1.0"
source = { editable = "." }
[[package]]
name = "Attrs"
version = "23.1.0"
[[package]]
name = "numpy"
version = "1.26.0"
[[package]]
name = "numpy"
version = "2.0.0"
"""
    pipfile = '{"default": {"six": {"version": "==1.16.0"}}, "develop": {"local": {"path": "."}}}'
    found = project({"pyproject.toml": "[project]\nname='x'\n", "uv.lock": uv, "Pipfile.lock": pipfile})
    assert found.constraints == ("attrs==23.1.0", "six==1.16.0")


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[build-system]\nrequires=['maturin']\nbuild-backend='maturin'\n"},
        {"setup.py": "from setuptools import setup\nsetup(ext_modules=[1])\n"},
        {"setup.py": "from setuptools import setup\nsetup(cffi_modules=['a:b'])\n"},
        {"pkg/__init__.py": "", "pkg/fast.pyx": ""},
    ],
)
def test_extension_modules_need_a_build(files: dict[str, str]) -> None:
    assert project(files).needs_build


def test_build_requirements_are_no_requirements_of_the_tests() -> None:
    build = "[build-system]\nrequires=['setuptools>=60', 'Cython']\nbuild-backend='setuptools.build_meta'\n"
    for files in ({"pyproject.toml": build}, {"pyproject.toml": build, "pkg/a.pyx": ""}):
        assert project(files).requires == ("pytest",)
        assert project(files).build_requires == ("cython", "setuptools>=60")


def test_packages_beside_the_tests_are_told_from_them() -> None:
    files = dict.fromkeys(
        ("x/__init__.py", "tests/__init__.py", "docs/conf.py", "setup.py", "benchmarks/__init__.py"), ""
    )
    found = project({**files, "pyproject.toml": "[project]\nname='x'\n"})
    assert (found.import_roots, found.import_names) == (("",), ("x",))


def test_a_single_module_is_its_own_import_name() -> None:
    found = project({"single.py": "", "conftest.py": "", "pyproject.toml": "[project]\nname='single'\n"})
    assert (found.import_roots, found.import_names) == (("",), ("single",))


def test_version_modules_that_a_build_would_write_are_named() -> None:
    text = "[project]\nname='x'\n[tool.hatch.build.hooks.vcs]\nversion-file='src/x/_version.py'\n"
    assert project({"pyproject.toml": text}).generated == ("src/x/_version.py",)
    assert project({"pyproject.toml": text, "src/x/_version.py": ""}).generated == ()


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[project\nname="},
        {"setup.py": "print 'python 2'\n"},
        {"setup.cfg": "[options\ninstall_requires = x"},
        {"tox.ini": "no section\n"},
        {"noxfile.py": "def :"},
        {"uv.lock": "{", "Pipfile.lock": "["},
        {"requirements.txt": "???\n-r requirements.txt\n-r gone.txt\n"},
        {"pyproject.toml": "[project]\nname='x'\nrequires-python='whatever'\ndependencies=['???', 'a @ file:///a']\n"},
    ],
)
def test_malformed_files_count_as_not_written(files: dict[str, str]) -> None:
    found = project(files)
    assert "pytest" in found.requires
    assert found.requires_python == ""


def test_a_self_reference_in_a_circle_ends() -> None:
    text = "[project]\nname='x'\n[project.optional-dependencies]\ntests=['x[dev]', 'a']\ndev=['X[tests]', 'b']\n"
    assert project({"pyproject.toml": text}).requires == ("a", "b", "pytest")


def test_discovery_does_not_depend_on_the_order_of_paths() -> None:
    files = {
        "pyproject.toml": PYPROJECT,
        "requirements-dev.txt": "b\na\n",
        "src/my_lib/__init__.py": "",
        "tox.ini": "",
    }
    contents = {path: text.encode() for path, text in files.items()}
    assert discover(contents.get, sorted(contents)) == discover(contents.get, sorted(contents, reverse=True))


def test_a_module_that_tests_look_for_before_they_use_it_is_required_when_some_extra_names_it() -> None:
    found = project(
        {
            "pyproject.toml": '[project]\nname = "x"\n[project.optional-dependencies]\ndocs = ["trio"]\n',
            "x.py": "",
            "tests/conftest.py": 'import importlib.util\n\nhave_trio = importlib.util.find_spec("trio")\n',
        }
    )
    assert "trio" in found.requires
