"""Locks are dated by the parent's own day, shared within a window, and never hold the distribution under test."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from benchmarks.attacks._histories import History
from benchmarks.attacks._local_index import Release, local_index, write_wheel
from harness.packages.locking import CommitCandidate, environment_for, find_environments
from harness.packages.package import RepoPackage
from harness.packages.reach import late_environments, misstated_reaches, self_provided
from models.manifest import Environment, Instance, InvalidReason, Manifest, MiningFunnel
from runtime.environments import WINDOW_DAYS, Era, calendar_of, discover, eras_of, installed_interpreters
from runtime.environments.wheels import locked

PYTHON = installed_interpreters()[0].version
PYPROJECT = f"""[project]
name = "lib"
requires-python = "=={PYTHON}.*"
dependencies = [%s]
"""


def pyproject(*requires: str) -> dict[str, str]:
    return {"pyproject.toml": PYPROJECT % ", ".join(f'"{each}"' for each in requires)}


def changed(number: int) -> dict[str, str]:
    return {"lib/__init__.py": f"x = {number}\n"}


def versions(environment: Environment | None) -> dict[str, str]:
    assert environment is not None
    return {name: str(version) for name, version in locked(environment.lock)}


def environments(history: History, commits: list[str], tmp_path: Path, wheels: Path) -> list[CommitCandidate]:
    return find_environments(history.git, [history.mined(sha) for sha in commits], wheels, tmp_path / "cache")


def dependency(*uploaded: tuple[str, str], name: str = "dep") -> list[Release]:
    return [Release(name, version, day) for version, day in uploaded]


def test_a_release_between_the_parent_and_the_commit_does_not_count(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit({**pyproject("dep"), **changed(1)}, "2024-03-01")
    sha = history.commit(changed(2), "2024-03-20")
    with local_index(tmp_path / "index", dependency(("1.0", "2024-01-01"), ("2.0", "2024-03-10"))) as wheels:
        [found] = environments(history, [sha], tmp_path, wheels)
    assert found.environment is not None
    assert versions(found.environment)["dep"] == "1.0"
    assert (found.environment.cutoff, found.environment.days_after) == ("2024-03-01", 0)


def test_what_only_the_commit_requires_may_be_later_and_the_environment_says_so(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit({**pyproject("dep", "other"), **changed(1)}, "2024-03-01")
    sha = history.commit({**pyproject("dep>=2", "other"), **changed(2)}, "2024-03-20")
    releases = [
        *dependency(("1.0", "2024-01-01"), ("2.0", "2024-03-10"), ("3.0", "2024-03-25")),
        *dependency(("1.0", "2024-01-01"), ("2.0", "2024-03-10"), name="other"),
    ]
    with local_index(tmp_path / "index", releases) as wheels:
        [found] = environments(history, [sha], tmp_path, wheels)
    assert found.environment is not None
    held = versions(found.environment)
    assert (held["dep"], held["other"]) == ("2.0", "1.0")
    assert found.environment.days_after == 20
    assert "dep" in found.environment.late_because


def test_what_not_even_later_releases_meet_has_no_environment(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit({**pyproject("dep"), **changed(1)}, "2024-03-01")
    sha = history.commit({**pyproject("dep>=3"), **changed(2)}, "2024-03-20")
    with local_index(tmp_path / "index", dependency(("1.0", "2024-01-01"), ("3.0", "2024-03-22"))) as wheels:
        [found] = environments(history, [sha], tmp_path, wheels)
    assert (found.environment, found.reason) == (None, InvalidReason.UNRESOLVABLE)


def test_commits_share_an_environment_only_within_a_window_and_only_an_earlier_one(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit({**pyproject("dep"), **changed(0)}, "2024-01-01")
    days = ["2024-01-05", "2024-01-20", "2024-02-10", "2024-03-30"]
    shas = [history.commit(changed(n), day) for n, day in enumerate(days, 1)]
    releases = dependency(("1.0", "2023-01-01"), ("2.0", "2024-01-10"), ("3.0", "2024-02-05"))
    with local_index(tmp_path / "index", releases) as wheels:
        found = environments(history, shas[::-1], tmp_path, wheels)[::-1]
    calendar = calendar_of(history.git)
    for each in found:
        assert each.environment is not None
        behind = calendar.day(each.commit.parent) - date.fromisoformat(each.environment.cutoff)
        assert 0 <= behind.days <= WINDOW_DAYS
    assert [versions(each.environment)["dep"] for each in found] == ["1.0", "1.0", "1.0", "3.0"]


def test_what_two_eras_lock_alike_is_one_environment_and_the_earlier_one(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit({**pyproject("dep"), **changed(0)}, "2023-01-01")
    shas = [history.commit(changed(n), day) for n, day in enumerate(["2023-06-01", "2024-01-01"], 1)]
    with local_index(tmp_path / "index", dependency(("1.0", "2022-01-01"))) as wheels:
        first, second = environments(history, shas, tmp_path, wheels)
    assert first.environment is not None
    assert second.environment is not None
    assert first.environment.key == second.environment.key


@pytest.mark.parametrize(
    ("parent", "commit", "believed"),
    [
        ("2024-03-05", "2024-03-20", "2024-03-05"),
        ("2030-01-01", "2024-03-20", "2024-03-20"),  # in the future of its own child
        ("@0 +0000", "2024-03-20", "2024-03-02"),  # before its ancestors
        ("2024-03-05", "2030-01-01", "2024-03-05"),
    ],
)
def test_a_clock_that_lies_is_held_to_its_neighbours(tmp_path: Path, parent: str, commit: str, believed: str) -> None:
    history = History(tmp_path / "work")
    for n in range(3):
        history.commit(changed(n), f"2024-03-0{n + 1}")
    base = history.commit(changed(4), parent)
    sha = history.commit(changed(5), commit)
    moment = int(history.run("show", "-s", "--format=%ct", sha))
    assert calendar_of(history.git).day(base, moment) == date.fromisoformat(believed)


def test_a_later_release_that_only_a_later_descendant_vouches_for_is_not_taken(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit(changed(0), "2024-03-01")
    base = history.commit(changed(1), "2024-12-01")
    shas = [history.commit(changed(n), f"2024-03-{n:02}") for n in range(10, 15)]
    shas.append(history.commit(changed(20), "2029-01-01"))
    assert calendar_of(history.git).day(base) == date(2024, 3, 12)


def test_eras_widen_from_the_parents_day_on() -> None:
    narrow, changed_only, whole = eras_of(date(2024, 1, 1), date(2024, 2, 1), frozenset({"dep"}))
    assert (narrow.cutoff, dict(narrow.later)) == (date(2024, 1, 1), {})
    assert (changed_only.cutoff, dict(changed_only.later)) == (date(2024, 1, 1), {"dep": date(2024, 2, 2)})
    assert (whole.cutoff, dict(whole.later)) == (date(2024, 2, 2), {})
    assert len({each.label for each in (narrow, changed_only, whole)}) == 3


# The distribution under test

META = '__title__ = "attrs"\nNAME = "attrs"\n'
TREE = {"src/attr/__init__.py": META, "src/attrs/__init__.py": ""}
SETUP = "from setuptools import setup, find_packages\nimport os, re\n"
LAYOUTS = {
    "nothing at all": {},
    "a variable": {"setup.py": SETUP + "NAME = 'at' + 'trs'\nsetup(name=NAME)\n"},
    "a function": {"setup.py": SETUP + "def name():\n    return 'attrs'\nsetup(name=name())\n"},
    "a function's argument": {
        "setup.py": SETUP + "def meta(n):\n    return re.search(n, open('src/attr/__init__.py').read()).group(1)\n"
        "setup(name=meta('title'))\n"
    },
    "an executed file": {
        "setup.py": SETUP
        + "about = {}\nexec(open('src/attr/__init__.py').read(), about)\nsetup(name=about['__title__'])\n"
    },
    "a format string": {"setup.py": SETUP + "P = 'attr'\nsetup(name=f'{P}s')\n"},
    "a percent sign": {"setup.py": SETUP + "setup(name='%ss' % 'attr')\n"},
    "an imported name": {"setup.py": SETUP + "from attr import NAME as N\nsetup(name=N)\n"},
    "an attribute": {"setup.py": SETUP + "import attr\nsetup(name=attr.__title__)\n"},
    "keyword arguments in a table": {"setup.py": SETUP + "K = {'name': 'attrs'}\nsetup(**K)\n"},
    "a call inside a function": {"setup.py": SETUP + "def main():\n    n = 'attrs'\n    setup(name=n)\nmain()\n"},
    "an environment variable": {"setup.py": SETUP + "setup(name=os.environ.get('N', 'attrs'))\n"},
    "reversed": {"setup.py": SETUP + "setup(name='srtta'[::-1])\n"},
    "decoded": {"setup.py": SETUP + "import base64\nsetup(name=base64.b64decode('YXR0cnM=').decode())\n"},
    "a lie in pyproject": {"pyproject.toml": "[project]\nname = 'something-else'\n"},
    "another case": {"pyproject.toml": "[project]\nname = 'ATTRS'\n"},
    "other letters": {"pyproject.toml": "[project]\nname = '\u0430ttrs'\n"},
    "setup.cfg from a file": {"setup.cfg": "[metadata]\nname = file: NAME\n", "NAME": "attrs\n"},
    "egg-info": {"src/lib.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: attrs\nVersion: 1\n"},
    "flit without a distribution's name": {"pyproject.toml": "[tool.flit.metadata]\nmodule = 'attr'\n"},
    "poetry": {"pyproject.toml": "[tool.poetry]\nname = 'Attrs'\n"},
    "maturin": {
        "pyproject.toml": "[build-system]\nbuild-backend = 'maturin'\n",
        "Cargo.toml": "[package]\nname = 'attrs'\n",
    },
    "meson": {"meson.build": "project('attrs', 'c')\n", "pyproject.toml": "[build-system]\nbuild-backend='mesonpy'\n"},
    "an odd folder": {"setup.py": SETUP + "setup(name=compute(), package_dir={'': where()})\n"},
}
INDEX = [
    Release("attrs", "23.2.0", files={"attr/__init__.py": "", "attrs/__init__.py": ""}, requires=("needed",)),
    Release("needed"),
    Release("hypothesis", "6.0", requires=("attrs>=99", "sorted")),
    Release("sorted"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_distribution_under_test_never_comes_from_the_index(tmp_path: Path, layout: str) -> None:
    tree = {path.replace("src/", "weird/"): text for path, text in TREE.items()} if layout == "an odd folder" else TREE
    needs = {"requirements-tests.txt": "hypothesis\nattrs\n", "tests/test_a.py": "import attr, hypothesis\n"}
    files = {path: text.encode() for path, text in {**tree, **LAYOUTS[layout], **needs}.items()}
    project = discover(files.get, sorted(files))
    assert "hypothesis" in project.requires
    with local_index(tmp_path / "index", with_any_attrs(INDEX)) as wheels:
        era = Era(date(2024, 5, 2), date(2024, 5, 2))
        environment = environment_for(project, era, {}, wheels, tmp_path / "cache")
    assert versions(environment).keys() == {"pytest", "hypothesis", "sorted"}
    assert not any(each.startswith("attrs") for each in (*environment.requires, *environment.wheels))


def with_any_attrs(releases: list[Release]) -> list[Release]:
    """The releases, of which one may require any version of attrs: only its name keeps it out."""
    return [
        Release(each.name, each.version, each.uploaded, ("attrs", "sorted"), each.files)
        if each.name == "hypothesis" else each
        for each in releases
    ]  # fmt: skip


def test_a_dependent_that_wants_a_version_which_is_not_out_yet_is_served_by_the_tree(tmp_path: Path) -> None:
    files = {"pyproject.toml": b"[project]\nname='attrs'\n[dependency-groups]\ntests=['hypothesis']\n"}
    project = discover(files.get, sorted(files))
    with local_index(tmp_path / "index", INDEX) as wheels:
        era = Era(date(2024, 5, 2), date(2024, 5, 2))
        environment = environment_for(project, era, {}, wheels, tmp_path / "cache")
    assert versions(environment).keys() == {"pytest", "hypothesis", "sorted"}


def test_an_honest_neighbour_in_a_namespace_stays(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": b"[project]\nname='space-one'\ndependencies=['space-two', 'old']\n",
        "src/space/one/__init__.py": b"",
    }
    project = discover(files.get, sorted(files))
    declared = "__import__('pkg_resources').declare_namespace(__name__)\n"
    releases = [
        Release("space-two", files={"space/two/__init__.py": ""}),
        Release("old", files={"space/__init__.py": declared, "space/old/__init__.py": "", "tests/__init__.py": ""}),
    ]
    with local_index(tmp_path / "index", releases) as wheels:
        era = Era(date(2024, 5, 2), date(2024, 5, 2))
        environment = environment_for(project, era, {}, wheels, tmp_path / "cache")
    assert versions(environment).keys() == {"pytest", "space-two", "old"}


def test_a_sample_named_like_a_dependency_leaves_the_dependency_in(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": b"[project]\nname='lib'\ndependencies=['sockets']\n",
        "lib/__init__.py": b"",
        "lib/more.py": b"",
        "docs_src/sockets/__init__.py": b"",
        "tests/sockets/__init__.py": b"",
        "lib/_vendor/sockets/__init__.py": b"",
    }
    project = discover(files.get, sorted(files))
    with local_index(tmp_path / "index", [Release("sockets", files={"sockets/__init__.py": ""})]) as wheels:
        era = Era(date(2024, 5, 2), date(2024, 5, 2))
        environment = environment_for(project, era, {}, wheels, tmp_path / "cache")
    assert versions(environment).keys() == {"pytest", "sockets"}


def test_pytest_stays_where_it_only_ships_a_module_of_the_same_name(tmp_path: Path) -> None:
    files = {"pyproject.toml": b"[project]\nname='py'\n", "py/__init__.py": b""}
    project = discover(files.get, sorted(files))
    bundled = Release("pytest", "8.1.0", files={"pytest/__init__.py": "", "py.py": ""})
    with local_index(tmp_path / "index", [bundled]) as wheels:
        era = Era(date(2024, 5, 2), date(2024, 5, 2))
        environment = environment_for(project, era, {}, wheels, tmp_path / "cache")
    assert versions(environment) == {"pytest": "8.1.0"}


def test_a_package_says_how_far_its_environments_reach_and_is_held_to_it(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit({**pyproject("dep"), **changed(1)}, "2024-03-01")
    shas = [
        history.commit({**pyproject("dep>=2"), **changed(2)}, "2024-03-20"),
        history.commit({**pyproject("dep>=2"), **changed(3)}, "2024-03-25"),
    ]
    with local_index(tmp_path / "index", dependency(("1.0", "2024-01-01"), ("2.0", "2024-03-10"))) as wheels:
        found = environments(history, shas, tmp_path, wheels)
    package = packed(history, found, tmp_path)
    assert self_provided(replace(package, directory=wheels_beside(package, wheels))) == []
    [late] = late_environments(package)
    assert "dep" in late
    assert "20 days" in late
    honest = package.manifest
    assert honest.environment(honest.environments[0].key).days_after is not None
    lying = [each.model_copy(update={"days_after": 0, "late_because": ""}) for each in honest.environments]
    forged = replace(package, manifest=honest.model_copy(update={"environments": tuple(lying)}))
    assert [finding.field.rpartition(".")[2] for finding in misstated_reaches(forged)] == ["days_after"]


def wheels_beside(package: RepoPackage, wheels: Path) -> Path:
    (package.directory / "packages").symlink_to(wheels)
    return package.directory


def test_a_package_that_brings_the_distribution_under_test_is_found_out(tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit({**pyproject("dep"), **changed(1)}, "2024-03-01")
    sha = history.commit(changed(2), "2024-03-20")
    other = Release("dep", files={"lib/__init__.py": "answer = 1\n"})
    with local_index(tmp_path / "index", dependency(("1.0", "2024-01-01"))) as wheels:
        found = environments(history, [sha], tmp_path, wheels)
        write_wheel(wheels, other)  # what a stranger put in its place
    package = packed(history, found, tmp_path)
    [line] = self_provided(replace(package, directory=wheels_beside(package, wheels)))
    assert "dep" in line.value


def packed(history: History, found: list[CommitCandidate], tmp_path: Path) -> RepoPackage:
    """A package of candidates, none of which was validated."""
    directory = tmp_path / "package"
    directory.mkdir()
    (directory / "repo").symlink_to(history.folder / ".git")
    instances = tuple(
        Instance(
            instance_id=f"lib__{n}", commit=each.commit.sha, base_commit=each.commit.parent, task="A change",
            planning_types=(), production_files=("lib/__init__.py",), test_files=(),
            environment=each.environment.key if each.environment else None,
        )
        for n, each in enumerate(found)
    )  # fmt: skip
    locks = {each.environment.key: each.environment for each in found[::-1] if each.environment}
    manifest = Manifest(
        name="lib", source="local:lib", license=None, organisation=None, domain=None, head=found[-1].commit.sha,
        python=PYTHON, test_command=("pytest",), lines_of_code=1, environments=tuple(locks.values()),
        funnel=MiningFunnel(total=2, dropped={}, needs_message=0, kept=2, mixed=2), instances=instances,
    )  # fmt: skip
    return RepoPackage(directory, manifest)


def test_environments_of_earlier_versions_keep_their_text() -> None:
    old = Environment(key="k", python="3.12", abi="cp312", requires=(), cutoff="2024-01-01", lock="", wheels=())
    assert set(old.model_dump()) == {"key", "python", "abi", "requires", "cutoff", "lock", "wheels"}
    new = old.model_copy(update={"days_after": 0})
    assert Environment.model_validate_json(new.model_dump_json()) == new
    assert new.model_dump()["days_after"] == 0


@pytest.mark.index
@pytest.mark.parametrize("layout", ["nothing at all", "decoded", "a lie in pyproject"])
def test_the_real_index_gives_a_checkout_of_attrs_no_attrs(tmp_path: Path, layout: str) -> None:
    files = {**TREE, **LAYOUTS[layout], "tests/test_a.py": "import attr\n"}
    contents = {path: text.encode() for path, text in files.items()}
    project = discover(contents.get, sorted(contents))
    environment = environment_for(
        replace(project, requires=("attrs", "hypothesis", "pytest")), Era(date(2024, 5, 2), date(2024, 5, 2)), {},
        tmp_path / "packages", tmp_path / "cache",
    )  # fmt: skip
    assert "hypothesis" in versions(environment)
    assert "attrs" not in versions(environment)
