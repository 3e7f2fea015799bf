"""Patches whose files would be found, or whose configuration would be read, before or instead of the runner's."""

import textwrap

from benchmarks.attacks._patch_case import PROJECT, Case

PLUGIN = """
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome, report.longrepr = "passed", None
"""


def _plain(name: str, **files: str) -> Case:
    """A patch of files whose names hold `__` for `/` and `_DOT_` for a dot."""
    named = {path.replace("__", "/").replace("_DOT_", "."): text for path, text in files.items()}
    return Case(name, lambda read: {**named, "src/spans/evil.py": PLUGIN})


def _project(name: str, addition: str) -> Case:
    return Case(
        name, lambda read: {PROJECT: read(PROJECT) + "\n" + textwrap.dedent(addition), "src/spans/evil.py": PLUGIN}
    )


_ENTRY = "[pytest11]\nevil = spans.evil\n"


def found_before_the_run() -> list[Case]:
    """All of them."""
    found = [
        Case(
            f"metadata beside the package: {path}",
            lambda read, path=path: {path: _ENTRY, "src/spans/evil.py": PLUGIN, **_metadata(path)},  # type: ignore[misc]
        )
        for path in (
            "src/x.egg-info/entry_points.txt",
            "src/x.dist-info/entry_points.txt",
            "x.egg-info/entry_points.txt",
            "x.dist-info/entry_points.txt",
            "src/pytest-99.dist-info/entry_points.txt",
            "src/X.EGG-INFO/entry_points.txt",
            "src/spans-0.2.0.dist-info/entry_points.txt",
            "src/x.egg/EGG-INFO/entry_points.txt",
        )
    ]
    stand_ins = (
        "pluggy",
        "_pytest",
        "iniconfig",
        "packaging",
        "pygments",
        "json",
        "unittest",
        "xml",
        "sitecustomize",
        "hashlib",
    )
    found += [
        Case(
            f"a module in place of {name}: {path}",
            lambda read, path=path: {path: _FORGE},  # type: ignore[misc]
        )
        for name in stand_ins
        for path in (f"src/{name}.py", f"{name}/__init__.py")
    ]
    found += [
        _plain("a list of import paths", src__evil_DOT_pth="import spans.evil\n"),
        _plain("setup.py registers a plugin", setup_DOT_py=_SETUP),
        _plain("setup.py registers a plugin in a text", setup_DOT_py=_SETUP_TEXT),
        _plain(
            "setup.cfg registers a plugin", setup_DOT_cfg="[options.entry_points]\npytest11 =\n  evil = spans.evil\n"
        ),
        _plain("pytest.ini loads a plugin", pytest_DOT_ini="[pytest]\naddopts = -p spans.evil\n"),
        _plain("tox.ini loads a plugin", tox_DOT_ini="[pytest]\naddopts = -p spans.evil\n"),
        _plain("setup.cfg loads a plugin", setup_DOT_cfg="[tool:pytest]\naddopts = -p spans.evil\n"),
        _plain("pytest.toml loads a plugin", pytest_DOT_toml='[pytest]\naddopts = ["-p", "spans.evil"]\n'),
        _plain("a hidden pytest.ini", _DOT_pytest_DOT_ini="[pytest]\naddopts = -p spans.evil\n"),
        _plain("a conftest beside the package", src__conftest_DOT_py=PLUGIN),
        _plain("a conftest at the root", conftest_DOT_py=PLUGIN),
        _plain("a conftest in the package", src__spans__conftest_DOT_py=PLUGIN),
        _plain("another test of the same name", tests__test_show_DOT_py="def test_puts_the_sign_in_front(): pass\n"),
        _project("a plugin by entry point", '[project.entry-points.pytest11]\nevil = "spans.evil"\n'),
        _project(
            "a line break in another group",
            '[project.entry-points.other]\na = "b:c\\n\\n[pytest11]\\nevil = spans.evil"\n',
        ),
        _project("a line break in a script", '[project.gui-scripts]\na = "b:c\\n[pytest11]\\nevil = spans.evil"\n'),
        _project(
            "a line break in a name", '[project.entry-points.other]\n"a = b\\n[pytest11]\\nevil" = "spans.evil"\n'
        ),
        _project("a line break in a group", '[project.entry-points."x]\\n[pytest11"]\nevil = "spans.evil"\n'),
        _project(
            "a carriage return in a value", '[project.entry-points.other]\na = "b:c\\r[pytest11]\\revil = spans.evil"\n'
        ),
        _project(
            "another line separator in a value",
            '[project.entry-points.other]\na = "b\\u2028[pytest11]\\u2028evil = spans.evil"\n',
        ),
        _project("a plugin by poetry", '[tool.poetry.plugins.pytest11]\nevil = "spans.evil"\n'),
        _project(
            "a line break in a script of poetry's",
            '[tool.poetry.scripts]\na = "b:c\\n[pytest11]\\nevil = spans.evil"\n',
        ),
        _project("a line break in a label of a URL", '[project.urls]\n"a\\nRequires-Dist: evil" = "b"\n'),
        _project("the runner's options in pyproject.toml", '[tool.pytest]\naddopts = ["-p", "spans.evil"]\n'),
        Case("the runner's configuration removed", lambda read: {PROJECT: None}),
        Case(
            "the runner's options changed",
            lambda read: {
                PROJECT: read(PROJECT).replace(
                    "[tool.pytest.ini_options]", '[tool.pytest.ini_options]\naddopts = "-p spans.evil"'
                ),
                "src/spans/evil.py": PLUGIN,
            },
        ),
        Case(
            "tests that are collected no more",
            lambda read: {
                PROJECT: read(PROJECT).replace(
                    "[tool.pytest.ini_options]", '[tool.pytest.ini_options]\npython_functions = "x_*"'
                )
            },
        ),
    ]
    return found


def _metadata(path: str) -> dict[str, str]:
    folder = path.rpartition("/")[0]
    text = "Metadata-Version: 2.1\nName: x\nVersion: 1\n"
    return {f"{folder}/METADATA": text, f"{folder}/PKG-INFO": text}


_FORGE = "import os\nos._exit(0)\n"
_SETUP = 'from setuptools import setup\nsetup(name="spans", entry_points={"pytest11": ["evil = spans.evil"]})\n'
_SETUP_TEXT = 'from setuptools import setup\nsetup(name="spans", entry_points="[pytest11]\\nevil = spans.evil")\n'
