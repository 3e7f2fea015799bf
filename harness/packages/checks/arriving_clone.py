"""Checks of an arriving package's clone, before its history is read: files, refs, sizes; and of its submodules."""

import re
from pathlib import Path

from harness.packages.checks.findings import shown
from host.process import CommandFailed
from models.errors import InfrastructureError, PackageRefused
from models.intake import IntakeSettings, RefusalReason
from repos.git import Git, foreign_part
from repos.strict_clone import module_files

_REFS = 100_000
_REF_BYTES = 400
_CHAIN = 4095
"""Longest chain of deltas: what git accepts for `--depth`."""
_PACKED = re.compile(rb"[0-9a-f]{40} refs/(heads|tags)/[^\0-\x20\x7f~^:?*\[\\]+|\^[0-9a-f]{40}")
_PACKED_HEADER = re.compile(rb"# pack-refs with:[ a-z-]*")
_SETTING = re.compile(r"^\s*(url|path|update)\s*=\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)


def check_clone_files(repo: Path) -> None:
    """Raise PackageRefused for files and settings that our clones never have. Git does not act on the clone yet."""
    if not (repo / "HEAD").is_file():
        raise PackageRefused(RefusalReason.GIT_FILES, "repo is no clone: HEAD is missing; prepare the package again")
    if foreign := foreign_part(repo):
        reason = RefusalReason.GIT_REFS if "refs/replace" in foreign else RefusalReason.GIT_FILES
        raise PackageRefused(reason, f"repo {shown(foreign).strip(chr(39))}; prepare the package again")


def check_packed_refs(repo: Path) -> None:
    """Raise PackageRefused for a line of packed refs that git would pass over, or that other readers take otherwise."""
    file = repo / "packed-refs"
    lines = file.read_bytes().split(b"\n") if file.is_file() else []
    if lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines):
        if not _PACKED.fullmatch(line) and not (number == 0 and _PACKED_HEADER.fullmatch(line)):
            raise PackageRefused(
                RefusalReason.GIT_REFS,
                f"packed-refs of repo has the line {shown(line[:60])}, no branch and no tag; prepare it again",
            )


def remove_caches(repo: Path) -> frozenset[str]:
    """Remove what git would only be faster with, and would trust: graphs of commits, bitmaps, reverse indexes.

    Returns the paths of what was removed, relative to the package.
    """
    objects, removed = repo / "objects", set[str]()
    for pattern in ("info/commit-graph", "info/commit-graphs/*", "pack/*.bitmap", "pack/*.rev", "pack/*.mtimes"):
        for path in filter(Path.is_file, objects.glob(pattern)):
            path.unlink()
            removed.add(path.relative_to(repo.parent).as_posix())
    return frozenset(removed)


def check_refs(git: Git) -> None:
    """Raise PackageRefused for refs that are neither branches nor tags, that lead to nothing, or far too many.

    Objects must have passed `check_object_sizes`: git follows deltas to say what a ref leads to.
    """
    try:
        told = git.output("for-each-ref", "--format=%(objecttype) %(refname)").decode(errors="surrogateescape")
    except CommandFailed as error:
        raise PackageRefused(RefusalReason.GIT_REFS, "git cannot read the refs of repo; prepare it again") from error
    listed = [line.partition(" ")[2] for line in told.split("\n")[:-1]]
    if len(listed) > _REFS:
        raise PackageRefused(RefusalReason.GIT_REFS, f"repo has {len(listed)} refs, over {_REFS}; leave some out")
    for name in listed:
        if not name.startswith(("refs/heads/", "refs/tags/")):
            raise PackageRefused(
                RefusalReason.GIT_REFS, f"repo has the ref {shown(name)}, no branch and no tag; prepare it again"
            )
        if "/-" in name or not name.isprintable() or len(name) > _REF_BYTES:
            raise PackageRefused(
                RefusalReason.GIT_REFS,
                f"repo has the ref {shown(name)}, which is an option, too long, or holds a control, format or "
                "bidirectional character; prepare it again without it",
            )


def check_object_sizes(git: Git, limits: IntakeSettings) -> None:
    """Raise PackageRefused for objects that unpack to too much, each by itself or all together, or that are deltas of
    deltas without end, which take the square of their number to read; none is unpacked."""
    process = git.conversation(
        "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objectsize) %(deltabase)"
    )
    assert process.stdin is not None and process.stdout is not None, "both are pipes"
    process.stdin.close()
    count = total = 0
    bases: dict[bytes, bytes] = {}
    try:
        for line in process.stdout:
            name, _, rest = line.decode(errors="replace").strip().partition(" ")
            size, _, base = rest.partition(" ")
            if not size.isdigit():
                raise PackageRefused(
                    RefusalReason.GIT_OBJECTS, f"object {shown(name)} cannot be read; prepare it again"
                )
            count, total = count + 1, total + int(size)
            _check_object_size(name, int(size), count, total, limits)
            if base.strip("0"):
                bases[bytes.fromhex(name)] = bytes.fromhex(base)
    finally:
        process.stdout.close()
        process.kill()
        ended = process.wait()
    if ended != 0 or count == 0:
        raise PackageRefused(RefusalReason.GIT_OBJECTS, "objects of repo cannot be listed; prepare the package again")
    _check_chains(bases)


def _check_object_size(name: str, size: int, count: int, total: int, limits: IntakeSettings) -> None:
    if size > limits.max_object_bytes:
        raise PackageRefused(
            RefusalReason.GIT_SIZE,
            f"object {name[:12]} unpacks to {size} bytes; intake.max_object_bytes is {limits.max_object_bytes}",
        )
    if count > limits.max_objects or total > limits.max_unpacked:
        raise PackageRefused(
            RefusalReason.GIT_SIZE,
            f"the history has over {limits.max_objects} objects or unpacks to over {limits.max_unpacked} bytes "
            "(intake.max_objects, intake.max_unpacked)",
        )


def _check_chains(bases: dict[bytes, bytes]) -> None:
    """Raise PackageRefused for a chain of deltas that is longer than git makes any, or that leads back to itself."""
    depth: dict[bytes, int] = {}
    for start in bases:
        chain: list[bytes] = []
        each = start
        while each in bases and each not in depth and len(chain) <= _CHAIN:
            chain.append(each)
            each = bases[each]
        below = depth.get(each, 0)
        if len(set(chain)) < len(chain):
            raise PackageRefused(
                RefusalReason.GIT_OBJECTS, f"object {start.hex()[:12]} is a delta of itself; prepare the package again"
            )
        if below + len(chain) > _CHAIN:
            raise PackageRefused(
                RefusalReason.GIT_SIZE,
                f"object {start.hex()[:12]} is a delta of over {_CHAIN} deltas; run `git repack -adf` before preparing",
            )
        for number, delta in enumerate(reversed(chain), 1):
            depth[delta] = below + number


def check_submodules(git: Git) -> None:
    """Raise PackageRefused for submodules whose settings name commands or options. Submodules are never fetched."""
    try:
        for blob, text in module_files(git):
            for name, value in _SETTING.findall(text):
                if "::" in value or value.startswith(("-", "!")) or (name.lower() == "path" and ".." in value):
                    raise PackageRefused(
                        RefusalReason.GIT_SUBMODULE,
                        f".gitmodules ({blob[:12]}) sets {name} to {shown(value)}; leave the repository out",
                    )
    except InfrastructureError as error:
        raise PackageRefused(RefusalReason.GIT_OBJECTS, f"the history cannot be read: {error}") from error
