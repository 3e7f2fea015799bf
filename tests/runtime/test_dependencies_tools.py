"""Requirements in the files of tox, nox, poetry, pipenv, hatch, pdm, uv, flit and setuptools' dynamic fields."""

import pytest

from tests.support.projects import project

DATACLASSES = 'dataclasses ; python_version == "3.8" or python_version == "3.9"'


def test_tox_environments_that_test_are_told_from_those_that_do_not() -> None:
    text = """
[base]
deps =
    hypothesis
[testenv]
extras = web
deps =
    {[base]deps}
    py38,py39: dataclasses
    py{36,37}: numpy<1.20
    django42: django<5
    docs: sphinx
    -rextra.txt
[testenv:lint]
deps = flake8-bugbear
extras = lints
[testenv:{mypy,pyright}]
deps = django-stubs
"""
    pyproject = "[project]\nname='x'\n[project.optional-dependencies]\nweb=['flask']\nlints=['pylama']\n"
    found = project({"tox.ini": text, "extra.txt": "psutil\n", "pyproject.toml": pyproject})
    assert found.requires == (DATACLASSES, "flask", "hypothesis", "psutil", "pytest")


def test_nox_sessions_are_read() -> None:
    text = """
import nox
@nox.session(python=["3.12"])
@nox.parametrize("extra", [[], ["structlog"]])
def tests(session, extra):
    session.install("-r", "extra.txt", "coverage[toml]", ".[web]", "--group", "unit", *extra)
    session.run("coverage", "run", "-m", "pytest")
@nox.session
def docs(session):
    session.install("sphinx")
"""
    extras = "[project]\nname='x'\n[project.optional-dependencies]\nweb=['flask']\n"
    pyproject = extras + "[dependency-groups]\nunit=['trio']\n"
    files = {"noxfile.py": text, "extra.txt": "psutil\n", "pyproject.toml": pyproject}
    assert project(files).requires == ("coverage[toml]", "flask", "psutil", "pytest", "trio")
    imported = {
        **files,
        "src/x/__init__.py": "try:\n    import structlog\nexcept ImportError:\n    structlog = None\n",
    }
    assert "structlog" in project(imported).requires


@pytest.mark.parametrize("called", ["nox.project.dependency_groups", "dependency_groups"])
def test_groups_that_nox_reads_out_of_pyproject_are_no_packages(called: str) -> None:
    text = f"""
@nox.session
def tests(session):
    session.install("-e", ".", *{called}(PYPROJECT, "test", "typing"), "psutil")
    session.run("pytest")
@nox.session
def docs(session):
    session.install(*nox.project.dependency_groups(PYPROJECT, "docs"))
"""
    groups = "[dependency-groups]\ntest=['trio']\ntyping=['attrs']\ndocs=['furo']\n"
    files = {"noxfile.py": text, "pyproject.toml": f"[project]\nname='x'\n{groups}"}
    assert project(files).requires == ("attrs", "psutil", "pytest", "trio")


def test_poetry_tables_are_read() -> None:
    text = """
    [tool.poetry]
    name = "poem"
    description = "A poem"
    packages = [{include = "poem", from = "src"}]
    [tool.poetry.dependencies]
    python = "^3.8"
    requests = "^2.25"
    local = {path = "../local"}
    redis = {version = "~4.1", optional = true, extras = ["hiredis"]}
    typing-extensions = {version = "*", python = "<3.10"}
    [tool.poetry.extras]
    cache = ["redis"]
    [tool.poetry.group.test.dependencies]
    pytest = ">=7"
    [tool.poetry.dev-dependencies]
    freezegun = "1.2.0"
    """
    found = project({"pyproject.toml": text, "src/poem/__init__.py": ""})
    assert (found.name, found.requires_python, found.import_roots) == ("poem", "<4,>=3.8", ("src",))
    assert found.requires == (
        "freezegun==1.2.0", "pytest>=7", "requests<3,>=2.25", 'typing-extensions ; python_version < "3.10"',
    )  # fmt: skip
    assert found.extras == ("cache",)
    imported = project({"pyproject.toml": text, "src/poem/__init__.py": "import redis\n"})
    assert "redis[hiredis]<4.2,>=4.1" in imported.requires


def test_pipfile_hatch_pdm_uv_and_flit_are_read() -> None:
    assert project({"Pipfile": "[packages]\nflask='*'\n[dev-packages]\nmock='>=4'\n"}).requires == (
        "flask", "mock>=4", "pytest",
    )  # fmt: skip
    text = """
    [tool.flit.metadata]
    module = "x"
    requires = ["six"]
    [tool.flit.metadata.requires-extra]
    test = ["responses"]
    [tool.hatch.envs.default]
    dependencies = ["anyio"]
    [tool.hatch.envs.docs]
    dependencies = ["mkdocs"]
    [tool.pdm.dev-dependencies]
    test = ["trio"]
    [tool.uv]
    dev-dependencies = ["psutil"]
    """
    assert project({"pyproject.toml": text}).requires == (
        "anyio",
        "psutil",
        "pytest",
        "responses",
        "six",
        "trio",
    )


def test_dynamic_dependencies_are_read_from_their_files() -> None:
    text = """
    [project]
    name = "x"
    dynamic = ["dependencies"]
    [tool.setuptools.dynamic]
    dependencies = {file = ["deps.txt"]}
    optional-dependencies.test = {file = "deps-test.txt"}
    """
    found = project({"pyproject.toml": text, "deps.txt": "six\n", "deps-test.txt": "mock\n"})
    assert found.requires == ("mock", "pytest", "six")
