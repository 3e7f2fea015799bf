"""Building a Node.js environment from its wheel and archives, without npm and without running anything."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from models.errors import EnvironmentFault, WheelError
from models.manifest import Environment
from runtime.environments.node.archives import check_archive, link_tree, unpack
from runtime.environments.node.lockfile import LockedPackage, NodeLock, archive_name, parse_lock
from runtime.environments.node.release import is_release, unpacked_release
from runtime.environments.wheel_checks import known_sha256

TREE, LAYOUT = "tree", "layout.json"
"""In an environment: the folder with the packages at their places, and the description of roots and links."""


@dataclass(frozen=True)
class NodeContent:
    """What an environment is made of: the wheel of Node.js, its SHA-256, and the folder of archives."""

    lock: NodeLock
    wheel: Path
    digest: str
    packages: Path


def chosen(environment: Environment, packages: Path) -> NodeContent:
    """The content of an environment in a package's folder. Raises WheelError, EnvironmentFault."""
    lock = parse_lock(environment.lock)
    wheels = [name for name in environment.wheels if is_release(name)]
    if len(environment.wheels) != 1 or not wheels:
        raise EnvironmentFault("an environment of Node.js needs exactly one wheel, Node.js itself; prepare it again")
    digest = known_sha256(packages / wheels[0])
    if digest != lock.wheel:
        raise WheelError(f"{wheels[0]} has another SHA-256 than the lock; fetch it again")
    return NodeContent(lock, packages / wheels[0], digest, packages)


def build_node(content: NodeContent, prefix: Path, cache: Path) -> None:
    """Make an environment under `prefix`: Node.js in `node`, packages in `tree`; files are hard-linked from `cache`.

    Raises WheelError, EnvironmentFault, OSError.
    """
    prefix.mkdir(parents=True)
    link_tree(unpacked_release(content.wheel, cache), prefix / "node")
    tree = prefix / TREE
    tree.mkdir()
    for place, package in sorted(content.lock.packages.items()):
        source = _unpacked(content.packages / archive_name(package.sha512), package.sha512, cache)
        link_tree(source, tree / place)
    for place, package in sorted(content.lock.packages.items()):
        _link_commands(tree, place, package)
    layout = {"roots": content.lock.roots, "links": dict(content.lock.links)}
    (prefix / LAYOUT).write_text(json.dumps(layout, sort_keys=True))


def _unpacked(archive: Path, sha512: str, cache: Path) -> Path:
    """The folder of an unpacked archive, unpacked if missing. The archive is checked in any case."""
    check_archive(archive, sha512)
    folder = cache / f"npm-{sha512[:40]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".npm-", dir=cache) as temporary:
            inner = Path(temporary, "package")
            inner.mkdir()
            unpack(archive, inner)
            try:
                inner.rename(folder)
            except OSError:
                if not folder.is_dir():  # another process was first
                    raise
    return folder


def _link_commands(tree: Path, place: str, package: LockedPackage) -> None:
    """Link a package's commands into `.bin` beside it, and make them executable."""
    above, _, name = place.rpartition("node_modules/")
    for command, path in package.commands.items():
        target = tree / place / path
        if not target.is_file():
            continue
        if not target.stat().st_mode & 0o100:
            _make_executable(target)
        link = tree / above / "node_modules" / ".bin" / command
        link.parent.mkdir(exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(Path("..", name, path))


def _make_executable(path: Path) -> None:
    """Make a file executable without changing other environments' links to it, and end its first line with LF alone."""
    data = path.read_bytes()
    first, newline, rest = data.partition(b"\n")
    copy = path.with_name(f".{path.name}.new")
    copy.write_bytes((first.rstrip(b"\r") if first.startswith(b"#!") else first) + newline + rest)
    copy.chmod(0o755)
    shutil.move(copy, path)
