"""Packaging files of a repository that are to end the reading of it, exhaust it, or have files written for them."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.attacks.base import Attack, GotThrough
from repos.trees import overlay
from runtime.environments import discover, generated_files, own_metadata

KIND = "packaging files"
_STEERING = ("conftest.py", "setup.py", "pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", "test_a.py")
_SETUP = "from setuptools import setup\n"
_LONG, _NUMBER = "a" * 300, "5" * 5000


def attacks() -> list[Attack]:
    """One attack per malformed value, script, and place to write to."""
    lines = {f"project table: {_named(line)}": {"pyproject.toml": f"[project]\n{line}\n"} for line in _LINES}
    tools = {f"tool table: {_named(line)}": {"pyproject.toml": f"{line}\n"} for line in _TOOLS}
    cases = lines | tools | {f"file: {name}": files for name, files in _FILES.items()}
    writes = [Attack(KIND, f"written by a build: {path[:40]}", partial(_written, path)) for path in _TARGETS]
    return [*(Attack(KIND, name, partial(_read, files)) for name, files in cases.items()), *writes]


def _named(line: str) -> str:
    return " ".join(line.split())[:40]


_LINES = (
    "dependencies = 5", "name = 5", f"name = '{_LONG}'", "name = 'a\\n[x]'", "authors = [5]", "authors = [{name = 5}]",
    "keywords = [5]", "urls = 5", "scripts = [1]", "entry-points = {a = 5}", "optional-dependencies = [1]",
    f"requires-python = '>={_NUMBER}'", f"dependencies = [{_NUMBER}]", f"dependencies = ['a ; {'(' * 5000}']",
    f"x = {'[' * 20_000}", "classifiers = 5", "license = {text = [1]}",
)  # fmt: skip
_TOOLS = (
    "tool = 5", "build-system = [1]", "dependency-groups = {a = 5}", "[tool]\npoetry = [1]", "[tool.poetry]\ngroup = 5",
    "[tool.poetry]\npackages = [5]", f"[tool.poetry.dependencies]\na = '^{_NUMBER}'", "[tool.hatch]\nenvs = {a = 5}",
    "[tool.setuptools]\npackage-dir = {'' = 5}", "[tool.setuptools.dynamic]\ndependencies = {file = [[1]]}",
    "[tool.tox]\nenv = {a = {deps = 5}}", "[tool.flit]\nmetadata = 5", "[tool.pdm]\nversion = 5",
    "[dependency-groups]\n" + "\n".join(f"g{n} = [{{include-group = 'g{n + 1}'}}, {{include-group = 'g{n + 1}'}}]"
                                        for n in range(60)),
)  # fmt: skip
_FILES: Mapping[str, Mapping[str, str]] = {
    "setup.py of minus signs": {"setup.py": "-" * 200_000 + "1"},
    "setup.py of plus signs": {"setup.py": "+".join(["1"] * 20_000)},
    "setup.py with a lone surrogate": {"setup.py": _SETUP + r'setup(name="lib", description="a\ud800")'},
    "setup.py that doubles a text": {"setup.py": "x = 'aa'\n" + "x = x + x\n" * 60 + _SETUP + "setup(description=x)"},
    "setup.py that doubles a list": {"setup.py": "x = ['a']\n" + "x += x\n" * 60 + _SETUP + "setup(py_modules=x)"},
    "setup.py with a wide format": {"setup.py": _SETUP + "setup(name='lib', description='%9999999999d' % 1)"},
    "setup.cfg that continues nothing": {
        "setup.cfg": "[metadata]\nname\n  more\n",
        "tox.ini": "[testenv]\ndeps\n  x\n",
    },
    "noxfile of minus signs": {"noxfile.py": "-" * 200_000 + "1"},
    "tests of minus signs": {"tests/test_a.py": "-" * 200_000 + "1"},
    "requirements that include each other": {
        f"requirements/{n}.txt": f"-r {n + 1}.txt\n-r {n + 1}.txt\n" for n in range(60)
    },
    "Pipfile.lock of brackets": {"Pipfile.lock": "[" * 100_000},
    "Pipfile.lock that is a number": {"Pipfile.lock": _NUMBER},
    "uv.lock with packages of numbers": {"uv.lock": "package = [1, 2]"},
    "package with a long name": {f"src/{'é' * 120}/__init__.py": ""},
}


def _read(files: Mapping[str, str], scratch: Path) -> str:
    contents = {path: text.encode() for path, text in {"lib/__init__.py": "", **files}.items()}
    project = discover(contents.get, sorted(contents))
    (scratch / "metadata").mkdir()
    overlay(scratch / "metadata", own_metadata(project, "1.0"))
    return f"read as {project.name}"


_TARGETS = (
    *_STEERING, *(f"lib/../{name}" for name in _STEERING), "lib/conftest.py", "tests/test_b.py", "./conftest.py",
    f"lib/{'a' * 250}.py", "lib", "lib/__init__.py", "lib/__init__.py/x.py", "../x.py", "/tmp/x.py", ".git/hooks/x",
    "lib/Conftest.py", "lib//conftest.py", "x/" * 2100 + "y.py",
)  # fmt: skip


def _written(path: str, scratch: Path) -> str:
    text = f'[project]\nname = "lib"\n[tool.setuptools_scm]\nwrite_to = "{path}"\n'
    contents = {"pyproject.toml": text.encode(), "lib/__init__.py": b""}
    generated = generated_files(discover(contents.get, sorted(contents)), "1.0")
    overlay(scratch, {name: (content.encode(), False) for name, content in generated.items()})
    if written := [str(file) for file in scratch.rglob("*") if file.is_file()]:
        raise GotThrough(f"{written[0]} is written")
    return "nothing is written"
