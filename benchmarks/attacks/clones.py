"""Crafted repositories: a source that somebody names, and the clone in a package that travelled."""

import hashlib
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

from benchmarks.attacks._package import git, honest_package, make_repository, manifest_of
from benchmarks.attacks._watched import REFUSED, clone_apart
from benchmarks.attacks.base import Attack, GotThrough
from harness.packages.package import package_findings, read_package
from models.errors import ManifestError
from repos.git import Git

KIND = "clones"
Craft = Callable[[Path, Path], None]
"""A change of a repository's own folder; the second path is an empty folder beside it."""


def _source(craft: Craft, *, kept: bool = True) -> Callable[[Path], str]:
    """Refused, both as a source and as one's own repository, without waiting and without running anything."""

    def attack(scratch: Path) -> str:
        place, aside = make_repository(scratch / "source"), scratch / "aside"
        aside.mkdir()
        craft(place / ".git", aside)
        said = ""
        for each in (False, True) if kept else (False,):
            code, said = clone_apart(str(place), scratch, kept=each)
            if (scratch / "evil").exists():
                raise GotThrough("a command of the repository's was run")
            if code != REFUSED:
                raise GotThrough(f"accepted, or not refused in our words ({code}): {said[-200:]}")
        return said[-150:]

    return attack


def _runs_nothing(craft: Craft) -> Callable[[Path], str]:
    """Cloned or refused, but nothing that the repository names is run, and nothing is waited for."""

    def attack(scratch: Path) -> str:
        place, aside = make_repository(scratch / "source"), scratch / "aside"
        aside.mkdir()
        craft(place / ".git", aside)
        code, said = clone_apart(str(place), scratch)
        if (scratch / "evil").exists():
            raise GotThrough("a command of the repository's was run")
        return f"ended with {code}, nothing was run: {said[-100:]}"

    return attack


def _package(craft: Craft) -> Callable[[Path], str]:
    """Reading the package is refused, and `show --check` says why."""

    def attack(scratch: Path) -> str:
        package, aside = honest_package(scratch), scratch / "aside"
        aside.mkdir()
        craft(package / "repo", aside)
        if not package_findings(package):
            raise GotThrough("show --check finds nothing")
        try:
            read_package(package)
        except ManifestError as error:
            if not str(error).isprintable():
                raise GotThrough(f"the message holds what a terminal acts on: {str(error)[:100]!a}") from error
            return str(error)[-150:]
        raise GotThrough("the package was accepted")

    return attack


def _linked(name: str) -> Craft:
    """A part of a repository moved elsewhere, with a link in its place."""

    def craft(folder: Path, aside: Path) -> None:
        if name == "packed-refs":
            git(folder, "--git-dir=.", "pack-refs", "--all")
        (folder / name).rename(aside / "moved")
        (folder / name).symlink_to(aside / "moved")

    return craft


def _linked_fan(folder: Path, aside: Path) -> None:
    fan = next(path for path in (folder / "objects").iterdir() if len(path.name) == 2)
    fan.rename(aside / "moved")
    fan.symlink_to(aside / "moved")


def _linked_object(folder: Path, aside: Path) -> None:
    file = next(path for path in (folder / "objects").rglob("*") if path.is_file())
    file.rename(aside / "moved")
    file.symlink_to(aside / "moved")


def _piped(name: str) -> Craft:
    """A pipe that nobody writes to in place of a file."""

    def craft(folder: Path, _: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / name)

    return craft


def _written(name: str, text: str | bytes) -> Craft:
    """A file with another content; SCRATCH stands for the attack's directory."""

    def craft(folder: Path, aside: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = text.replace("SCRATCH", str(aside.parent)).encode() if isinstance(text, str) else text
        (folder / name).write_bytes(data)

    return craft


def _added(name: str, text: str) -> Craft:
    def craft(folder: Path, aside: Path) -> None:
        with (folder / name).open("a") as file:
            file.write(text.replace("SCRATCH", str(aside.parent)))

    return craft


def _git_link(folder: Path, aside: Path) -> None:
    folder.rename(aside / "moved")
    folder.symlink_to(aside / "moved")


def _git_file(target: str) -> Craft:
    """`.git` is a file that leads to a repository which knows nothing of this work tree."""

    def craft(folder: Path, aside: Path) -> None:
        folder.rename(aside / "private")
        folder.write_text(f"gitdir: {target.replace('ASIDE', str(aside))}\n")

    return craft


def _git_pipe(folder: Path, _: Path) -> None:
    shutil.rmtree(folder)
    os.mkfifo(folder)


def _common_elsewhere(folder: Path, aside: Path) -> None:
    make_repository(aside / "private")
    (folder / "commondir").write_text(f"{aside / 'private' / '.git'}\n")


def _include_of_a_pipe(folder: Path, aside: Path) -> None:
    os.mkfifo(aside / "pipe")
    _added("config", f"[include]\n\tpath = {aside / 'pipe'}\n")(folder, aside)


def _include_of_an_include(folder: Path, aside: Path) -> None:
    os.mkfifo(aside / "pipe")
    (aside / "one").write_text(f"[include]\n\tpath = {aside / 'pipe'}\n")
    _added("config", f'[includeIf "gitdir:**"]\n\tpath = {aside / "one"}\n')(folder, aside)


def _promisor(folder: Path, aside: Path) -> None:
    """An object is missing, and the place to fetch it from is a command."""
    sha = git(folder.parent, "rev-parse", "HEAD:little.py")
    (folder / "objects" / sha[:2] / sha[2:]).unlink()
    config = (
        "[extensions]\n\tpartialClone = origin\n[core]\n\trepositoryformatversion = 1\n"
        '[remote "origin"]\n\tpromisor = true\n\turl = "ext::touch SCRATCH/evil"\n[protocol "ext"]\n\tallow = always\n'
    )
    _added("config", config)(folder, aside)


def _promisor_pack(folder: Path, _: Path) -> None:
    git(folder.parent, "repack", "-a", "-d", "-q")
    pack = next((folder / "objects" / "pack").glob("*.pack"))
    pack.with_suffix(".promisor").touch()


def _submodule(folder: Path, _: Path) -> None:
    place = folder.parent
    (place / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::touch evil\n')
    git(place, "add", ".gitmodules")
    git(place, "update-index", "--add", "--cacheinfo", f"160000,{git(place, 'rev-parse', 'HEAD')},x")
    git(place, "commit", "-q", "-m", "Submodule")
    git(place, "config", "submodule.recurse", "true")


def _swapped_in_the_pack(repo: Path, _: Path) -> None:
    """The index of the pack gives two blobs each other's place: git believes it."""
    ids = [git(repo, "--git-dir=.", "rev-parse", f"HEAD:{name}") for name in ("little.py", "test_little.py")]
    path = next((repo / "objects" / "pack").glob("*.idx"))
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    count = int.from_bytes(data[8 + 255 * 4 : 8 + 256 * 4], "big")
    names, offsets = 8 + 1024, 8 + 1024 + 24 * count
    at = [next(i for i in range(count) if data[names + 20 * i : names + 20 * i + 20].hex() == sha) for sha in ids]
    one, two = (slice(offsets + 4 * i, offsets + 4 * i + 4) for i in at)
    data[one], data[two] = data[two], data[one]
    data[-20:] = hashlib.sha1(data[:-20]).digest()
    path.write_bytes(bytes(data))
    if git(repo, "--git-dir=.", "cat-file", "blob", ids[0]).startswith("def half"):
        raise AssertionError("the craft failed: git still finds the honest blob")


def _altered_loose_object(repo: Path, aside: Path) -> None:
    sha = git(repo, "--git-dir=.", "rev-parse", "HEAD:little.py")
    for file in (repo / "objects" / "pack").iterdir():
        file.rename(aside / file.name)
    with next(aside.glob("*.pack")).open("rb") as pack:
        subprocess.run(["git", "--git-dir", str(repo), "unpack-objects", "-q"], stdin=pack, check=True)
    path = repo / "objects" / sha[:2] / sha[2:]
    path.chmod(0o644)
    path.write_bytes(zlib.compress(b"blob 5\0evil\n"))


def _loose_bomb(repo: Path, aside: Path) -> None:
    _altered_loose_object(repo, aside)
    sha = git(repo, "--git-dir=.", "rev-parse", "HEAD:little.py")
    squeeze = zlib.compressobj(9)
    head = squeeze.compress(b"blob 209715200\0")
    (repo / "objects" / sha[:2] / sha[2:]).write_bytes(
        head + b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(200)) + squeeze.flush()
    )


def _pack_without_index(repo: Path, _: Path) -> None:
    next((repo / "objects" / "pack").glob("*.idx")).unlink()


def _cut_pack(repo: Path, _: Path) -> None:
    path = next((repo / "objects" / "pack").glob("*.pack"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-30])


def _repo_link(repo: Path, aside: Path) -> None:
    repo.rename(aside / "moved")
    repo.symlink_to(aside / "moved")


def _false_graph(scratch: Path) -> str:
    """A cache of the history that tells of other parents is not believed."""
    package = honest_package(scratch)
    repo, head = package / "repo", str(manifest_of(package)["head"])
    git(repo, "--git-dir=.", "commit-graph", "write", "--reachable")
    path = repo / "objects" / "info" / "commit-graph"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    at = _chunk(data, b"CDAT")
    for row in range(2):  # both commits become roots
        place = at + row * 36 + 20
        data[place : place + 4] = (0x70000000).to_bytes(4, "big")
    data[-20:] = hashlib.sha1(data[:-20]).digest()
    path.write_bytes(bytes(data))
    if len(Git(repo).text("rev-list", head).split()) != 2:
        raise GotThrough("the history that the cache tells was believed")
    return "the history is read from the commits"


def _chunk(data: bytearray, name: bytes) -> int:
    for number in range(data[6]):
        entry = 8 + 12 * number
        if data[entry : entry + 4] == name:
            return int.from_bytes(data[entry + 4 : entry + 12], "big")
    raise AssertionError(f"no chunk {name!r}")


def _no_repository(scratch: Path) -> str:
    (scratch / "source").write_bytes(b"# v2 git bundle\n" + b"0" * 40 + b" refs/heads/main\n\nPACK")
    code, said = clone_apart(str(scratch / "source"), scratch)
    if code != REFUSED:
        raise GotThrough(f"not refused in our words ({code}): {said[-200:]}")
    return said[-150:]


def _removed_config(repo: Path, _: Path) -> None:
    (repo / "config").unlink()
    shutil.copytree(repo / "refs", repo / "config")


_SOURCES: tuple[tuple[str, Callable[[Path], str]], ...] = (
    *((f"{name} is a link", _source(_linked(name))) for name in ("objects", "refs", "HEAD", "packed-refs", "config")),
    ("objects/pack is a link", _source(_linked("objects/pack"))),
    ("objects/info is a link", _source(_linked("objects/info"))),
    ("refs/heads is a link", _source(_linked("refs/heads"))),
    ("branch is a link", _source(_linked("refs/heads/main"))),
    ("folder of loose objects is a link", _source(_linked_fan)),
    ("object is a link", _source(_linked_object)),
    (".git is a link", _source(_git_link)),
    (".git leads to a stranger's repository", _source(_git_file("ASIDE/private"))),
    (".git leads to itself", _source(_git_file(".git"))),
    (".git leads nowhere", _source(_git_file("/nowhere/at/all"))),
    (".git leads to the root", _source(_git_file("/"))),
    (".git is a pipe", _source(_git_pipe)),
    ("commondir leads to another repository", _source(_common_elsewhere)),
    ("objects borrowed from elsewhere", _source(_written("objects/info/alternates", "/tmp/private/objects\n"))),
    ("grafted history", _source(_written("info/grafts", "0" * 40 + "\n"))),
    ("shallow", _source(_written("shallow", "0" * 40 + "\n"))),
    ("pack of a partial clone", _source(_promisor_pack)),
    *((f"{name} is a pipe", _source(_piped(name)))
      for name in ("HEAD", "config", "packed-refs", "refs/heads/x", "objects/info/alternates", "commondir", "shallow")),
    ("config includes a pipe", _source(_include_of_a_pipe)),
    ("config includes what includes a pipe", _source(_include_of_an_include)),
    ("HEAD leaves the repository", _source(_written("HEAD", "ref: ../../../etc/passwd\n"))),
    ("HEAD leaves refs", _source(_written("HEAD", "ref: refs/../../x\n"))),
    ("HEAD of one megabyte", _source(_written("HEAD", b"ref: refs/heads/" + b"a" * (1 << 20)))),
    ("HEAD with terminal codes", _source(_written("HEAD", "ref: refs/heads/\x1b[2J\n"))),
    ("HEAD of NULs", _source(_written("HEAD", bytes(100)))),
    ("HEAD of nothing", _source(_written("HEAD", ""))),
    ("missing object that a command would fetch", _runs_nothing(_promisor)),
    ("hook for packing", _runs_nothing(_added("config", '[uploadpack]\n\tpackObjectsHook = touch SCRATCH/evil\n'))),
    ("file system monitor", _runs_nothing(_added("config", "[core]\n\tfsmonitor = touch SCRATCH/evil\n"))),
    ("submodule of a helper", _runs_nothing(_submodule)),
    ("bundle that is none", _no_repository),
)  # fmt: skip

_PACKAGES: tuple[tuple[str, Craft], ...] = (
    *((f"{name} is a link", _linked(name)) for name in ("objects", "objects/pack", "refs", "HEAD", "packed-refs")),
    ("config is a link", _linked("config")),
    ("object is a link", _linked_object),
    ("repo is a link", _repo_link),
    *((f"{name} is a pipe", _piped(name)) for name in ("config", "packed-refs", "refs/heads/x", "objects/pack/x.idx")),
    ("config is a folder", _removed_config),
    ("config runs a command", _added("config", "[core]\n\tsshCommand = touch SCRATCH/evil\n")),
    ("config includes another", _added("config", "[include]\n\tpath = SCRATCH/x\n")),
    ("config that git cannot read", _written("config", "[core\n")),
    ("hook", _written("hooks/post-checkout", "#!/bin/sh\n")),
    ("borrowed objects", _written("objects/info/alternates", "/tmp/private/objects\n")),
    ("objects borrowed over the network", _written("objects/info/http-alternates", "https://example.org/x\n")),
    ("grafts", _written("info/grafts", "0" * 40 + "\n")),
    ("shallow", _written("shallow", "0" * 40 + "\n")),
    ("commondir", _written("commondir", "/tmp/private\n")),
    ("attributes", _written("info/attributes", "* filter=evil\n")),
    ("replaced objects", _written("refs/replace/" + "0" * 40, "0" * 40 + "\n")),
    ("replaced objects in packed-refs", _added("packed-refs", f"{'0' * 40} refs/replace/{'1' * 40}\n")),
    ("HEAD that leaves", _written("HEAD", "ref: refs/heads/../../x\n")),
    ("HEAD with terminal codes", _written("HEAD", "ref: refs/heads/\x1b[2J\n")),
    ("file among the objects", _written("objects/evil", "x")),
    ("promisor among the packs", _written("objects/pack/pack-" + "0" * 40 + ".promisor", "")),
    ("objects that change places in a pack", _swapped_in_the_pack),
    ("loose object with another content", _altered_loose_object),
    ("loose object that is a bomb", _loose_bomb),
    ("pack without an index", _pack_without_index),
    ("pack that is cut short", _cut_pack),
)  # fmt: skip


def attacks() -> list[Attack]:
    """The attacks of this kind."""
    return [
        *(Attack(KIND, f"source: {name}", run) for name, run in _SOURCES),
        *(Attack(KIND, f"package: {name}", _package(craft)) for name, craft in _PACKAGES),
        Attack(KIND, "package: false history in a cache", _false_graph),
    ]
