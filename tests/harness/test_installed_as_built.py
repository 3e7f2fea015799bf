"""A repository's tests see what an installation by its own back end gives, whatever the back end is."""

import subprocess
from pathlib import Path

import pytest

from harness.mining import mine
from harness.packages.building import with_builder
from harness.packages.locking import find_environments
from harness.packages.prepare import validate_candidate
from models.manifest import Commit, Instance
from repos.git import Git
from runtime.trees import Runtime
from tests.support.mining_history import Entry, write_history

pytestmark = [pytest.mark.index, pytest.mark.slow]

SOURCE = "def one():\n    return 1\n"
TWO = SOURCE + "\n\ndef two():\n    return 2\n"
PROJECT = '[project]\nname = "little"\nrequires-python = ">=3.9"\n'
VERSION_TEST = (
    "import importlib.metadata\nimport little\nfrom little._version import version\n\n\n"
    "def test_two():\n    assert little.two() == 2\n"
    "    assert importlib.metadata.version('little') == version == '1.2.3'\n"
)


def system(requires: str, backend: str) -> str:
    return f"[build-system]\nrequires = [{requires}]\nbuild-backend = '{backend}'\n"


PLAIN_TEST = "import little\n\n\ndef test_two():\n    assert little.two() == 2\n"
EXTENSION = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyObject *two(PyObject *self, PyObject *args) { return PyLong_FromLong(2); }
static PyMethodDef methods[] = {{"two", two, METH_NOARGS, ""}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fast", NULL, -1, methods};
PyMODINIT_FUNC PyInit__fast(void) { return PyModule_Create(&module); }
"""
WITH_EXTENSION = "from little._fast import two\n\n\ndef one():\n    return 1\n"
COMMAND_TEST = (
    "import importlib.metadata\nimport subprocess\n\n\ndef test_two():\n"
    "    assert subprocess.run(['little-two'], capture_output=True, check=True).stdout == b'2\\n'\n"
    "    assert importlib.metadata.entry_points is not None\n"
)
PRINTING = TWO + "\n\ndef main():\n    print(two())\n"
FLAT = {"little/__init__.py": SOURCE}
SRC = {"src/little/__init__.py": SOURCE}

# name -> files of the parent, files that the commit changes, its test
REPOSITORIES: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "hatch-vcs": (
        {"pyproject.toml": system("'hatchling', 'hatch-vcs'", "hatchling.build") + PROJECT
         + 'dynamic = ["version"]\n[tool.hatch.version]\nsource = "vcs"\n'
         + '[tool.hatch.build.hooks.vcs]\nversion-file = "src/little/_version.py"\n', **SRC},
        {"src/little/__init__.py": TWO}, VERSION_TEST,
    ),
    "setuptools-scm, setup.py only": (
        {"setup.py": "from setuptools import setup\nsetup(name='little', packages=['little'],\n"
                     "      package_dir={'': 'src'}, setup_requires=['setuptools_scm'],\n"
                     "      use_scm_version={'write_to': 'src/little/_version.py'})\n", **SRC},
        {"src/little/__init__.py": TWO}, VERSION_TEST,
    ),
    "pdm, flat, write_to": (
        {"pyproject.toml": system("'pdm-backend'", "pdm.backend") + PROJECT
         + 'dynamic = ["version"]\n[tool.pdm.version]\nsource = "scm"\nwrite_to = "little/_version.py"\n'
         + "write_template = \"version = '{}'\\n\"\n", **FLAT},
        {"little/__init__.py": TWO}, VERSION_TEST,
    ),
    "versioningit": (
        {"pyproject.toml": system("'setuptools', 'versioningit'", "setuptools.build_meta") + PROJECT
         + 'dynamic = ["version"]\n[tool.versioningit.write]\nfile = "src/little/_version.py"\n'
         + "template = 'version = \"{version}\"'\n", **SRC},
        {"src/little/__init__.py": TWO}, VERSION_TEST,
    ),
    "setuptools with an extension in C, setup.py only": (
        {"setup.py": "from setuptools import Extension, setup\nsetup(name='little', version='1', packages=['little'],\n"
                     "      package_dir={'': 'src'}, ext_modules=[Extension('little._fast', ['src/fast.c'])])\n",
         "src/fast.c": EXTENSION, **SRC},
        {"src/little/__init__.py": WITH_EXTENSION}, PLAIN_TEST,
    ),
    "a namespace below src, found by setuptools": (
        {"pyproject.toml": system("'setuptools>=61'", "setuptools.build_meta") + PROJECT + 'version = "1"\n',
         "src/wide/little/core.py": SOURCE},
        {"src/wide/little/core.py": TWO},
        "from wide.little import core\n\n\ndef test_two():\n    assert core.two() == 2\n",
    ),
    "flit, a namespace": (
        {"pyproject.toml": system("'flit_core>=3.4'", "flit_core.buildapi")
         + '[project]\nname = "wide-little"\nversion = "1"\ndescription = "x"\n'
         + '[tool.flit.module]\nname = "wide.little"\n',
         "src/wide/little/__init__.py": '"""Little."""\n' + SOURCE},
        {"src/wide/little/__init__.py": '"""Little."""\n' + TWO},
        "import wide.little\n\n\ndef test_two():\n    assert wide.little.two() == 2\n",
    ),
    "poetry, with a command": (
        {"pyproject.toml": system("'poetry-core'", "poetry.core.masonry.api")
         + '[tool.poetry]\nname = "little"\nversion = "1"\ndescription = "x"\nauthors = ["a <a@b.c>"]\n'
         + '[tool.poetry.scripts]\nlittle-two = "little:main"\n', **SRC},
        {"src/little/__init__.py": PRINTING}, COMMAND_TEST,
    ),
    "meson-python": (
        {"pyproject.toml": system("'meson-python'", "mesonpy") + PROJECT + 'version = "1"\n',
         "meson.build": "project('little', 'c', version: '1')\npy = import('python').find_installation(pure: false)\n"
                        "py.extension_module('_fast', 'fast.c', subdir: 'little', install: true)\n"
                        "py.install_sources('little/__init__.py', subdir: 'little')\n",
         "fast.c": EXTENSION, **FLAT},
        {"little/__init__.py": WITH_EXTENSION}, PLAIN_TEST,
    ),
    "a package under another name": (
        {"setup.py": "from setuptools import setup\nsetup(name='little', version='1', packages=['little'],\n"
                     "      package_dir={'little': 'code'})\n", "code/__init__.py": SOURCE},
        {"code/__init__.py": TWO}, PLAIN_TEST,
    ),
}  # fmt: skip


def prepared(runtime: Runtime, path: Path, name: str) -> Instance:
    before, after, test = REPOSITORIES[name]
    git = write_history(
        path / "little.git",
        [
            Entry("Start a project", {**before, "tests/test_one.py": "def test_one():\n    pass\n"}),
            Entry("Add a second number to the project", {**after, "tests/test_two.py": test}),
        ],
    )
    subprocess.run(["git", "-C", str(git.directory), "tag", "v1.2.3", "HEAD~1"], check=True)
    (commit,) = mined(git)
    packages, cache = path / "packages", path / "cache"
    (candidate,) = find_environments(git, [commit], packages, cache)
    candidate = with_builder(runtime, git, candidate, packages, cache)
    assert candidate.builder is not None, candidate.unbuilt or candidate.detail
    instance, _ = validate_candidate(runtime, git, candidate, packages, cache)
    return instance


def mined(git: Git) -> tuple[Commit, ...]:
    return mine(git).commits


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_commit_is_valid_with_the_installation_of_its_own_back_end(
    runtime: Runtime, tmp_path: Path, name: str
) -> None:
    instance = prepared(runtime, tmp_path, name)
    assert (instance.reason, instance.detail) == (None, "")
    assert instance.fail_to_pass == ("tests/test_two.py::test_two",)
    assert instance.build is not None
