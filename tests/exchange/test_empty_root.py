"""A bundle of this project is taken to a machine with Python and git alone, installed there, and used: the real wheels,
the real sandbox inside, no network interface, nobody root."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from exchange.bundle.interpreters import needed_pythons
from exchange.bundle.make import BundleOrder, Made, make_bundle
from exchange.bundle.wheels import PYTHON
from harness.packages.package import RepoPackage
from models.settings import Settings
from runtime.environments.interpreters import Interpreter, installed_interpreters, interpreter_for
from tests.support.bundle_home import silent
from tests.support.empty_root import BWRAP, SYSTEM_PYTHON, empty_root, run_empty
from tests.support.tiny import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.index]
_PREFIX = "/home/operator/cra"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, sample: RepoPackage) -> Made:
    """A bundle of the core with the sample package."""
    place = tmp_path_factory.mktemp("core")
    shutil.copytree(sample.directory, place / "data" / "corpus" / "spans", symlinks=True)
    packed = all(python.prefix != Path("/usr") for python in _needed(sample))
    order = BundleOrder(out=place / "bundle", extras=(), allow_dirty=True, with_python=packed)
    return make_bundle(Settings(data_dir=place / "data", cache_dir=place / "cache"), order, silent)


def _needed(sample: RepoPackage) -> list[Interpreter]:
    """The Pythons that this project and the sample's environments run with."""
    return [interpreter_for(f"cp{version.replace('.', '')}") for version in needed_pythons([sample.directory])]


@pytest.fixture(scope="module")
def root(made: Made, sample: RepoPackage, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The empty root. Its Python is of another version than the bundle's, where there is such a one: what is needed
    comes with the bundle then, unless it is the system's."""
    others = [each for each in installed_interpreters() if each.version not in (PYTHON, "3.8")]
    python = others[-1].executable if others else SYSTEM_PYTHON
    pythons = [] if _packed(made) else [each.prefix for each in _needed(sample) if each.prefix != Path("/usr")]
    root = empty_root(tmp_path_factory.mktemp("operator"), [made.folder], python=python, pythons=pythons)
    try:
        run_empty(nested(root))
    except (AssertionError, OSError) as error:
        pytest.skip(f"no sandbox can be opened in a sandbox here: {error}")
    return root


def _packed(made: Made) -> bool:
    return any(entry.category == "interpreter" for entry in made.manifest.files.values())


def nested(root: Sequence[str]) -> list[str]:
    """A command that opens a sandbox in the empty root."""
    package = BWRAP.parents[1]
    binds = [word for name in (package.name, f"{package.name}.libs")
             for word in ("--ro-bind-try", str(package.parent / name), f"/nested/{name}")]  # fmt: skip
    program = f"/nested/{BWRAP.relative_to(package.parent)}"
    seen = ["--perms", "0755", "--dir", "/nested"]
    return [root[0], *seen, *binds, *root[1:], program, "--unshare-all", "--bind", "/", "/", "--proc", "/proc", "true"]


def test_a_bundle_becomes_an_installation_that_judges_commits(made: Made, root: Sequence[str]) -> None:
    assert run_empty(root, "sh", "-c", f"ls -d /usr/share/python3 {ROOT} /etc/hosts", check=False).stdout == ""
    interfaces = run_empty(root, "cat", "/proc/net/dev").stdout
    assert [line.split(":")[0].strip() for line in interfaces.splitlines()[2:]] == ["lo"]
    assert run_empty(root, "id", "-u").stdout != "0\n"

    script = f"/media/{made.folder.name}/install.py"
    done = run_empty(root, "python3", "-I", script, "--prefix", _PREFIX, "--fingerprint", made.fingerprint)
    assert made.manifest.id in done.stdout

    assert run_empty(root, f"{_PREFIX}/bin/cra", "--version").stdout.strip()
    if _packed(made):
        ask = ["-I", "-c", "import sys; print(sys.base_prefix, *sys.version_info[:2])"]
        prefix, *version = run_empty(root, f"{_PREFIX}/current/env/bin/python", *ask).stdout.split()
        assert Path(prefix).is_relative_to(f"{_PREFIX}/versions/{made.manifest.id[:16]}/interpreter")
        assert ".".join(version) == PYTHON
        assert run_empty(root, f"python{PYTHON}", "--version", check=False).returncode
    findings = json.loads(run_empty(root, f"{_PREFIX}/bin/cra", "doctor", "--json", check=False).stdout)
    verdicts = {finding["what"]: finding["verdict"] for finding in findings}
    assert {verdicts[what] for what in ("sandbox", "git", "uv", "interpreters", "corpus", "raw database")} == {"ok"}

    campaign = ["campaign", f"{_PREFIX}/data/corpus/spans", "--planner", "gold", "--planner", "null", "--name", "first"]
    run_empty(root, f"{_PREFIX}/bin/cra", *campaign)
    report = json.loads(run_empty(root, f"{_PREFIX}/bin/cra", "report", "first", "--json").stdout)
    gold, null = report["planners"]["gold"], report["planners"]["null"]
    assert (gold["passed"], gold["failed"], gold["infrastructure"]) == (report["instances"], 0, 0)
    assert (null["passed"], null["failed"], null["infrastructure"]) == (0, report["instances"], 0)
    assert report["instances"] > 0
