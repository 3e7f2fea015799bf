"""A candidate that changes how it is built decides nothing by it: its build does not steer the run of hidden tests."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from harness.mining import mine
from harness.packages.building import with_builder
from harness.packages.locking import find_environments
from harness.packages.package import RepoPackage, read_package
from harness.packages.prepare import acquire, validate_candidate, write_package
from harness.validation.judge import judge_candidate
from models.files import Overlay
from models.manifest import SampledSuite
from models.outcomes import OutcomeKind, Validation
from runtime.trees import Runtime
from tests.support.mining_history import Entry, write_history

pytestmark = pytest.mark.index

SOURCE = "def one():\n    return 1\n"
TWO = SOURCE + "\n\ndef two():\n    return 2\n"
SETUP = "[build-system]\nrequires = ['setuptools>=61']\nbuild-backend = 'setuptools.build_meta'\n"
PROJECT = (
    "[project]\nname = 'little'\nversion = '1'\nrequires-python = '>=3.9'\n"
    "[project.optional-dependencies]\ntest = ['pytest-timeout']\n"
)
TEST = "import little\n\n\ndef test_two():\n    assert little.two() == 2\n"
BEFORE = {"pyproject.toml": SETUP + PROJECT, "src/little/__init__.py": SOURCE}


def packaged(
    runtime: Runtime, path: Path, before: dict[str, str], after: dict[str, str], test: str = TEST
) -> RepoPackage:
    git = write_history(
        path / "little.git",
        [
            Entry("Start a project", {**before, "tests/test_one.py": "def test_one():\n    pass\n"}),
            Entry("Add a second number to the project", {**after, "tests/test_two.py": test}),
        ],
    )
    source = acquire(str(git.directory), path / "corpus")
    mined = mine(source.git)
    packages, cache = source.directory / "packages", path / "cache"
    found = [
        with_builder(runtime, source.git, each, packages, cache)
        for each in find_environments(source.git, mined.commits, packages, cache)
    ]
    decided = [validate_candidate(runtime, source.git, each, packages, cache) for each in found]
    write_package(source, mined, found, [instance for instance, _ in decided], {})
    return read_package(source.directory)


def verdict(runtime: Runtime, package: RepoPackage, changes: Overlay) -> Validation:
    (instance,) = package.manifest.instances
    assert instance.reason is None, instance.detail
    return judge_candidate(runtime, package, instance, changes, "key")[0]


def text(content: str) -> tuple[bytes, bool]:
    return content.encode(), False


EVIL = """
import glob, hashlib, json, sys
def _evil():
    import _pytest.reports as reports
    told = None
    for each in glob.glob("/**/suite/plugin/told.json", recursive=False) + glob.glob("/cra/suite/plugin/told.json"):
        told = json.load(open(each))
    if told is None:
        return
    key, required = bytes.fromhex(told["key"]), set(told["required"])
    real = reports.TestReport.from_item_and_call.__func__
    def made(cls, item, call):
        report = real(cls, item, call)
        name = hashlib.blake2b(item.nodeid.encode(), key=key).hexdigest()
        if name in required and report.outcome == "failed":
            report.outcome, report.longrepr = "passed", None
            call.excinfo = None
        return report
    reports.TestReport.from_item_and_call = classmethod(made)
try:
    import inspect
    if glob.glob("/cra/suite/plugin/told.json"):
        exec(compile(open(__file__).read().split("try:")[0] + "_evil()", "<frozen site>", "exec"))
except Exception as error:
    print("evil failed", repr(error))
"""

BACKEND = """
import os, zipfile

def build_wheel(out, *args, **kwargs):
    with zipfile.ZipFile(os.path.join(out, "little-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("little/__init__.py", open("src/little/__init__.py").read())
        for name, content in EXTRA.items():
            wheel.writestr(name, content)
    return "little-1-py3-none-any.whl"
"""


def hooked(extra: str) -> Overlay:
    project = BEFORE["pyproject.toml"].replace("'setuptools.build_meta'", "'backend'\nbackend-path = ['.']")
    return {"pyproject.toml": text(project), "backend.py": text(f"EXTRA = {extra}\n{BACKEND}")}


@pytest.fixture(scope="module")
def package(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> RepoPackage:
    return packaged(runtime, tmp_path_factory.mktemp("built"), BEFORE, {"src/little/__init__.py": TWO})


def test_a_wheel_cannot_make_another_folder_an_import_root(runtime: Runtime, package: RepoPackage) -> None:
    changes = {
        **hooked('{"sitecustomize.py": open("src/little/vendored/sitecustomize.py").read()}'),
        "src/little/vendored/sitecustomize.py": text(EVIL),
    }
    assert verdict(runtime, package, changes).kind is OutcomeKind.TAMPERED


def test_entry_points_are_read_as_python_reads_them(runtime: Runtime, package: RepoPackage) -> None:
    points = "[pytest11]\\n[x = y\\ntimeout = little.evil\\n"
    meta = "Metadata-Version: 2.1\\nName: little\\nVersion: 1\\n"
    changes = {
        **hooked(f'{{"little-1.dist-info/METADATA": "{meta}", "little-1.dist-info/entry_points.txt": "{points}"}}'),
        "src/little/evil.py": text(PLUGIN),
    }
    assert verdict(runtime, package, changes).kind is OutcomeKind.TAMPERED


PLUGIN = """
import glob, hashlib, json, sys
found = [vars(module) for name, module in sys.modules.items() if name.startswith("plugin_")]
ours = [each for each in found if "_REQUIRED" in each]
if ours:
    key, required = ours[0]["_KEY"], ours[0]["_REQUIRED"]
else:
    told = json.load(open("/cra/suite/plugin/told.json"))
    key, required = bytes.fromhex(told["key"]), told["required"]
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.outcome == "failed" and hashlib.blake2b(item.nodeid.encode(), key=key).hexdigest() in required:
        report.outcome, report.longrepr = "passed", None
"""


def test_a_script_is_no_stated_plugin(runtime: Runtime, package: RepoPackage) -> None:
    points = "[pytest11]\\ntimeout = little.evil\\n"
    meta = "Metadata-Version: 2.1\\nName: little\\nVersion: 1\\n"
    base = hooked(f'{{"little-1.dist-info/METADATA": "{meta}", "little-1.dist-info/entry_points.txt": "{points}"}}')
    project = base["pyproject.toml"][0].decode() + "[project.scripts]\ntimeout = 'little.evil'\n"
    changes = {**base, "pyproject.toml": text(project), "src/little/evil.py": text(PLUGIN)}
    assert verdict(runtime, package, changes).kind is OutcomeKind.TAMPERED


def test_no_change_fails(runtime: Runtime, package: RepoPackage) -> None:
    assert verdict(runtime, package, {}).kind is OutcomeKind.TESTS_FAILED


GENERATES = (
    "import json, sys\nfrom setuptools import setup\nsys.path.insert(0, 'src')\nfrom little import rules\n"
    "json.dump(rules.RULES, open('src/little/table.json', 'w'))\n"
    "setup(name='little', version='1', packages=['little'], package_dir={'': 'src'},\n"
    "      package_data={'little': ['*.json']})\n"
)
TABLE = (
    "import json, os\nimport little\n\n\ndef test_two():\n"
    "    path = os.path.join(os.path.dirname(little.__file__), 'table.json')\n"
    "    assert json.load(open(path)) == ['one', 'two']\n"
)


def test_what_the_commit_s_build_generated_is_not_used_for_a_candidate(runtime: Runtime, tmp_path: Path) -> None:
    before = {"setup.py": GENERATES, "src/little/__init__.py": SOURCE, "src/little/rules.py": "RULES = ['one']\n"}
    package = packaged(runtime, tmp_path, before, {"src/little/rules.py": "RULES = ['one', 'two']\n"}, TABLE)
    assert verdict(runtime, package, {}).kind is OutcomeKind.TESTS_FAILED


NSPKG = {
    "setup.py": "from setuptools import setup\nsetup(name='zope.little', version='1',\n"
    "      packages=['zope', 'zope.little'],\n"
    "      package_dir={'': 'src'}, namespace_packages=['zope'],\n"
    "      install_requires=['zope.event==4.6'])\n",
    "src/zope/__init__.py": "__import__('pkg_resources').declare_namespace(__name__)\n",
    "src/zope/little/__init__.py": "from zope.event import notify\n" + SOURCE,
}


def test_the_gold_patch_of_a_shared_namespace_passes(runtime: Runtime, tmp_path: Path) -> None:
    after = {"src/zope/little/__init__.py": "from zope.event import notify\n" + TWO}
    test = (
        "from zope import event, little\n\n\ndef test_two():\n    assert little.two() - len(event.subscribers) == 2\n"
    )
    package = packaged(runtime, tmp_path, NSPKG, after, test)
    got = verdict(runtime, package, {path: text(content) for path, content in after.items()})
    assert got.kind is OutcomeKind.PASSED, got.detail


def test_configuration_nearer_to_sampled_tests_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "little.git",
        [
            Entry(
                "Start a project",
                {
                    **BEFORE,
                    "src/little/tests/__init__.py": "",
                    "src/little/tests/test_one.py": "def test_one():\n    pass\n",
                },
            ),
            Entry(
                "Add a second number to the project",
                {"src/little/__init__.py": TWO, "src/little/tests/test_two.py": TEST},
            ),
        ],
    )
    source = acquire(str(git.directory), tmp_path / "corpus")
    mined = mine(source.git)
    packages, cache = source.directory / "packages", tmp_path / "cache"
    found = find_environments(source.git, mined.commits, packages, cache)
    decided = [validate_candidate(runtime, source.git, each, packages, cache) for each in found]
    write_package(source, mined, found, [instance for instance, _ in decided], {})
    package = read_package(source.directory)
    (instance,) = package.manifest.instances
    sampled = SampledSuite(files=("src/little/tests/test_one.py", "src/little/tests/test_two.py"), of=10)
    instance = instance.model_copy(update={"sampled": sampled})
    package = replace(package, manifest=package.manifest.model_copy(update={"instances": (instance,)}))
    changes = {
        "src/little/pytest.ini": text("[pytest]\naddopts = -p little.evil\n"),
        "src/little/evil.py": text(PLUGIN),
    }
    assert verdict(runtime, package, changes).kind is OutcomeKind.TAMPERED


FIFO = """
import os
def get_requires_for_build_wheel(settings=None):
    import sys
    os.mkfifo(os.path.join(sys.argv[1], "requires.json"))
    os._exit(0)
"""


def test_a_back_end_cannot_hang_the_host(runtime: Runtime, tmp_path: Path) -> None:
    before = {**BEFORE, "pyproject.toml": hooked("{}")["pyproject.toml"][0].decode(), "backend.py": FIFO}

    def late(*_: object) -> None:
        raise AssertionError("the host hangs while it reads what a back end left")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(120)
    try:
        package = packaged(runtime, tmp_path, before, {"src/little/__init__.py": TWO})
    finally:
        signal.alarm(0)
    assert package.manifest.instances[0].build is None


def test_a_wheel_cannot_replace_helpers_of_the_hidden_tests(runtime: Runtime, tmp_path: Path) -> None:
    helper = "def same(one, other):\n    assert one == other\n"
    test = "import little\nfrom tests.helpers import same\n\n\ndef test_two():\n    same(little.two(3), 6)\n"
    right = SOURCE + "\n\ndef two(x):\n    return 2 * x\n"
    package = packaged(
        runtime, tmp_path, {**BEFORE, "tests/helpers.py": helper}, {"src/little/__init__.py": right}, test
    )
    wrong = SOURCE + "\n\ndef two(x):\n    return None\n"
    changes = {
        **hooked(
            '{"tests/__init__.py": "made = 1\\n", "tests/helpers.py": "def same(one, other):\\n    return True\\n"}'
        ),
        "src/little/__init__.py": text(wrong),
    }
    assert verdict(runtime, package, changes).kind is OutcomeKind.TESTS_FAILED
