"""Changes of JavaScript repositories that configure the test runner, and those that only look so."""

from pathlib import Path

import pytest

from harness.validation.node_tampering import refuse_foreign_steering
from harness.validation.tampering import Tampered
from models.manifest import Instance
from repos.git import Git
from tests.support.mining_history import Entry, write_history

PACKAGE = '{"name": "little", "scripts": {"test": "jest --config config/unit.js"}}'


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """A repository whose second commit changes the configuration that a script names, and that of the compiler."""
    before = {"package.json": PACKAGE, "config/unit.js": "exports.bail = 1;\n", "tsconfig.json": "{}\n"}
    after = {"config/unit.js": "exports.bail = 2;\n", "tsconfig.json": '{"strict": true}\n', "lib/a.js": "1;\n"}
    return write_history(tmp_path / "little.git", [Entry("Start", before), Entry("Change it", after)])


def instance(git: Git) -> Instance:
    commit, parent = (git.resolve(name) for name in ("HEAD", "HEAD~1"))
    return Instance.model_construct(commit=commit, base_commit=parent)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("lib/package.json", '{"name": "inner", "version": "1.0.0"}'),
        ("lib/package.json", " { }\n"),
        ("package.json", PACKAGE.replace("little", "other")),
    ],
)
def test_what_tells_the_runner_nothing_may_change(git: Git, path: str, content: str) -> None:
    refuse_foreign_steering(git, instance(git), {path: (content.encode(), False)})


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("lib/package.json", '{"type": "module"}'),
        ("lib/package.json", "no object"),
        ("lib/package.json", '{"scripts": {"test": "true"}}'),
        ("package.json", PACKAGE.replace("config/unit.js", "lib/unit.js")),
        ("node_modules/jest/bin/jest.js", ""),
        (".mocharc.cjs", ""),
        ("config/unit.js", "exports.bail = 3;\n"),
        ("lib/tsconfig.json", "{}"),
        ("tsconfig.build.json", "{}"),
    ],
)
def test_what_configures_the_runner_is_refused(git: Git, path: str, content: str) -> None:
    with pytest.raises(Tampered):
        refuse_foreign_steering(git, instance(git), {path: (content.encode(), False)})


def test_what_the_commit_changes_in_its_configuration_may_change(git: Git) -> None:
    changes = {path: (git.read("HEAD", path) or b"", False) for path in ("config/unit.js", "tsconfig.json")}
    refuse_foreign_steering(git, instance(git), changes)
    refuse_foreign_steering(git, instance(git), {"config/other.js": (b"exports.bail = 3;\n", False)})
