"""What the installer reads of a manifest and of wheels: only what can be meant honestly."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.bundle import layout
from exchange.bundle.installer.copying import Copy
from exchange.bundle.installer.faults import InstallError
from exchange.bundle.installer.manifest import Manifest, path_fault, read_manifest
from exchange.bundle.installer.parts import Source
from exchange.bundle.installer.placing import plan_data, units_of
from exchange.bundle.installer.wheels import check_wheel
from tests.support.wheels import make_wheel

ONE, TWO = (hashlib.sha256(text).hexdigest() for text in (b"one", b"two!"))
BOTH = hashlib.sha256(b"onetwo!").hexdigest()


def a_file(**changes: Any) -> dict[str, Any]:
    return {"category": "code", "bytes": 7, "sha256": BOTH, "executable": False, "chunks": [ONE, TWO]} | changes


def a_manifest() -> dict[str, Any]:
    return {
        "version": 1, "name": "small", "base": None, "python": "3.11", "platform": "linux-x86_64", "extras": ["train"],
        "part_bytes": None, "files": {"code/a": a_file(), "data/bases/b/c": a_file(category="model")}, "folders": [],
        "chunks": {ONE: {"bytes": 3, "part": 1}, TWO: {"bytes": 4, "part": 2}},
        "plain": {"install.py": {"bytes": 1, "sha256": ONE}},
    }  # fmt: skip


def spelled(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def test_it_reads_what_the_maker_writes() -> None:
    content = spelled(a_manifest())
    theirs, ours = layout.read_manifest(content, "m"), read_manifest(content)
    assert layout.spelled(theirs) == content
    assert ours.parts == theirs.parts == [1, 2]
    assert {path: (entry.bytes, entry.sha256) for path, entry in ours.files.items()} == {
        path: (entry.bytes, entry.sha256) for path, entry in theirs.files.items()
    }


@pytest.mark.parametrize(
    "path",
    [
        "../a",
        "code/../../a",
        "/etc/passwd",
        "code//a",
        "code/./a",
        "./code",
        "code/a/",
        "",
        ".",
        "..",
        "a\\b",
        "a\nb",
        "a\x00b",
        "a\u202etxt.exe",
        "a\u200bb",
        "code/con",
        "code/NUL.txt",
        "env/bin/python",
        "incoming/x",
        "installed.json",
        "journal",
        "manifest/bundle.json",
        "x" * 1001,
        "y" * 256,
        "\ud800",
    ],
)
def test_paths_that_leave_their_place_are_refused(path: str) -> None:
    value = a_manifest()
    value["files"][path] = a_file()
    with pytest.raises(InstallError):
        read_manifest(spelled(value))


@given(path=st.text(max_size=30))
def test_a_path_that_is_accepted_stays_below_the_prefix(path: str) -> None:
    if path_fault(path) == "":
        assert (Path("/prefix") / path).is_relative_to("/prefix")
        assert ".." not in Path(path).parts
        assert path.isprintable()


def _set(*keys: str) -> Callable[[dict[str, Any], Any], None]:
    def change(value: dict[str, Any], to: Any) -> None:
        for key in keys[:-1]:
            value = value[key]
        value[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (["version"], 2),
        (["version"], True),
        (["unknown"], 1),
        (["files", "code/A"], a_file()),
        (["files", "Code/b"], a_file()),
        (["files", "code/a/b"], a_file()),
        (["folders"], ["code/a"]),
        (["folders"], ["../x"]),
        (["folders"], [3]),
        (["files", "code/a"], a_file(bytes=8)),
        (["files", "code/a"], a_file(chunks=[ONE])),
        (["files", "code/a"], a_file(category="virus")),
        (["files", "code/a"], a_file(executable=1)),
        (["files", "code/a"], a_file(chunks=["0" * 64])),
        (["files", "code/a"], a_file(sha256=BOTH.upper())),
        (["files", "code/a"], a_file(mode=511)),
        (["files", "code/a"], None),
        (["files"], []),
        (["chunks", "1" * 64], {"bytes": 1, "part": 1}),
        (["chunks", ONE], {"bytes": 0, "part": 1}),
        (["chunks", ONE], {"bytes": 3, "part": None}),
        (["chunks", ONE], {"bytes": 3, "part": 3}),
        (["chunks", ONE], {"bytes": 3.0, "part": 1}),
        (["chunks", ONE], {"bytes": 3, "part": 0}),
        (["plain", "install.py"], {"bytes": 1, "sha256": "x"}),
        (["name"], "a/b"),
        (["platform"], "../linux"),
        (["python"], "3"),
        (["base"], "x"),
        (["extras"], ["a b"]),
    ],
)
def test_manifests_that_contradict_themselves_are_refused(keys: list[str], to: Any) -> None:
    value = a_manifest()
    _set(*keys)(value, to)
    with pytest.raises(InstallError):
        read_manifest(spelled(value))


def test_one_spelling_is_read() -> None:
    content = spelled(a_manifest())
    twice = content.replace(b'"version": 1', b'"version": 1,\n "version": 1')
    for other in (content + b"\n", content.replace(b"\n ", b"\n  "), twice, b"[]\n", b"\xff", b"{" * 100_000, b""):
        with pytest.raises(InstallError):
            read_manifest(other)


def test_letters_that_a_file_system_takes_for_one_are_refused() -> None:
    for one, other in (("code/\u00e9", "code/e\u0301"), ("code/stra\u00dfe", "code/STRASSE")):
        value = a_manifest()
        value["files"] |= {one: a_file(), other: a_file()}
        with pytest.raises(InstallError, match="case"):
            read_manifest(spelled(value))


@pytest.fixture
def manifest() -> Manifest:
    return read_manifest(spelled(a_manifest()))


def test_a_medium_that_changes_while_it_is_read_is_noticed(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two!")
    sources = {ONE: Source(tmp_path / "one"), TWO: Source(tmp_path / "two")}
    copy = Copy(manifest, {"code/a": tmp_path / "to" / "a"}, tmp_path / "journal")
    (tmp_path / "two").write_bytes(b"TWO!")  # after it was listed
    with pytest.raises(InstallError, match="altered"):
        copy.write(sources)
    assert copy.missing == {TWO}
    (tmp_path / "two").write_bytes(b"two!")
    again = Copy(manifest, {"code/a": tmp_path / "to" / "a"}, tmp_path / "journal")
    assert again.missing == {TWO}
    again.write(sources)
    again.check()
    assert (tmp_path / "to" / "a").read_bytes() == b"onetwo!"


def test_a_disk_that_lost_what_was_written_is_noticed_and_made_good(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two!")
    sources = {ONE: Source(tmp_path / "one"), TWO: Source(tmp_path / "two")}
    target = tmp_path / "to" / "a"
    copy = Copy(manifest, {"code/a": target}, tmp_path / "journal")
    copy.write(sources)
    target.write_bytes(b"one\0\0\0\0")
    with pytest.raises(InstallError, match="altered"):
        copy.check()
    again = Copy(manifest, {"code/a": target}, tmp_path / "journal")
    again.write(sources)
    again.check()
    assert target.read_bytes() == b"onetwo!"


def test_all_that_a_disk_lost_is_made_good_in_one_further_run(tmp_path: Path) -> None:
    value = a_manifest() | {"chunks": {ONE: {"bytes": 3, "part": 1}, TWO: {"bytes": 4, "part": 1}}}
    value["files"] = {
        f"code/{name}": a_file(bytes=size, sha256=sha256, chunks=[sha256])
        for name, size, sha256 in (("one", 3, ONE), ("two", 4, TWO))
    }
    manifest, targets = (
        read_manifest(spelled(value)),
        {f"code/{name}": tmp_path / "to" / name for name in ("one", "two")},
    )
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two!")
    sources = {ONE: Source(tmp_path / "one"), TWO: Source(tmp_path / "two")}
    copy = Copy(manifest, targets, tmp_path / "journal")
    copy.write(sources)
    for path, target in targets.items():
        target.write_bytes(bytes(manifest.files[path].bytes))
    with pytest.raises(InstallError, match="1 more"):
        copy.check()
    again = Copy(manifest, targets, tmp_path / "journal")
    again.write(sources)
    again.check()
    assert [target.read_bytes() for target in targets.values()] == [b"one", b"two!"]


def test_a_link_in_place_of_a_file_is_not_written_through(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "private").write_bytes(b"private")
    (tmp_path / "a").symlink_to(tmp_path / "private")
    with pytest.raises(OSError, match="symbolic"):
        Copy(manifest, {"code/a": tmp_path / "a"}, tmp_path / "journal").write({ONE: Source(tmp_path / "one")})
    assert (tmp_path / "private").read_bytes() == b"private"


def test_half_a_model_is_left_and_single_files_are_added(tmp_path: Path) -> None:
    value = a_manifest()
    value["files"] |= {
        f"data/{path}": a_file() for path in ("bases/b/d", "evaluations/scope/1", "evaluations/scope/2", "raw.sqlite")
    }
    found = read_manifest(spelled(value))
    assert set(units_of(found)) == {"bases/b", "evaluations/scope/1", "evaluations/scope/2", "raw.sqlite"}
    for path in ("bases/b/c", "evaluations/scope/1"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"onetwo!")
    plan = plan_data(found, tmp_path)
    assert set(plan.new) == {"evaluations/scope/2", "raw.sqlite"}
    assert (plan.same, plan.left) == (["evaluations/scope/1"], ["bases/b"])


def test_a_wheel_whose_files_are_not_those_of_its_record_is_refused(tmp_path: Path) -> None:
    good = make_wheel(tmp_path / "good", "spam", "1", {"spam.py": "1"})
    with zipfile.ZipFile(good) as archive:
        size = sum(info.file_size for info in archive.infolist())
        record = archive.read("spam-1.dist-info/RECORD").decode()
    assert check_wheel(good) == size
    rows = record.splitlines()
    records = [
        record.replace("spam.py,sha256=", "spam.py,sha256=A"), record.replace("sha256", "md5"), "\n".join(rows[1:]),
        record + "more.py,sha256=abc,1\n", record + rows[0] + "\n", record.replace(",1\n", ",2\n"), record + "a,b\n",
    ]  # fmt: skip
    for at, other in enumerate(records):
        assert other != record
        with pytest.raises(InstallError, match="make the bundle again"):
            check_wheel(make_wheel(tmp_path / str(at), "spam", "1", {"spam.py": "1"}, record=other))
    with pytest.raises(InstallError, match="leaves"):
        check_wheel(make_wheel(tmp_path / "up", "spam", "1", {"../spam.py": "1"}))
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr("more.py", "1")
    with pytest.raises(InstallError, match="not in both"):
        check_wheel(good)
    (tmp_path / "none.whl").write_bytes(b"PK")
    with pytest.raises(InstallError, match="no readable wheel"):
        check_wheel(tmp_path / "none.whl")
