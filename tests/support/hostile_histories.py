"""Hostile packages whose clone, history or tests are not what they seem."""

import shutil
import subprocess
import zlib
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

from models.refusals import RefusalReason as R
from tests.support.hostile_base import Craft, Hostile, Json, git, manifest_of, tested, with_manifest, write_manifest


def _written(name: str, text: str) -> Craft:
    def craft(package: Path, _: Path) -> None:
        place = package / "repo" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    return craft


def _config(text: str) -> Craft:
    def craft(package: Path, _: Path) -> None:
        with (package / "repo" / "config").open("a") as file:
            file.write(text)

    return craft


def _ref(name: str) -> Craft:
    def craft(package: Path, _: Path) -> None:
        git(package / "repo", "update-ref", name, "HEAD")

    return craft


def _packed_ref(name: str) -> Craft:
    def craft(package: Path, _: Path) -> None:
        head = git(package / "repo", "rev-parse", "HEAD")
        with (package / "repo" / "packed-refs").open("a") as file:
            file.write(f"{head} {name}\n")

    return craft


def _object(kind: str, data: bytes, repo: Path) -> str:
    """Write an object that git would not write."""
    raw = f"{kind} {len(data)}\0".encode() + data
    name = sha1(raw, usedforsecurity=False).hexdigest()
    place = repo / "objects" / name[:2] / name[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(zlib.compress(raw))
    return name


def _head(package: Path, tree: str) -> None:
    """Make a commit of a tree the newest one, in the manifest as well."""
    repo = package / "repo"
    commit = git(repo, "commit-tree", "-p", "HEAD", "-m", "Add a file that is not a file", tree)
    git(repo, "update-ref", "HEAD", commit)
    with_manifest(lambda manifest: manifest.update(head=commit))(package, package)


def _tree(entries: Callable[[str, str], list[tuple[str, bytes, str]]]) -> Craft:
    """A newest commit whose tree has some entries (mode, name, object), given the ids of a blob and of a tree."""

    def craft(package: Path, _: Path) -> None:
        repo = package / "repo"
        blob = _object("blob", b"evil\n", repo)
        below = _object("tree", b"100644 a\0" + bytes.fromhex(blob), repo)
        made = b"".join(f"{m} ".encode() + n + b"\0" + bytes.fromhex(o) for m, n, o in entries(blob, below))
        _head(package, _object("tree", made, repo))

    return craft


def _file(name: str, content: bytes) -> Craft:
    """A newest commit with one file."""

    def craft(package: Path, _: Path) -> None:
        repo = package / "repo"
        blob = git(repo, "hash-object", "-w", "--stdin", stdin=content)
        _head(package, git(repo, "mktree", stdin=f"100644 blob {blob}\t{name}\n".encode()))

    return craft


def _large_blob(package: Path, aside: Path) -> None:
    with (aside / "zeros").open("wb") as file:
        file.truncate(300 << 20)
    blob = git(package / "repo", "-c", "core.bigFileThreshold=1g", "hash-object", "-w", str(aside / "zeros"))
    _head(package, git(package / "repo", "mktree", stdin=f"100644 blob {blob}\tzeros\n".encode()))


def _lying_object(package: Path, _: Path) -> None:
    """A loose object that is not what its name says, reachable from a branch."""
    repo = package / "repo"
    good = _object("blob", b"good\n", repo)
    place = repo / "objects" / good[:2] / good[2:]
    _head(package, git(repo, "mktree", stdin=f"100644 blob {good}\tgood\n".encode()))
    place.write_bytes(zlib.compress(b"blob 5\0evil\n"))


def _loose_bomb(package: Path, aside: Path) -> None:
    _lying_object(package, aside)
    good = git(package / "repo", "rev-parse", "HEAD:good")
    squeeze = zlib.compressobj(9)
    data = squeeze.compress(b"blob 5\0") + b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(200))
    (package / "repo" / "objects" / good[:2] / good[2:]).write_bytes(data + squeeze.flush())


def _cut_pack(package: Path, _: Path) -> None:
    pack = next((package / "repo" / "objects" / "pack").glob("*.pack"))
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:-30])


def _altered_pack(package: Path, _: Path) -> None:
    pack = next((package / "repo" / "objects" / "pack").glob("*.pack"))
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 0xFF
    pack.write_bytes(bytes(data))


def _shallow(package: Path, _: Path) -> None:
    (package / "repo" / "shallow").write_text(git(package / "repo", "rev-parse", "HEAD") + "\n")


def _promisor(package: Path, _: Path) -> None:
    pack = next((package / "repo" / "objects" / "pack").glob("*.pack"))
    pack.with_suffix(".promisor").touch()


def _no_git(package: Path, _: Path) -> None:
    shutil.rmtree(package / "repo")
    (package / "repo").mkdir()


def new_commit(package: Path, files: dict[str, str], message: str) -> str:
    """A commit on top of the package's history; its id."""
    repo, index = package / "repo", str(package.parent / "index")
    git(repo, "read-tree", "HEAD", GIT_INDEX_FILE=index)
    for name, text in files.items():
        blob = git(repo, "hash-object", "-w", "--stdin", stdin=text.encode())
        git(repo, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", GIT_INDEX_FILE=index)
    tree = git(repo, "write-tree", GIT_INDEX_FILE=index)
    Path(index).unlink()
    when = {"GIT_AUTHOR_DATE": "2025-03-22T10:00:00Z", "GIT_COMMITTER_DATE": "2025-03-22T10:00:00Z"}
    commit = git(repo, "commit-tree", "-p", "HEAD", tree, stdin=message.encode(), **when)
    git(repo, "update-ref", "HEAD", commit)
    return commit


_CODE = "def double(number):\n    return 2 * number\n"
_HONEST = "from spans.double import double\n\n\ndef test_doubles():\n    assert double(2) == 4\n"


_MESSAGE = "Add a function that doubles numbers"


def _claims(tests: str, code: str = _CODE, *, existing: bool = False, message: str = _MESSAGE) -> Craft:
    """The package's only instance is a new commit with some code and tests, claimed to be valid."""

    def craft(package: Path, _: Path) -> None:
        manifest = manifest_of(package)
        base = git(package / "repo", "rev-parse", "HEAD")
        if existing:  # the parent has the code already
            base = new_commit(package, {"src/spans/double.py": code}, "Add a function that doubles")
            code_now = code + "# doubled\n"
        else:
            code_now = code
        files = {"src/spans/double.py": code_now, "tests/test_double.py": tests}
        commit = new_commit(package, files, message)
        instance: Json = {
            **manifest["instances"][0],
            "instance_id": f"{manifest['name']}__{commit[:12]}",
            "commit": commit,
            "base_commit": base,
            "task": _MESSAGE,
            "production_files": ["src/spans/double.py"],
            "test_files": ["tests/test_double.py"],
            "symbols": [],
            "fail_to_pass": ["tests/test_double.py::test_doubles"],
            "pass_to_pass": [],
            "build": None,
        }
        environment = tested(manifest)
        environment.pop("days_after", None)  # older packages do not say it
        manifest |= {"head": commit, "instances": [instance], "environments": [environment]}
        manifest["wheels"] = {name: manifest["wheels"][name] for name in environment["wheels"]}
        for wheel in (package / "packages").iterdir():
            if wheel.name not in manifest["wheels"]:
                wheel.unlink()
        write_manifest(package, manifest)

    return craft


def _body(*lines: str) -> str:
    return "import os, time, subprocess\n\n\ndef test_doubles():\n" + "".join(f"    {line}\n" for line in lines)


def _unpacked(package: Path, aside: Path) -> None:
    """A hundred thousand loose objects' worth of nothing: a hook among them."""
    pack = next((package / "repo" / "objects" / "pack").glob("*.pack"))
    moved = pack.rename(aside / pack.name)
    with moved.open("rb") as stream:
        subprocess.run(["git", "--git-dir", str(package / "repo"), "unpack-objects", "-q"], stdin=stream, check=True)
    (package / "repo" / "objects" / "evil").write_text("x")


_RUN = (R.NO_VALID_INSTANCE,)
_FILES, _OBJECTS = (R.GIT_FILES,), (R.GIT_OBJECTS,)
_URL = '[submodule "x"]\n\tpath = x\n\turl = {}\n'
HISTORIES = (
    Hostile("git settings", "file system monitor", _config("[core]\n\tfsmonitor = touch /tmp/evil\n"), _FILES),
    Hostile("git settings", "command for ssh", _config("[core]\n\tsshCommand = touch /tmp/evil\n"), _FILES),
    Hostile("git settings", "include", _config("[include]\n\tpath = /tmp/x\n"), _FILES),
    Hostile("git settings", "filter", _config('[filter "x"]\n\tsmudge = touch /tmp/evil\n'), _FILES),
    Hostile("git settings", "unreadable", _config("[core\n"), _FILES),
    Hostile("git files", "alternates", _written("objects/info/alternates", "/tmp/x\n"), _FILES),
    Hostile("git files", "stray file among the objects", _unpacked, _FILES),
    Hostile("git files", "promisor pack", _promisor, _FILES),
    Hostile("git files", "no clone at all", _no_git, _FILES),
    Hostile("git files", "HEAD that climbs", _written("HEAD", "ref: refs/heads/../../x\n"), _FILES),
    Hostile("git files", "hook", _written("hooks/post-checkout", "echo\n"), (R.FOREIGN_FILE,)),
    Hostile("git files", "grafts", _written("info/grafts", "0" * 40 + "\n"), (R.FOREIGN_FILE,)),
    Hostile("git files", "attributes", _written("info/attributes", "* filter=x\n"), (R.FOREIGN_FILE,)),
    Hostile("git files", "shallow", _shallow, (R.FOREIGN_FILE,)),
    Hostile("git files", "work tree elsewhere", _written("commondir", "/tmp\n"), (R.FOREIGN_FILE,)),
    Hostile("git refs", "replaced commit", _packed_ref("refs/replace/" + "1" * 40), (R.GIT_REFS,)),
    Hostile("git refs", "pull request", _packed_ref("refs/pull/1/head"), (R.GIT_REFS,)),
    Hostile("git refs", "notes", _ref("refs/notes/commits"), (R.GIT_REFS, R.FOREIGN_FILE)),
    Hostile("git refs", "HEAD of nothing", _written("HEAD", "ref: refs/heads/nowhere\n"), (R.GIT_REFS,)),
    Hostile("git trees", ".GIT", _tree(lambda blob, tree: [("40000", b".GIT", tree)]), _OBJECTS),
    Hostile("git trees", ".git of HFS", _tree(lambda blob, tree: [("40000", ".g\u200cit".encode(), tree)]), _OBJECTS),
    Hostile("git trees", ".git of NTFS", _tree(lambda blob, tree: [("40000", b"git~1", tree)]), _OBJECTS),
    Hostile("git trees", "parent folder", _tree(lambda blob, tree: [("40000", b"..", tree)]), _OBJECTS),
    Hostile("git trees", "entry twice",
            _tree(lambda blob, tree: [("100644", b"a", blob), ("100644", b"a", blob)]), _OBJECTS),
    Hostile("git trees", "file and folder",
            _tree(lambda blob, tree: [("100644", b"a", blob), ("40000", b"a", tree)]), _OBJECTS),
    Hostile("git trees", "name with a slash", _tree(lambda blob, tree: [("100644", b"../a", blob)]), _OBJECTS),
    Hostile("git trees", "settings of submodules that are a link",
            _tree(lambda blob, tree: [("120000", b".gitmodules", blob)]), _OBJECTS),
    Hostile("submodules", "URL that is an option", _file(".gitmodules", _URL.format("-u./evil").encode()), _OBJECTS),
    Hostile("submodules", "URL of a helper",
            _file(".gitmodules", _URL.format("ext::touch /tmp/evil").encode()), (R.GIT_SUBMODULE, R.GIT_OBJECTS)),
    Hostile("submodules", "update by a command",
            _file(".gitmodules", (_URL.format("https://example.org/x") + "\tupdate = !touch /tmp/evil\n").encode()),
            (R.GIT_OBJECTS, R.GIT_SUBMODULE)),
    Hostile("git sizes", "blob of 300 MiB", _large_blob, (R.GIT_SIZE,)),
    Hostile("git objects", "object that is not what its name says", _lying_object, (*_OBJECTS, R.IDENTITY)),
    Hostile("git objects", "loose object that unpacks without end", _loose_bomb, (*_OBJECTS, R.IDENTITY)),
    Hostile("git objects", "pack that is cut short", _cut_pack, (*_OBJECTS, R.GIT_REFS)),
    Hostile("git objects", "pack with an altered byte", _altered_pack, (*_OBJECTS, R.GIT_REFS)),
    Hostile("tests", "pass on the parent", _claims(_HONEST, existing=True), _RUN, runs=True),
    Hostile("tests", "fail on the commit", _claims(_body("assert False")), _RUN, runs=True),
    Hostile("tests", "sleep without end", _claims(_body("time.sleep(10**6)")), _RUN, runs=True),
    Hostile("tests", "fork without end", _claims(_body("while True: os.fork()")), _RUN, runs=True),
    Hostile("tests", "fill the disk",
            _claims(_body("f = open('/tmp/x', 'wb')", "while True: f.write(bytes(1 << 20))")), _RUN, runs=True),
    Hostile("tests", "take all memory",
            _claims(_body("x = []", "while True: x.append(bytes(1 << 26))")), _RUN, runs=True),
    Hostile("tests", "message of two mebibytes, which is no task",
            _claims(_HONEST, message=f"{_MESSAGE}\n\n" + "word " * (1 << 19)), (R.IDENTITY, *_RUN), runs=True),
    Hostile("tests", "end the runner", _claims(_body("os._exit(0)")), _RUN, runs=True),
)  # fmt: skip
