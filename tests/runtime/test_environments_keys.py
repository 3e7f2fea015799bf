"""Versions, keys, interpreters and metadata: the small rules that environments follow."""

import importlib.metadata
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from models.errors import EnvironmentFault
from repos.trees import overlay
from runtime.environments import (
    REQUIRED,
    EnvironmentStore,
    Interpreter,
    build_command,
    build_variables,
    built_wheel,
    choose_interpreter,
    discover,
    environment_key,
    fetch_wheels,
    generated_files,
    installed_interpreters,
    lock,
    own_metadata,
    pretend_version,
    requirements_command,
    spec_key,
    wheel_contents,
)
from runtime.environments.poetry import constraint
from runtime.environments.resolve import applicable

RELEASES = st.lists(st.integers(0, 30), min_size=1, max_size=3).map(tuple)


def text(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))


@given(RELEASES, RELEASES)
def test_a_caret_allows_what_keeps_the_leftmost_number_that_is_not_zero(
    base: tuple[int, ...], other: tuple[int, ...]
) -> None:
    allowed = SpecifierSet(constraint(f"^{text(base)}")).contains(text(other))
    padded, candidate = (*base, 0, 0)[:3], (*other, 0, 0)[:3]
    leftmost = next((i for i, n in enumerate(base) if n), len(base) - 1)
    assert allowed == (candidate >= padded and candidate[: leftmost + 1] == padded[: leftmost + 1])


@given(RELEASES, RELEASES)
def test_a_tilde_allows_what_keeps_the_minor_version(base: tuple[int, ...], other: tuple[int, ...]) -> None:
    allowed = SpecifierSet(constraint(f"~{text(base)}")).contains(text(other))
    padded, candidate, kept = (*base, 0, 0)[:3], (*other, 0, 0)[:3], min(len(base), 2)
    assert allowed == (candidate >= padded and candidate[:kept] == padded[:kept])


@pytest.mark.parametrize(
    ("poetry", "pep440"),
    [
        ("*", ""), ("1.2.3", "==1.2.3"), ("1.2.*", "==1.2.*"), (">=1,<2", ">=1,<2"), (">=1 <2", ">=1,<2"),
        ("^2.0 || ^3.0", ">=3.0,<4"), ("~=1.4", "~=1.4"), ("^0.0.3", ">=0.0.3,<0.0.4"), (">= 1.5", ">=1.5"),
        ("^1.2rc1", ">=1.2rc1,<2"),
    ],
)  # fmt: skip
def test_poetry_constraints_have_pep_440_equivalents(poetry: str, pep440: str) -> None:
    assert constraint(poetry) == pep440


@pytest.mark.parametrize(
    ("tag", "version"),
    [("v1.2.3", "1.2.3"), ("1.0", "1.0"), ("pkg-2.1.0rc1", "2.1.0rc1"),
     ("release/v3", "3"), ("nightly", "0"), (None, "0"),
     ("pkg_v1.1", "1.1"), ("1.0-final-cut", "0")],
)  # fmt: skip
def test_a_tag_gives_the_version_that_it_names(tag: str | None, version: str) -> None:
    assert pretend_version(tag) == version


@given(st.lists(st.text("abc-=<>1.0", min_size=1), max_size=5), st.randoms())
def test_a_key_ignores_the_order_of_requirements_and_nothing_else(requires: list[str], random: object) -> None:
    shuffled = list(requires)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    key = environment_key(tuple(requires), "a==1\n", "cp312")
    assert key == environment_key(tuple(shuffled), "a==1\n", "cp312")
    others = {
        environment_key((*requires, "new"), "a==1\n", "cp312"),
        environment_key(tuple(requires), "a==2\n", "cp312"),
        environment_key(tuple(requires), "a==1\n", "cp313"),
    }
    assert len(others | {key}) == 4


def interpreter(version: str) -> Interpreter:
    minor = version.rpartition(".")[0]
    return Interpreter(minor, version, f"cp{minor.replace('.', '')}", Path("/python"), Path("/"))


INSTALLED = [interpreter(v) for v in ("3.13.0", "3.12.1", "3.11.7", "3.9.18")]


@pytest.mark.parametrize(
    ("specifier", "day", "expected"),
    [
        (">=3.9", "2024-10-07", "3.13.0"),
        (">=3.9", "2024-10-06", "3.12.1"),
        (">=3.9", "2022-01-01", "3.9.18"),
        (">=3.9,<3.12", "2025-01-01", "3.11.7"),
        (">=3.12", "2020-01-01", "3.12.1"),
        ("", "2019-01-01", "3.9.18"),
    ],
)
def test_the_newest_interpreter_of_the_time_is_chosen(specifier: str, day: str, expected: str) -> None:
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert choose_interpreter(specifier, moment, INSTALLED).full == expected


def test_a_specifier_that_no_interpreter_satisfies_is_named() -> None:
    with pytest.raises(EnvironmentFault, match=r"'<3\.7'.*3\.13\.0"):
        choose_interpreter("<3.7", datetime.now(UTC), INSTALLED)


def test_installed_interpreters_are_real_distinct_and_newest_first() -> None:
    found = installed_interpreters()
    assert [i.executable for i in found] == list(dict.fromkeys(i.executable.resolve() for i in found))
    assert found == tuple(sorted(found, key=lambda i: Version(i.full), reverse=True))
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in {i.version for i in found}
    for one in found:
        assert (one.prefix / "bin").is_dir()


def test_requirements_for_other_interpreters_do_not_change_the_spec_key() -> None:
    files = {"pyproject.toml": b"[project]\nname='x'\ndependencies=['six']\n"}
    old = {"pyproject.toml": b"[project]\nname='x'\ndependencies=['six', \"tomli; python_version<'3.11'\"]\n"}
    new, conditional = discover(files.get, list(files)), discover(old.get, list(old))
    assert spec_key(new, INSTALLED[0]) == spec_key(conditional, INSTALLED[0])
    assert spec_key(new, INSTALLED[3]) != spec_key(conditional, INSTALLED[3])
    assert spec_key(new, INSTALLED[0]) != spec_key(new, INSTALLED[1])
    assert spec_key(new, INSTALLED[0]) != spec_key(replace(new, constraints=("six==1.0",)), INSTALLED[0])


@pytest.mark.parametrize(
    ("files", "newest", "before"),
    [
        ({"pyproject.toml": b"[project]\nname='x'\n"}, set(), {"setuptools"}),
        (
            {"pyproject.toml": b"[project]\nname='x'\ndependencies=['setuptools<60']\n"},
            {"setuptools<60"},
            {"setuptools<60"},
        ),
        ({"pyproject.toml": b"[project]\nname='setuptools'\n"}, set(), set()),
    ],
)
def test_a_python_with_setuptools_in_every_environment_has_it_in_ours(
    files: dict[str, bytes], newest: set[str], before: set[str]
) -> None:
    found = discover(files.get, list(files))
    assert {text for text in applicable(found, INSTALLED[1]) if text.startswith("setuptools")} == newest
    assert {text for text in applicable(found, INSTALLED[2]) if text.startswith("setuptools")} == before


METADATA = b"""
[project]
name = "My.Lib"
description = "Does things"
requires-python = ">=3.9"
dependencies = ["six>=1"]
authors = [{name = "A", email = "a@example.org"}]
[project.urls]
GitHub = "https://example.org"
[project.entry-points.pytest11]
mine = "my_lib_plugin"
"""


def test_own_metadata_is_found_by_importlib_and_its_entry_points_load(tmp_path: Path) -> None:
    files = {"pyproject.toml": METADATA, "my_lib/__init__.py": b""}
    overlay(tmp_path, own_metadata(discover(files.get, list(files)), "1.4.0"))
    (tmp_path / "my_lib_plugin.py").write_text("VALUE = 5\n")
    (found,) = importlib.metadata.distributions(path=[str(tmp_path)])
    assert (found.name, found.version, found.requires) == ("my-lib", "1.4.0", ["six>=1"])
    assert found.metadata["Summary"] == "Does things"
    assert found.metadata["Author-email"] == "A <a@example.org>"
    assert found.metadata["Project-URL"] == "GitHub, https://example.org"
    assert all(file.locate().exists() for file in found.files or [])
    (plugin,) = found.entry_points.select(group="pytest11", name="mine")
    code = f"import {plugin.module}; print({plugin.module}.VALUE)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=True
    )
    assert done.stdout.strip() == b"5"


def test_generated_version_modules_hold_the_version() -> None:
    files = {"pyproject.toml": b"[project]\nname='x'\n[tool.setuptools_scm]\nwrite_to='x/_version.py'\n"}
    written = generated_files(discover(files.get, list(files)), "2.5.0rc1")
    names: dict[str, object] = {}
    exec(written["x/_version.py"], names)
    assert (names["version"], names["version_tuple"]) == ("2.5.0rc1", (2, 5, 0))


BACKEND = """
import subprocess
import zipfile
def get_requires_for_build_wheel(config_settings=None):
    return ["cython"]
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "x-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        tag = subprocess.run(["git", "describe", "--tags", "--match", "v*"], capture_output=True, check=True, text=True)
        archive.writestr("x.py", f"BUILT = {tag.stdout.strip()!r}\\n")
        archive.writestr("x-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: x\\nVersion: 1.0\\n")
    return name
"""


def test_a_build_command_calls_the_repository_s_own_back_end(tmp_path: Path) -> None:
    system = b"[build-system]\nrequires=[]\nbuild-backend='own'\nbackend-path=['_build']\n"
    files = {"pyproject.toml": system, "_build/own.py": BACKEND.encode(), "x.pyx": b""}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    found, output = discover(files.get, list(files)), tmp_path / "output"
    output.mkdir()
    environment = build_variables([], os.environ["PATH"], "2.0")
    for command in (build_command, requirements_command):
        words = command(found, Path(sys.executable), output, "2.0")
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, env={**os.environ, **environment})
    assert wheel_contents(built_wheel(output))["x.py"] == b"BUILT = 'v2.0'\n"
    assert json.loads((output / REQUIRED).read_text()) == ["cython"]


def test_a_build_without_one_wheel_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="0 wheels"):
        built_wheel(tmp_path)


@pytest.mark.index
def test_a_lock_is_dated_and_leaves_the_own_distribution_out(tmp_path: Path) -> None:
    files = {"pyproject.toml": b"[project]\nname='attrs'\ndependencies=['hypothesis']\n"}
    project, python = discover(files.get, list(files)), installed_interpreters()[0]
    environment = lock(project, python, date(2024, 5, 2))
    assert environment == lock(project, python, date(2024, 5, 2))
    assert "pytest==8.2.0" in environment.lock
    assert "attrs==" not in environment.lock
    wheels = fetch_wheels(environment, python, tmp_path / "packages")
    assert "pytest-8.2.0-py3-none-any.whl" in wheels
    with EnvironmentStore(tmp_path / "store", 1 << 30).acquire(environment, tmp_path / "packages") as built:
        version = [built.python, "-m", "pytest", "--version"]
        done = subprocess.run(version, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "8.2.0" in done.stdout + done.stderr


@pytest.mark.index
def test_a_pin_that_cannot_hold_is_dropped_and_a_contradiction_is_explained() -> None:
    project, python = discover(lambda _: None, []), installed_interpreters()[0]
    cutoff = date(2024, 5, 1) + timedelta(days=1)
    assert "pytest==8.1.0" in lock(replace(project, constraints=("pytest==8.1.0",)), python, cutoff).lock
    assert "pytest==8.2.0" in lock(replace(project, constraints=("pytest==99.0",)), python, cutoff).lock
    with pytest.raises(EnvironmentFault, match=r"cannot be resolved.*pytest>8.*pytest<8"):
        lock(replace(project, requires=("pytest>8", "pytest<8")), python, cutoff)


@pytest.mark.index
def test_a_test_requirement_without_a_wheel_is_left_out_and_a_runtime_one_is_a_fault() -> None:
    files = {"pyproject.toml": b"[project]\nname='x'\n[dependency-groups]\ntests=['docopt==0.6.2', 'six']\n"}
    project, python = discover(files.get, list(files)), installed_interpreters()[0]
    found = lock(project, python, date(2024, 5, 2))
    assert found.requires == ("pytest", "six")
    with pytest.raises(EnvironmentFault, match="docopt"):
        lock(replace(project, runtime=("docopt==0.6.2",)), python, date(2024, 5, 2))


@pytest.mark.index
def test_a_test_tool_is_left_out_for_what_it_needs_and_when_it_was_not_yet_released() -> None:
    project, python = discover(lambda _: None, []), installed_interpreters()[0]
    tools = replace(project, requires=("pytest", "pytest-black-multipy", "pytest-cov>=2.0,<3", "six"))
    assert [text for text in lock(tools, python, date(2018, 2, 20)).requires if text != "setuptools"] == [
        "pytest",
        "six",
    ]
    with pytest.raises(EnvironmentFault, match="coverage"):
        lock(replace(tools, runtime=("pytest-cov>=2.0,<3",)), python, date(2018, 2, 20))


@pytest.mark.index
def test_what_extends_the_interpreter_s_own_modules_is_not_older_than_it_can_bear() -> None:
    project, python = discover(lambda _: None, []), installed_interpreters()[0]
    needing = replace(project, requires=("importlib-metadata", "more-itertools"))
    found = lock(needing, python, date(2019, 7, 1)).lock
    assert "importlib-metadata==1.4.0" in found
    assert "more-itertools==7.1.0" in found
