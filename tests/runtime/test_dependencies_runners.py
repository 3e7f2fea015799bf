"""Requirements of the runner's configuration, and of tox, nox and hatch in all the files in which they are written."""

import pytest

from tests.support.projects import project

NAMED = "[project]\nname='x'\n"
PATH = {"tox.toml": "", "pyproject.toml": "'tool', 'tox', "}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\nrequired_plugins = pytest-randomly>=3.1 pytest-mock\n"),
        ("pytest.toml", "[pytest]\nrequired_plugins = ['pytest-randomly>=3.1', 'pytest-mock']\n"),
        (".pytest.toml", "[pytest]\nrequired_plugins = ['pytest-randomly>=3.1', 'pytest-mock']\n"),
        ("pyproject.toml", NAMED + "[tool.pytest.ini_options]\nrequired_plugins='pytest-randomly>=3.1 pytest-mock'\n"),
        ("pyproject.toml", NAMED + "[tool.pytest]\nrequired_plugins=['pytest-randomly>=3.1', 'pytest-mock']\n"),
        ("setup.cfg", "[tool:pytest]\nrequired_plugins =\n    pytest-randomly>=3.1\n    pytest-mock\n"),
        ("tox.ini", "[pytest]\nrequired_plugins = pytest-randomly>=3.1 pytest-mock\n"),
    ],
)
def test_plugins_that_the_configuration_requires_are_installed_with_their_versions(file: str, text: str) -> None:
    found = project({"pyproject.toml": NAMED, file: text})
    assert found.requires == ("pytest", "pytest-mock", "pytest-randomly>=3.1")


def test_the_file_that_pytest_would_read_decides() -> None:
    other = {"setup.cfg": "[tool:pytest]\nrequired_plugins = pytest-mock\n", "pyproject.toml": NAMED}
    assert project({**other, "pytest.ini": ""}).requires == ("pytest",)
    assert project({**other, "tox.ini": "[tox]\nenvlist = py\n"}).requires == ("pytest", "pytest-mock")


@pytest.mark.parametrize("addopts", ["-p randomly -p no:doctest -q", "-prandomly"])
def test_plugins_that_addopts_load_are_installed(addopts: str) -> None:
    ini = f"[pytest]\naddopts = {addopts}\n"
    assert project({"pyproject.toml": NAMED, "pytest.ini": ini}).requires == ("pytest", "pytest-randomly")
    declared = NAMED + "[project.optional-dependencies]\nextras=['pytest-randomly<4']\n"
    assert project({"pyproject.toml": declared, "pytest.ini": ini}).requires == ("pytest", "pytest-randomly<4")


@pytest.mark.parametrize("addopts", ["-p tests.timeout", "-p x.sugar", "-p pytester", "-p never_heard_of_it"])
def test_plugins_of_the_repository_and_unknown_ones_are_no_distributions(addopts: str) -> None:
    files = {"tests/timeout.py": "", "src/x/sugar.py": "", "src/x/__init__.py": "", "pyproject.toml": NAMED}
    assert project({**files, "pytest.ini": f"[pytest]\naddopts = {addopts}\n"}).requires == ("pytest",)


@pytest.mark.parametrize(("file", "table"), [("tox.toml", ""), ("pyproject.toml", "tool.tox.")])
def test_environments_of_tox_in_toml_are_read(file: str, table: str) -> None:
    own = "[project.optional-dependencies]\nweb=['flask']\n[dependency-groups]\nunit=['trio']\n"
    tox = f"""
[{table}env_run_base]
extras = ["web"]
deps = ["psutil", "-r extra.txt"]
[{table}env.tests]
dependency_groups = ["unit"]
deps = [{{replace = "ref", of = [{PATH[file]}"env_run_base", "deps"], extend = true}}, "attrs"]
[{table}env.more]
deps = [{{replace = "ref", env = "tests", key = "deps", extend = true}}]
[{table}env.docs]
deps = ["furo", "jinja2"]
"""
    files = {"pyproject.toml": NAMED + own, "extra.txt": "hypothesis\n"}
    files[file] = files.get(file, "") + tox
    assert project(files).requires == ("attrs", "flask", "hypothesis", "psutil", "pytest", "trio")


@pytest.mark.parametrize(("file", "table"), [("hatch.toml", ""), ("pyproject.toml", "tool.hatch.")])
def test_environments_of_hatch_are_read(file: str, table: str) -> None:
    own = "[project.optional-dependencies]\nweb=['flask']\n[dependency-groups]\nunit=['trio']\n"
    hatch = f"""
[{table}envs.hatch-test]
extra-dependencies = ["attrs"]
features = ["web"]
dependency-groups = ["unit"]
[{table}envs.all]
dependencies = ["psutil"]
scripts.run = "pytest {{args}}"
[{table}envs.docs]
dependencies = ["jinja2"]
"""
    files = {"pyproject.toml": NAMED + own}
    files[file] = files.get(file, "") + hatch
    assert project(files).requires == ("attrs", "flask", "psutil", "pytest", "pytest-mock", "trio")


@pytest.mark.parametrize(
    ("call", "more"),
    [
        ('session.install(*TESTS, ".")', ("attrs", "psutil")),
        ('session.run_install("uv", "sync", "--group=unit", "--extra", "web")', ("flask", "trio")),
        ('session.run("uv", "pip", "install", "-r", "extra.txt", ".[web]")', ("flask", "hypothesis")),
        ('session.run_always("poetry", "install", "--with", "unit")', ("trio",)),
        ('session.run("pdm", "install", "-G", "unit", external=True)', ("trio",)),
        ('session.install(".", "--group", "unit")', ("trio",)),
        ("session.install(*nox.project.dependency_groups(PYPROJECT, 'unit'))", ("trio",)),
        ("session.run('rm', 'sync')", ()),
    ],
)
def test_what_sessions_of_nox_install_is_read_however_they_do_it(call: str, more: tuple[str, ...]) -> None:
    own = "[project.optional-dependencies]\nweb=['flask']\n[dependency-groups]\nunit=['trio']\n"
    text = f"TESTS = ['attrs', 'psutil']\n\n@nox.session\ndef tests(session):\n    {call}\n    _run(session)\n"
    files = {"pyproject.toml": NAMED + own, "noxfile.py": text, "extra.txt": "hypothesis\n"}
    assert project(files).requires == tuple(sorted((*more, "pytest")))


def test_groups_that_a_session_declares_and_those_of_uv_are_wanted() -> None:
    groups = "[dependency-groups]\nunit=['trio']\nmore=['attrs']\n[tool.uv]\ndefault-groups=['more']\n"
    text = "@session(uv_groups=['unit'])\ndef tests(s):\n    s.run('pytest')\n"
    assert project({"pyproject.toml": NAMED + groups, "noxfile.py": text}).requires == ("attrs", "pytest", "trio")


@pytest.mark.parametrize(
    ("tox", "expected"),
    [
        ("[testenv]\ndeps = pytest\n[testenv:py33]\ndeps = pytest<3.3\n", ("pytest",)),
        ("[testenv]\ndeps = attrs>=42\n[testenv:py-oldsetup]\ndeps = attrs<64\n psutil\n", ("attrs>=42", "pytest")),
        ("[testenv]\ndeps = attrs\n[testenv:mindeps]\ndeps = attrs==1\n[testenv:pypy]\ndeps = trio<1\n",
         ("attrs", "pytest")),
        ("[testenv]\ndeps = attrs\n[testenv:django32]\ndeps = django==3.2\n", ("attrs", "pytest")),
        ("[testenv]\ndeps = attrs\n[testenv:web]\ndeps = attrs<2\n flask\n", ("attrs", "flask", "pytest")),
        ("[testenv]\ndeps = attrs\n[testenv:py38]\ndeps = trio\n",
         ("attrs", "pytest", 'trio ; python_version == "3.8"')),
        ("[testenv:py27]\ndeps = trio<1\n[testenv:py311]\ndeps = trio\n", ("pytest", "trio")),
    ],
)  # fmt: skip
def test_variants_of_an_environment_are_not_installed_together_with_it(tox: str, expected: tuple[str, ...]) -> None:
    assert project({"pyproject.toml": NAMED, "tox.ini": tox}).requires == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"requirements/test-py33.txt": "attrs<3\n", "requirements/test.txt": "attrs\n"},
         ("attrs", 'attrs<3 ; python_version == "3.3"', "pytest")),
        ({"test-requirements-py27.txt": "trio<3\n", "test-requirements-py311.txt": "trio\n"}, ("pytest", "trio")),
        ({"requirements/test-django-3.2.txt": "trio\n"}, ("pytest", "trio")),
    ],
)  # fmt: skip
def test_requirements_files_for_one_python_count_for_that_one(files: dict[str, str], expected: tuple[str, ...]) -> None:
    assert project({"pyproject.toml": NAMED, **files}).requires == expected
