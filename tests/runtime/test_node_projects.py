"""What a JavaScript repository declares: packages, pinned versions, and the Node.js it asks for."""

import json
from datetime import date

import pytest

from runtime.environments.node.pins import read_pins
from runtime.environments.node.project import NodeProject, dropped, needed, read_node_project
from runtime.environments.node.versions import NodeWish, majors, node_wish, satisfies

PNPM = """
lockfileVersion: '9.0'
importers:
  .:
    devDependencies:
      vitest: {specifier: ^4.0.0, version: 4.1.5(vite@7.3.2)}
      zod3: {specifier: 'npm:zod@~3.24.0', version: zod@3.24.4}
  packages/a:
    dependencies:
      left: {specifier: 'catalog:', version: 1.3.0}
"""
YARN = """
# yarn lockfile v1

"@scope/x@^1.0.0", "@scope/x@^1.1.0":
  version "1.2.3"
  resolved "https://elsewhere/x.tgz"

y@~2:
  version "2.0.9"
"""
BERRY = """
"z@npm:^3.0.0":
  version: 3.1.4
  resolution: "z@npm:3.1.4"
"""


def project(**files: object) -> NodeProject:
    texts = {path: text if isinstance(text, str) else json.dumps(text) for path, text in files.items()}
    found = read_node_project(lambda path: texts[path].encode() if path in texts else None, sorted(texts))
    assert found is not None
    return found


def test_a_tree_without_a_readable_package_json_is_no_project() -> None:
    assert read_node_project(lambda _: None, []) is None
    assert read_node_project(lambda _: b"[1]", ["package.json"]) is None
    assert read_node_project(lambda _: b"[" * 100_000, ["package.json"]) is None


def test_workspaces_of_pnpm_with_catalogs_and_its_own_packages() -> None:
    wanted = {"vitest": "^4.0.0", "a": "workspace:*", "zod3": "npm:zod@~3.24.0"}
    found = project(
        **{
            "package.json": {"name": "root", "devDependencies": wanted},
            "packages/a/package.json": {"name": "a", "version": "1.0.0", "dependencies": {"left": "catalog:"}},
            "packages/docs/package.json": {"name": "docs", "dependencies": {"next": "1.0.0"}},
            "other/package.json": {"name": "other"},
            "pnpm-workspace.yaml": "packages: ['packages/*']\ncatalog: {left: ^1.0.0}\n",
            "pnpm-lock.yaml": PNPM,
        }
    )  # fmt: skip
    root, a = needed(found)
    assert root["workspaces"] == ["packages/a"]
    assert root["devDependencies"] == {"vitest": "4.1.5", "a": "*", "zod3": "npm:zod@3.24.4"}
    assert a["dependencies"] == {"left": "1.3.0"}


def test_what_no_registry_serves_is_left_out() -> None:
    specs = {
        "git": "git+ssh://host/x.git", "short": "owner/repo", "url": "https://host/x.tgz", "file": "file:../x",
        "patched": "patch:left@npm%3A1.0.0#./x.patch", "plain": "^1.0.0", "tag": "latest", "../evil": "1.0.0",
    }  # fmt: skip
    (root,) = needed(project(**{"package.json": {"name": "x", "dependencies": specs, "scripts": {"install": "rm"}}}))
    assert root["dependencies"] == {"patched": "1.0.0", "plain": "^1.0.0", "tag": "latest"}
    assert "scripts" not in root


def test_a_dependency_that_the_commit_drops_is_kept_for_its_parent() -> None:
    parent = project(**{"package.json": {"name": "x", "dependencies": {"old": "1.0.0", "both": "1.0.0"}}})
    own = project(**{"package.json": {"name": "x", "dependencies": {"both": "2.0.0"}}})
    (root,) = needed(own, parent)
    assert root["dependencies"] == {"both": "2.0.0", "old": "1.0.0"}
    assert dropped(own, parent) and not dropped(own, own)


def test_versions_of_yarns_locks() -> None:
    first = read_pins(lambda path: YARN.encode() if path == "yarn.lock" else None)
    assert first.version("", "@scope/x", "^1.1.0") == "1.2.3"
    assert first.version("", "y", "~2") == "2.0.9"
    assert first.version("", "y", "~3") is None
    later = read_pins(lambda path: BERRY.encode() if path == "yarn.lock" else None)
    assert later.version("", "z", "^3.0.0") == "3.1.4"
    assert read_pins(lambda path: b"\t: [" if path == "pnpm-lock.yaml" else None).by_folder == {}


@pytest.mark.parametrize(
    ("wanted", "major", "right"),
    [
        (">=22.12.0", 20, False), (">=22.12.0", 22, True), ("^22.14.0 || >=24.0.0", 24, True), ("^20", 22, False),
        ("18 - 20", 22, False), ("18.x", 18, True), ("<20", 20, False), (">18 <=22", 22, True), ("*", 24, True),
        ("~20.1", 20, True), (">=18.0.0 <21", 22, False),
    ],
)  # fmt: skip
def test_ranges_of_node(wanted: str, major: int, right: bool) -> None:
    assert satisfies(wanted, major) is right


def test_the_choice_of_a_release() -> None:
    assert majors(NodeWish(major=22), date(2026, 1, 1))[0] == 22
    assert majors(NodeWish(major=16), date(2022, 1, 1))[:2] == [18, 20]  # older ones are not to be had
    assert majors(NodeWish(range=">=18"), date(2024, 1, 1))[0] == 20
    assert majors(NodeWish(range=">=18", tested=(18,)), date(2024, 1, 1))[0] == 18
    assert majors(NodeWish(range=">=24"), date(2025, 8, 1))[0] == 24  # the only ones that it admits
    assert majors(NodeWish(), date(2019, 1, 1))[0] == 18


def test_what_a_repository_says_about_node() -> None:
    files = {
        "package.json": b'{"engines": {"node": ">=18"}, "volta": {"node": "20.1.0"}}',
        ".github/workflows/ci.yml": b"matrix:\n  node-version: [18.x, 20, 22]\n",
    }
    found = read_node_project(files.get, sorted(files))
    assert found is not None
    assert node_wish(found, files.get, [".github/workflows/ci.yml"]) == NodeWish(20, tested=(18, 20, 22))
    files[".nvmrc"] = b"lts/jod\n"
    assert node_wish(found, files.get, []) == NodeWish(22)
