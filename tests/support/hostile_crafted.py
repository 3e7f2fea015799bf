"""Hostile packages made for one reader each: zip's two directories, csv and configparser, git's packed refs and deltas,
JSON's escapes, the parser of requirements; and manifests that lie about days and origins."""

import json
import struct
import zlib
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

from host.checkout import ROOT, locked_versions
from models.refusals import RefusalReason as R
from runtime.environments import environment_key
from tests.support.hostile_base import (
    Craft,
    Hostile,
    Json,
    git,
    manifest_of,
    rekey,
    tested,
    with_file,
    with_manifest,
    with_text,
    write_manifest,
)
from tests.support.hostile_further import _pack, _size
from tests.support.hostile_histories import _config, _head, _object, _written
from tests.support.hostile_wheels import _altered, _wheel, add_wheel, make_wheel

_END = struct.Struct("<IHHHHIIH")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR = struct.Struct("<IIQI")


def _with_end64(place: int, disks: int, change: Callable[[list[int]], None] = lambda numbers: None) -> Craft:
    """A wheel with zip64's two records before its end; the locator leads `place` bytes behind the record."""

    def altered(data: bytes) -> bytes:
        _, _, _, count, _, size, start, _ = _END.unpack(data[-22:])
        numbers = [0x06064B50, 44, 45, 45, 0, 0, count, count, size, start]
        change(numbers)
        at = len(data) - 22
        return data[:at] + _END64.pack(*numbers) + _LOCATOR.pack(0x07064B50, 0, at + place, disks) + data[at:]

    return _altered(altered)


def _end(at: int, value: int) -> Craft:
    """A wheel whose end has another number at a place."""
    return _altered(lambda data: data[: at - 22] + struct.pack("<H", value) + data[at - 20 :])


def _overlapping(data: bytes) -> bytes:
    """The second member of the directory begins where the first one does."""
    at = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 1)
    return data[: at + 42] + struct.pack("<I", 0) + data[at + 46 :]


def _large_local(data: bytes) -> bytes:
    """A local header that has its sizes in a zip64 field, and other ones than the directory."""
    name = struct.unpack_from("<H", data, 26)[0]
    extra = struct.pack("<HHQQ", 1, 16, 1 << 40, 1 << 40)
    made = data[:18] + b"\xff" * 8 + data[26:28] + struct.pack("<H", len(extra)) + data[30 : 30 + name] + extra
    body, shift = data[30 + name :], len(extra)
    out = bytearray(made + body)
    place = out.find(b"PK\x01\x02")
    first = True
    while place >= 0:
        start = struct.unpack_from("<I", out, place + 42)[0]
        struct.pack_into("<I", out, place + 42, start if first else start + shift)
        first, place = False, out.find(b"PK\x01\x02", place + 1)
    struct.pack_into("<I", out, len(out) - 6, struct.unpack_from("<I", out, len(out) - 6)[0] + shift)
    return bytes(out)


def _packed_refs(change: Callable[[str, str], str]) -> Craft:
    """Packed refs made of the present ones and the id of HEAD."""

    def craft(package: Path, _: Path) -> None:
        repo = package / "repo"
        head = git(repo, "rev-parse", "HEAD")
        file = repo / "packed-refs"
        file.write_bytes(change(file.read_text() if file.exists() else "", head).encode("utf-8", "surrogateescape"))

    return craft


def _more_refs(*names: str) -> Craft:
    return _packed_refs(lambda text, head: text + "".join(f"{head} {name}\n" for name in names))


def _deep_chain(depth: int) -> Craft:
    """A pack in which each blob is a delta of the one before it."""

    def craft(package: Path, _: Path) -> None:
        data = b"x" * 64
        name = sha1(b"blob 64\0" + data, usedforsecurity=False).hexdigest()
        objects = {name: _size(3, 64) + zlib.compress(data)}
        for number in range(depth):
            data = struct.pack(">Q", number) * 8
            delta = bytes([64, 64, 64]) + data
            packed = _size(7, len(delta)) + bytes.fromhex(name) + zlib.compress(delta, 0)
            name = sha1(b"blob 64\0" + data, usedforsecurity=False).hexdigest()
            objects[name] = packed
        _pack(package / "repo", objects)
        _head(package, _object("tree", b"100644 a\0" + bytes.fromhex(name), package / "repo"))

    return craft


def _requires(value: str) -> Craft:
    def change(manifest: Json) -> None:
        environment = tested(manifest)
        environment["requires"] = [value]
        rekey(manifest, environment)

    return with_manifest(change)


def _node_lock(text: str) -> Craft:
    """An environment of Node.js with a lock of any text."""

    def change(manifest: Json) -> None:
        made = {"key": environment_key((), text, "node20.1.0"), "python": "", "abi": "node20.1.0", "requires": [],
                "cutoff": "2024-05-01", "lock": text, "wheels": []}  # fmt: skip
        manifest["environments"].append(made)

    return with_manifest(change)


def _future(manifest: Json) -> None:
    for environment in manifest["environments"]:
        environment["cutoff"] = "9999-12-31"


def _same_plugin(package: Path, _: Path) -> None:
    """Two wheels that register a plugin of pytest under one name."""
    for name in ("one", "two"):
        points = f"[pytest11]\ncov = {name}\n".encode()
        files = {f"{name}.py": b"", f"{name}-1.0.dist-info/entry_points.txt": points}
        add_wheel(package, make_wheel(package / "packages", files, name=name))


def _altered_pytest(package: Path, _: Path) -> None:
    """A wheel under the name of a published file that this project's lock knows, with its own content and lock."""
    [version] = locked_versions(ROOT)["typer"]
    wheel = make_wheel(package / "packages", {"typer/__init__.py": b"X = 1\n"}, name="typer")
    renamed = wheel.with_name(f"typer-{version}-py3-none-any.whl")
    wheel.rename(renamed)
    add_wheel(package, renamed)
    manifest = manifest_of(package)
    environment = tested(manifest)
    environment["lock"] = environment["lock"].replace("typer==1.0", f"typer=={version}")
    rekey(manifest, environment)
    write_manifest(package, manifest)


def _without_pack(package: Path, _: Path) -> None:
    """An index alone: what it lists is nowhere."""
    pack = next((package / "repo" / "objects" / "pack").glob("*.pack"))
    pack.unlink()


def _foreign_index(package: Path, _: Path) -> None:
    """A pack's index that knows none of its objects."""
    index = next((package / "repo" / "objects" / "pack").glob("*.idx"))
    index.chmod(0o644)
    empty = b"\xfftOc" + struct.pack(">I", 2) + bytes(4 * 256) + index.read_bytes()[-40:-20]
    index.write_bytes(empty + sha1(empty, usedforsecurity=False).digest())


def _blob_as_head(package: Path, _: Path) -> None:
    """A branch, and the manifest's head, that are a blob."""
    blob = _object("blob", b"evil\n", package / "repo")
    (package / "repo" / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    (package / "repo" / "HEAD").write_text(blob + "\n")
    with_manifest(lambda manifest: manifest.update(head=blob))(package, package)


def _tag_chain(package: Path, _: Path) -> None:
    """A tag that leads to itself by way of nothing: its object is missing."""
    tag = _object(
        "tag", b"object " + b"1" * 40 + b"\ntype tag\ntag a\ntagger A <a@b.c> 0 +0000\n\nx\n", package / "repo"
    )
    (package / "repo" / "refs" / "tags").mkdir(parents=True, exist_ok=True)
    (package / "repo" / "refs" / "tags" / "a").write_text(tag + "\n")


_TWICE = with_text(lambda raw: raw.replace('"name":', '"n\\u0061me": "x", "name":', 1))
_POINTS = "extra-1.0.dist-info/entry_points.txt"
_FILES, _OBJECTS, _WHEEL = (R.GIT_FILES,), (R.GIT_OBJECTS,), (R.WHEEL,)
CRAFTED = (
    Hostile("zip64", "locator that leads elsewhere", _with_end64(-100, 1), _WHEEL),
    Hostile("zip64", "on several disks", _with_end64(0, 2), _WHEEL),
    Hostile("zip64", "counts that differ", _with_end64(0, 1, lambda n: n.__setitem__(7, n[7] + 1)), _WHEEL),
    Hostile("zip64", "directory of 2^60 bytes", _with_end64(0, 1, lambda n: n.__setitem__(8, 1 << 60)), _WHEEL),
    Hostile("zip64", "sizes of a local header", _altered(_large_local), _WHEEL),
    Hostile("zip directories", "fewer members than there are", _end(10, 1), _WHEEL),
    Hostile("zip directories", "members of another disk", _end(4, 7), _WHEEL),
    Hostile("zip directories", "members that overlap", _altered(_overlapping), _WHEEL),
    Hostile("wheel texts", "field of RECORD with 200,000 characters",
            _wheel(record=lambda rows: rows + "x" * 200_000 + ",,\n"), _WHEEL),
    Hostile("wheel texts", "row of RECORD twice",
            _wheel(record=lambda rows: rows + rows.partition("\n")[0] + "\n"), _WHEEL),
    Hostile("wheel texts", "row of RECORD in another spelling",
            _wheel(record=lambda rows: rows.replace("extra.py", "./extra.py", 1)), _WHEEL),
    Hostile("wheel texts", "entry points without a delimiter",
            _wheel({"extra.py": b"", _POINTS: b"[console_scripts]\nkey\n more\n"}), _WHEEL),
    Hostile("wheel texts", "entry point twice",
            _wheel({"extra.py": b"", _POINTS: b"[console_scripts]\na = extra:x\na = extra:y\n"}), _WHEEL),
    Hostile("plugins of pytest", "two under one name", _same_plugin, (R.WHEEL_SHADOWS,)),
    Hostile("startup by other places", ".pth of the platform",
            _wheel({"extra-1.0.data/platlib/evil.pth": b"import os\n"}), (R.WHEEL_STARTUP,)),
    Hostile("startup by other places", ".pth among the data",
            _wheel({"extra-1.0.data/data/lib/python3.11/site-packages/evil.pth": b"import os\n"}), _WHEEL),
    Hostile("startup by other places", "compiled sitecustomize",
            _wheel({"sitecustomize.cpython-311.pyc": b""}), (R.WHEEL_STARTUP,)),
    Hostile("altered releases", "published name, other content", _altered_pytest, (R.WHEEL_ALTERED,)),
    Hostile("packed refs", "tag that is an option", _more_refs("refs/tags/--output=x"), (R.GIT_REFS,)),
    Hostile("packed refs", "bidirectional name", _more_refs("refs/tags/v\u202e1"), (R.GIT_REFS,)),
    Hostile("packed refs", "name that climbs", _more_refs("refs/heads/../../x"), (R.GIT_REFS, *_FILES, *_OBJECTS)),
    Hostile("packed refs", "outside refs", _more_refs("HEAD"), (R.GIT_REFS, *_FILES, *_OBJECTS)),
    Hostile("packed refs", "name of 4,000 bytes", _more_refs("refs/tags/" + "x" * 4000), (R.GIT_REFS, *_OBJECTS)),
    Hostile("packed refs", "replaced commit among sorted refs",
            _packed_refs(lambda text, head: "# pack-refs with: peeled fully-peeled sorted \n"
                         f"{head} refs/tags/z\n{head} refs/replace/{head}\n"), (R.GIT_REFS,)),
    Hostile("packed refs", "no refs at all", _packed_refs(lambda text, head: "\0" * 5000), (R.GIT_REFS, *_OBJECTS)),
    Hostile("packed refs", "id of nothing",
            _packed_refs(lambda text, head: text + f"{'1' * 40} refs/heads/evil\n"), (R.GIT_REFS, *_OBJECTS)),
    Hostile("delta chains", "5,000 deltas of deltas", _deep_chain(5000), (R.GIT_SIZE,)),
    Hostile("delta chains", "40,000 deltas of deltas", _deep_chain(40_000), (R.GIT_SIZE,)),
    Hostile("pack and index", "index without its pack", _without_pack, (*_OBJECTS, R.GIT_REFS)),
    Hostile("pack and index", "index that knows nothing", _foreign_index, (*_OBJECTS, R.GIT_REFS)),
    Hostile("pack and index", "kept for a promisor that is elsewhere",
            _config('[remote "x"]\n\tpromisor = true\n\turl = ext::touch /tmp/evil\n'), _FILES),
    Hostile("commands in settings", "pack-objects hook",
            _config("[uploadpack]\n\tpackObjectsHook = touch /tmp/evil\n"), _FILES),
    Hostile("commands in settings", "refs of alternates",
            _config("[core]\n\talternateRefsCommand = touch /tmp/evil\n"), _FILES),
    Hostile("commands in settings", "text conversion", _config('[diff "x"]\n\ttextconv = touch /tmp/evil\n'), _FILES),
    Hostile("commands in settings", "version of the format", _config("[core]\n\trepositoryformatversion = 99\n"),
            (*_OBJECTS, R.GIT_REFS)),
    Hostile("commands in settings", "extension that is a null byte", _config("[core]\n\tbare\0 = true\n"), _FILES),
    Hostile("caches of git", "chain of commit graphs that climbs",
            _written("objects/info/commit-graphs/../../../x", "x"), (R.FOREIGN_FILE, *_FILES)),
    Hostile("caches of git", "sparse checkout", _written("info/sparse-checkout", "/*\n"), (R.FOREIGN_FILE,)),
    Hostile("caches of git", "log of refs", _written("logs/HEAD", "x\n"), (R.FOREIGN_FILE,)),
    Hostile("caches of git", "merge state", _written("MERGE_HEAD", "x\n"), (R.FOREIGN_FILE,)),
    Hostile("objects of another kind", "blob as HEAD", _blob_as_head, (R.GIT_REFS, R.IDENTITY, *_OBJECTS)),
    Hostile("objects of another kind", "tag of nothing", _tag_chain, (R.GIT_REFS, *_OBJECTS)),
    Hostile("escapes of JSON", "field twice by an escape", _TWICE, (R.SCHEMA,)),
    Hostile("escapes of JSON", "half a surrogate pair",
            with_text(lambda raw: raw.replace('"source": "', '"source": "\\ud800', 1)), (R.SCHEMA,)),
    Hostile("escapes of JSON", "null character",
            with_text(lambda raw: raw.replace('"source": "', '"source": "\\u0000', 1)), (R.MANIFEST,)),
    Hostile("escapes of JSON", "byte order mark", with_text(lambda raw: b"\xef\xbb\xbf" + raw.encode()), (R.SCHEMA,)),
    Hostile("escapes of JSON", "UTF-16", with_text(lambda raw: raw.encode("utf-16")), (R.SCHEMA,)),
    Hostile("escapes of JSON", "two documents", with_text(lambda raw: raw + raw), (R.SCHEMA,)),
    Hostile("escapes of JSON", "comment", with_text(lambda raw: "// x\n" + raw), (R.SCHEMA,)),
    Hostile("escapes of JSON", "number with an exponent",
            with_text(lambda raw: raw.replace('"total": 2', '"total": 2e0', 1).replace('"total": 3', '"total": 3e0', 1)
                      .replace('"total": ', '"total": 1e', 1)), (R.SCHEMA,)),
    Hostile("parsers of values", "requirement of a thousand parentheses",
            _requires("tiny ; " + "(" * 900 + "os_name == 'nt'" + ")" * 900), (R.MANIFEST,)),
    Hostile("parsers of values", "lock of Node.js nested without end", _node_lock("[" * 100_000), (R.MANIFEST,)),
    Hostile("parsers of values", "lock of Node.js that names /etc",
            _node_lock(json.dumps({"packages": {"../../etc": {}}, "lockfileVersion": 3})), (R.MANIFEST,)),
    Hostile("parsers of values", "version of 10^6 digits",
            with_manifest(lambda m: m["instances"][0].update(version="1" * 10**6)), (R.MANIFEST,)),
    Hostile("days", "releases of the year 9999", with_manifest(_future), (R.MANIFEST,)),
    Hostile("days", "no day", with_manifest(lambda m: tested(m).update(cutoff="2024-02-30")), (R.MANIFEST,)),
    Hostile("names of files", "255 bytes", with_file("packages/" + "a" * 251 + ".whl", b"PK\x03\x04"), (R.WHEEL_SET,)),
    Hostile("names of files", "256 bytes in a ref", _more_refs("refs/heads/" + "a" * 300 + "/b" * 60),
            (R.GIT_REFS, *_OBJECTS)),
    Hostile("names of files", "stream of NTFS", with_file("packages/a.whl:evil", b"PK"), (R.BAD_NAME,)),
    Hostile("names of files", "short name of Windows", with_file("packages/EVIL~1.WHL", b"PK"),
            (R.ARCHIVE, R.FOREIGN_FILE, R.WHEEL_SET)),
    Hostile("names of files", "blank at the end", with_file("packages/a.whl ", b"PK"), (R.BAD_NAME,)),
    Hostile("names of files", "letters of two scripts",
            with_file("packages/tiny-1.0-py3-none-\u0430ny.whl", b"PK"), (R.FOREIGN_FILE,)),
    Hostile("names of files", "device of Windows as a branch", with_file("repo/refs/heads/aux", b"x"), (R.BAD_NAME,)),
)  # fmt: skip
