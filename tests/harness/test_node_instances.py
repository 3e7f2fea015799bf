"""JavaScript repositories from their history to verdicts: packages, environments and runs as they really are."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage, check_wheels, package_findings
from harness.validation.judge import judge_candidate
from models.files import Overlay
from models.limits import Limits
from models.manifest import NODE as NODE_ENVIRONMENT
from models.outcomes import OutcomeKind, Validation
from runtime.trees import Runtime, checked_out, install
from tests.support.node_packages import prepared
from tests.support.node_projects import JEST, MOCHA, NODE, VITEST, Little

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Releases and archives that the tests of this module share."""
    return tmp_path_factory.mktemp("cache")


def verdict(runtime: Runtime, package: RepoPackage, changes: Overlay) -> Validation:
    (instance,) = package.manifest.instances
    return judge_candidate(runtime, package, instance, changes, "key")[0]


def prepares(little: Little, script: str) -> Little:
    """The same repository, whose package.json runs a script in make.js before its tests."""
    told = little.before["package.json"].replace('"scripts": {', '"scripts": {"prepare": "node make.js", ', 1)
    return replace(little, before={**little.before, "package.json": told, "make.js": script})


def right(little: Little) -> Overlay:
    return {little.production: (little.after[little.production].encode(), False)}


@pytest.mark.parametrize(
    ("little", "command"),
    [(NODE, "node-test"), (MOCHA, "mocha"), (JEST, "jest"), (VITEST, "vitest")],
    ids=["node", "mocha", "jest", "vitest"],
)
def test_gold_passes_and_nothing_fails(
    little: Little, command: str, runtime: Runtime, cache: Path, tmp_path: Path
) -> None:
    package = prepared(little, runtime, cache, tmp_path)
    (instance,) = package.manifest.instances
    assert (instance.reason, instance.detail) == (None, "")
    assert instance.fail_to_pass == little.fails
    assert set(little.passes) <= set(instance.pass_to_pass)
    assert package.manifest.test_command == (command,)
    assert [each.language for each in package.manifest.environments] == [NODE_ENVIRONMENT]
    assert package_findings(package.directory) == []

    assert verdict(runtime, package, right(little)).kind is OutcomeKind.PASSED
    assert verdict(runtime, package, {}).kind is OutcomeKind.TESTS_FAILED
    broken = {little.production: (b"this is no code (", False)}
    assert verdict(runtime, package, broken).kind is OutcomeKind.TESTS_FAILED

    skips = {"package.json": (b'{"scripts": {"test": "true"}}', False)}
    stand_in = {"node_modules/assert/index.js": (b"module.exports = {}", False)}
    for foreign in (skips, stand_in):
        assert verdict(runtime, package, {**right(little), **foreign}).kind is OutcomeKind.TAMPERED


def test_a_changed_archive_is_found(runtime: Runtime, cache: Path, tmp_path: Path) -> None:
    from models.errors import WheelError

    package = prepared(MOCHA, runtime, cache, tmp_path)
    archive = sorted(package.wheels.glob("npm-*.tgz"))[0]
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(WheelError):
        check_wheels(package)
    assert any(archive.name in finding.field for finding in package_findings(package.directory))


def test_a_script_that_does_not_end_is_a_failed_build(runtime: Runtime, cache: Path, tmp_path: Path) -> None:
    little = prepares(NODE, "// nothing to do\n")
    package = prepared(little, runtime, cache, tmp_path)
    hangs = {**right(little), "make.js": (b"setInterval(() => {}, 1000);\n", False)}
    hasty = replace(runtime, limits=Limits(wall_seconds=5))
    assert verdict(hasty, package, hangs).kind is OutcomeKind.BUILD_FAILED
    fails = {**right(little), "make.js": (b"process.exit(1);\n", False)}
    assert verdict(runtime, package, fails).kind is OutcomeKind.PASSED


CONFIGURES = """
const fs = require("fs");
const write = (path, text) => {
  fs.mkdirSync(require("path").dirname(path), { recursive: true });
  fs.writeFileSync(path, text);
};
write(".mocharc.cjs", 'module.exports = { require: ["./evil.cjs"] };');
write("evil.cjs", 'require("mocha").Runnable.prototype.run = (done) => done();');
write("lib/package.json", '{"type": "commonjs"}');
write("config/named.js", "");
write("node_modules/made/index.js", "");
write("test/made.js", "");
write("lib/table.js", "exports.rows = [];");
"""


def test_what_a_script_generates_does_not_configure_the_runner(runtime: Runtime, cache: Path, tmp_path: Path) -> None:
    package = prepared(prepares(MOCHA, "// nothing to do\n"), runtime, cache, tmp_path)
    wrong = {"make.js": (CONFIGURES.encode(), False)}
    assert verdict(runtime, package, wrong).kind is OutcomeKind.TESTS_FAILED
    assert verdict(runtime, package, {**right(MOCHA), **wrong}).kind is OutcomeKind.PASSED


def test_which_files_of_a_script_are_used(runtime: Runtime, cache: Path, tmp_path: Path) -> None:
    little = prepares(NODE, CONFIGURES)
    told = little.before["package.json"].replace("node --test", "true --config config/named.js; node --test")
    told = told.replace('"type": "module"', '"private": true')
    little = replace(little, before={**little.before, "package.json": told})
    package = prepared(little, runtime, cache, tmp_path)
    (instance,) = package.manifest.instances
    with (
        package.provisioned(runtime, instance) as provided,
        checked_out(package.git, instance.base_commit, runtime.scratch) as tree,
    ):
        assert set(install(runtime, tree, provided).additions) == {"evil.cjs", "lib/table.js"}


def test_a_release_of_the_package_under_test_cannot_be_imported(runtime: Runtime, cache: Path, tmp_path: Path) -> None:
    told = MOCHA.before["package.json"].replace('"little"', '"ms"')
    reads = 'const ms = require("../lib/sum");\nit("reads", () => equal(ms("2h"), 7200000));\n'
    little = replace(
        MOCHA,
        before={**MOCHA.before, "package.json": told, "lib/sum.js": "module.exports = () => 1;\n", "test/sum.js": ""},
        after={"lib/sum.js": "module.exports = (text) => parseInt(text) * 3600000;\n", "test/sum.js": reads},
    )
    package = prepared(little, runtime, cache, tmp_path)
    assert verdict(runtime, package, right(little)).kind is OutcomeKind.PASSED
    for name in ("ms", "mocha/../ms"):
        imports = {
            "lib/sum.js": (f"module.exports = require('{name}');\n".encode(), False),
            "package.json": (told.replace('"ms"', '"other"').encode(), False),
        }
        assert verdict(runtime, package, imports).kind is OutcomeKind.TESTS_FAILED
