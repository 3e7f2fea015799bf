"""A bundle of this project is taken to a machine with Python and git alone, installed there, and used: the real wheels,
the real sandbox inside, no network interface, nobody root."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from exchange.bundle.interpreters import needed_pythons
from exchange.bundle.make import BundleOrder, Made, make_bundle
from harness.packages.package import RepoPackage
from models.settings import Settings
from runtime.environments import interpreter_for
from tests.support.bundle_home import silent
from tests.support.empty_root import BWRAP, empty_root, run_empty
from tests.support.tiny import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.index]
_PREFIX = "/home/operator/cra"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, sample: RepoPackage) -> Made:
    """A bundle of the core with the sample package."""
    place = tmp_path_factory.mktemp("core")
    shutil.copytree(sample.directory, place / "data" / "corpus" / "spans", symlinks=True)
    order = BundleOrder(out=place / "bundle", extras=(), allow_dirty=True)
    return make_bundle(Settings(data_dir=place / "data", cache_dir=place / "cache"), order, silent)


@pytest.fixture(scope="module")
def root(made: Made, sample: RepoPackage, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The empty root, with the Pythons of this project and of the sample's environments where they are no system's."""
    found = [interpreter_for(f"cp{version.replace('.', '')}") for version in needed_pythons([sample.directory])]
    pythons = [python.prefix for python in found if python.prefix != Path("/usr")]
    root = empty_root(tmp_path_factory.mktemp("operator"), [made.folder], pythons=pythons)
    try:
        run_empty(nested(root))
    except (AssertionError, OSError) as error:
        pytest.skip(f"no sandbox can be opened in a sandbox here: {error}")
    return root


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
