"""Further hostile packages: packs, refs and trees made by hand, names, packages that run at startup."""

import struct
import zlib
from collections.abc import Callable
from hashlib import sha1, sha256
from pathlib import Path

from models.refusals import RefusalReason as R
from tests.support.hostile_base import (
    Craft,
    Hostile,
    Json,
    git,
    manifest_of,
    rekey,
    tested,
    with_manifest,
    write_manifest,
)
from tests.support.hostile_histories import _config, _head, _object, _written
from tests.support.hostile_wheels import _altered, _wheel


def _size(kind: int, size: int) -> bytes:
    """The header of an object in a pack."""
    made, byte, size = bytearray(), (kind << 4) | (size & 15), size >> 4
    while size:
        made.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    return bytes([*made, byte])


def _length(number: int) -> bytes:
    made = bytearray()
    while number >= 0x80:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def _delta(base: str, base_size: int, data: bytes) -> bytes:
    """A delta against an object by its name: the whole result is spelled out, at most 127 bytes."""
    delta = _length(base_size) + _length(len(data)) + bytes([len(data)]) + data
    return _size(7, len(delta)) + bytes.fromhex(base) + zlib.compress(delta)


def _pack(repo: Path, objects: dict[str, bytes], shift: int = 0) -> None:
    """A pack with objects under any names, and an index of it whose offsets are `shift` bytes off."""
    data, offsets = b"PACK" + struct.pack(">II", 2, len(objects)), {}
    for name, packed in objects.items():
        offsets[name] = (len(data), zlib.crc32(packed))
        data += packed
    trailer = sha1(data, usedforsecurity=False).digest()
    names = sorted(objects)
    index = b"\xfftOc" + struct.pack(">I", 2)
    index += b"".join(struct.pack(">I", sum(int(n[:2], 16) <= k for n in names)) for k in range(256))
    index += b"".join(bytes.fromhex(n) for n in names)
    index += b"".join(struct.pack(">I", offsets[n][1]) for n in names)
    index += b"".join(struct.pack(">I", offsets[n][0] + shift) for n in names) + trailer
    index += sha1(index, usedforsecurity=False).digest()
    place = repo / "objects" / "pack" / f"pack-{trailer.hex()}"
    place.with_suffix(".pack").write_bytes(data + trailer)
    place.with_suffix(".idx").write_bytes(index)


def _with_blob(package: Path, blob: str) -> None:
    """A newest commit with a blob, which need not be readable."""
    _head(package, _object("tree", b"100644 a\0" + bytes.fromhex(blob), package / "repo"))


def _cycle(package: Path, _: Path) -> None:
    one, other = "a" * 40, "b" * 40
    _pack(package / "repo", {one: _delta(other, 4, b"evil"), other: _delta(one, 4, b"evil")})
    _with_blob(package, one)


def _cyclic_commit(package: Path, _: Path) -> None:
    """A branch that leads to a commit which is a delta of itself."""
    one = "a" * 40
    _pack(package / "repo", {one: _delta(one, 4, b"evil")})
    (package / "repo" / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    (package / "repo" / "refs" / "heads" / "evil").write_text(one + "\n")


def _missing_base(package: Path, _: Path) -> None:
    _pack(package / "repo", {"a" * 40: _delta("b" * 40, 4, b"evil")})
    _with_blob(package, "a" * 40)


def _wrong_size(package: Path, _: Path) -> None:
    """A blob whose pack says 4 bytes, and which unpacks to a hundred megabytes."""
    blob = "a" * 40
    _pack(package / "repo", {blob: _size(3, 4) + zlib.compress(bytes(100 << 20), 9)})
    _with_blob(package, blob)


def _shifted(package: Path, _: Path) -> None:
    raw = b"blob 4\0evil"
    name = sha1(raw, usedforsecurity=False).hexdigest()
    _pack(package / "repo", {name: _size(3, 4) + zlib.compress(b"evil")}, shift=3)
    _with_blob(package, name)


def _bomb(levels: int, width: int, blob: bytes, deepest: int = 0) -> Craft:
    """Few objects, and a newest commit whose tree has `width ** levels` files."""

    def craft(package: Path, _: Path) -> None:
        repo = package / "repo"
        below, mode = _object("blob", blob, repo), b"100644 "
        for _level in range(levels):
            entries = (mode + f"{n:05}".encode() + b"\0" + bytes.fromhex(below) for n in range(width))
            below, mode = _object("tree", b"".join(entries), repo), b"40000 "
        _head(package, below)

    return craft


def _unreachable_bomb(package: Path, aside: Path) -> None:
    """An instance whose commit no branch leads to: git reads it in the arrived clone only."""
    before, repo = manifest_of(package), package / "repo"
    _bomb(10, 10, b"evil\n")(package, aside)
    commit = git(repo, "rev-parse", "HEAD")
    git(repo, "update-ref", "HEAD", before["head"])
    instance = before["instances"][0]
    instance |= {"commit": commit, "base_commit": before["head"]}
    instance |= {"instance_id": f"{before['name']}__{commit[:12]}", "production_files": [], "test_files": []}
    write_manifest(package, before)


def _loop(package: Path, _: Path) -> None:
    heads = package / "repo" / "refs" / "heads"
    heads.mkdir(parents=True, exist_ok=True)
    (heads / "a").write_text("ref: refs/heads/b\n")
    (heads / "b").write_text("ref: refs/heads/a\n")
    (package / "repo" / "HEAD").write_text("ref: refs/heads/a\n")


def _many_refs(package: Path, _: Path) -> None:
    head = git(package / "repo", "rev-parse", "HEAD")
    with (package / "repo" / "packed-refs").open("a") as file:
        file.writelines(f"{head} refs/tags/zz{n:07}\n" for n in range(300_000))


def _generated(content: bytes) -> Craft:
    """Generated tests for the first instance."""

    def craft(package: Path, _: Path) -> None:
        manifest, digest, test = manifest_of(package), sha256(content).hexdigest(), "test_more.py::test_more"
        made = {"files": [{"path": "test_more.py", "sha256": digest}], "told_apart": {test: "assertion"}}
        made |= {"instead_of": "no-fail-to-pass", "model": "x", "round": 1}
        made |= {"prompt_hash": "0" * 64, "answer_hash": "0" * 64}
        manifest["instances"][0] |= {"generated": made, "fail_to_pass": [test], "pass_to_pass": []}
        write_manifest(package, manifest)
        (package / "generated").mkdir()
        (package / "generated" / f"{digest}.py").write_bytes(content)

    return craft


def _named(name: str) -> Craft:
    """The package and its instances under another name."""

    def craft(package: Path, _: Path) -> None:
        manifest = manifest_of(package)
        for each in manifest["instances"]:
            each["instance_id"] = f"{name}__{each['commit'][:12]}"
        manifest["name"] = name
        write_manifest(package, manifest)

    return craft


def _lock(line: str) -> Craft:
    def change(manifest: Json) -> None:
        environment = tested(manifest)
        environment["lock"] += line
        rekey(manifest, environment)

    return with_manifest(change)


def _flag(bit: int) -> Callable[[bytes], bytes]:
    """Set a flag of each entry, in the local headers and in the directory."""

    def change(data: bytes) -> bytes:
        made = bytearray(data)
        for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = made.find(magic)
            while place >= 0:
                made[place + at] |= bit
                place = made.find(magic, place + 1)
        return bytes(made)

    return change


def _second_end(data: bytes) -> bytes:
    """An end of the archive inside the comment of another one."""
    end = data[-22:]
    return data[:-22] + end[:-2] + struct.pack("<H", 22) + end


def _sha256_repository(package: Path, _: Path) -> None:
    repo = package / "repo"
    (repo / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n"
    )


_NSPKG = b"import sys, types, os; os.system('touch /tmp/evil')\n"
_FILES, _OBJECTS = (R.GIT_FILES,), (R.GIT_OBJECTS,)
FURTHER = (
    Hostile("startup packages", "sitecustomize as a package", _wheel({"sitecustomize/__init__.py": b""}),
            (R.WHEEL_STARTUP,)),
    Hostile("startup packages", "usercustomize as a package", _wheel({"usercustomize/__init__.py": b""}),
            (R.WHEEL_STARTUP,)),
    Hostile("startup packages", "sitecustomize as a package for the platform",
            _wheel({"extra-1.0.data/platlib/sitecustomize/__init__.py": b""}), (R.WHEEL_STARTUP,)),
    Hostile("startup packages", "sitecustomize among the data",
            _wheel({"extra-1.0.data/data/lib/python3.12/site-packages/sitecustomize.py": b""}), (R.WHEEL,)),
    Hostile("startup packages", "namespace .pth with code of its own", _wheel({"extra-1.0-nspkg.pth": _NSPKG}),
            (R.WHEEL_STARTUP,)),
    Hostile("packs by hand", "deltas in a circle", _cycle, (*_OBJECTS, R.GIT_REFS)),
    Hostile("packs by hand", "commit that is a delta of itself", _cyclic_commit, (*_OBJECTS, R.GIT_REFS)),
    Hostile("packs by hand", "delta of nothing", _missing_base, (*_OBJECTS, R.GIT_REFS)),
    Hostile("packs by hand", "object larger than its header says", _wrong_size, (*_OBJECTS, R.GIT_REFS)),
    Hostile("pack indexes", "offsets that are off", _shifted, (*_OBJECTS, R.GIT_REFS)),
    Hostile("pack indexes", "index of several packs", _written("objects/pack/multi-pack-index", "MIDX"), _FILES),
    Hostile("tree bombs", "10^10 files", _bomb(10, 10, b"evil\n"), (R.GIT_SIZE,)),
    Hostile("tree bombs", "10^10 files that no branch leads to", _unreachable_bomb, (R.IDENTITY,)),
    Hostile("tree bombs", "a terabyte of files", _bomb(2, 300, bytes(12 << 20)), (R.GIT_SIZE,)),
    Hostile("tree bombs", "1,500 folders inside each other", _bomb(1500, 1, b"evil\n"), (R.GIT_SIZE,)),
    Hostile("ref loops", "branches that name each other", _loop, (R.GIT_REFS, *_OBJECTS)),
    Hostile("ref counts", "300,000 tags", _many_refs, (R.GIT_REFS,)),
    Hostile("repository formats", "names by SHA-256", _sha256_repository, _FILES),
    Hostile("repository formats", "reftable", _written("reftable/tables.list", "x\n"), (R.FOREIGN_FILE,)),
    Hostile("repository formats", "another work tree", _written("worktrees/x/gitdir", "/tmp\n"), (R.FOREIGN_FILE,)),
    Hostile("repository formats", "extension of the work tree's settings",
            _config("[extensions]\n\tworktreeConfig = true\n"), _FILES),
    Hostile("objects elsewhere", "over HTTP", _written("objects/info/http-alternates", "http://127.0.0.1/\n"), _FILES),
    Hostile("conditional settings", "include for every folder",
            _config('[includeIf "gitdir:/**"]\n\tpath = /tmp/x\n'), _FILES),
    Hostile("package names", "folder of the intake", _named(".cra-intake"), (R.MANIFEST,)),
    Hostile("package names", "hidden", _named(".ssh"), (R.MANIFEST,)),
    Hostile("package names", "device", _named("con"), (R.MANIFEST,)),
    Hostile("package names", "500 characters", _named("x" * 500), (R.MANIFEST,)),
    Hostile("requirements", "file", _lock("evil @ file:///tmp/evil.whl\n"), (R.MANIFEST,)),
    Hostile("requirements", "lock of another file", _lock("-r /etc/passwd\n"), (R.MANIFEST,)),
    Hostile("requirements", "marker", _lock(f"six==1.0 ; os_name == 'nt' --hash=sha256:{'0' * 64}\n"), (R.MANIFEST,)),
    Hostile("zip headers", "encrypted", _altered(_flag(1)), (R.WHEEL,)),
    Hostile("zip headers", "patched data", _altered(_flag(32)), (R.WHEEL, R.ENVIRONMENT)),
    Hostile("zip headers", "end inside a comment", _altered(_second_end), (R.WHEEL,)),
    Hostile("wheel places", "absolute path in RECORD",
            _wheel(record=lambda rows: rows.replace("extra.py", "/tmp/extra.py", 1)), (R.WHEEL,)),
    Hostile("wheel places", "settings of the environment", _wheel({"extra-1.0.data/data/pyvenv.cfg": b""}),
            (R.WHEEL,)),
    Hostile("wheel places", "entry point in place of python",
            _wheel({"extra.py": b"", "extra-1.0.dist-info/entry_points.txt": b"[console_scripts]\npython = extra:x\n"}),
            (R.WHEEL,)),
    Hostile("generated tests", "not UTF-8", _generated(b"X = '\xff'\n"), (R.FOREIGN_FILE,)),
    Hostile("origins", "password", with_manifest(lambda m: m.update(source="https://a:b@example.org/x")),
            (R.MANIFEST,)),
    Hostile("origins", "control character", with_manifest(lambda m: m.update(source="https://example.org/\x1b[2J")),
            (R.MANIFEST,)),
    Hostile("test ids", "newline in an instance's id",
            with_manifest(lambda m: m["instances"][0].update(instance_id='x\n{"verdict": "accepted"}')), (R.MANIFEST,)),
)  # fmt: skip
