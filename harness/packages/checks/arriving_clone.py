"""Checks of an arriving package's clone, before its history is read: files, refs, sizes; and of its submodules."""

import re
from pathlib import Path

from harness.packages.checks.findings import shown
from models.errors import InfrastructureError, PackageRefused
from models.intake import IntakeSettings, RefusalReason
from repos.git import Git, foreign_part
from repos.strict_clone import module_files

_REFS = 100_000
_SETTING = re.compile(r"^\s*(url|path|update)\s*=\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)


def check_clone_files(repo: Path) -> None:
    """Raise PackageRefused for files and settings that our clones never have. Git does not act on the clone yet."""
    if not (repo / "HEAD").is_file():
        raise PackageRefused(RefusalReason.GIT_FILES, "repo is no clone: HEAD is missing; prepare the package again")
    if foreign := foreign_part(repo):
        reason = RefusalReason.GIT_REFS if "refs/replace" in foreign else RefusalReason.GIT_FILES
        raise PackageRefused(reason, f"repo {shown(foreign).strip(chr(39))}; prepare the package again")


def remove_caches(repo: Path) -> None:
    """Remove what git would only be faster with, and would trust: graphs of commits, bitmaps, reverse indexes."""
    objects = repo / "objects"
    for pattern in ("info/commit-graph", "info/commit-graphs/*", "pack/*.bitmap", "pack/*.rev", "pack/*.mtimes"):
        for path in filter(Path.is_file, objects.glob(pattern)):
            path.unlink()


def check_refs(git: Git) -> None:
    """Raise PackageRefused for refs that are neither branches nor tags, or far too many."""
    listed = git.output("for-each-ref", "--format=%(refname)").decode(errors="replace").splitlines()
    if len(listed) > _REFS:
        raise PackageRefused(RefusalReason.GIT_REFS, f"repo has {len(listed)} refs, over {_REFS}; leave some out")
    for name in listed:
        if not name.startswith(("refs/heads/", "refs/tags/")):
            raise PackageRefused(
                RefusalReason.GIT_REFS, f"repo has the ref {shown(name)}, no branch and no tag; prepare it again"
            )


def check_object_sizes(git: Git, limits: IntakeSettings) -> None:
    """Raise PackageRefused for objects that unpack to too much, each by itself or all together; none is unpacked."""
    process = git.conversation(
        "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objectsize)"
    )
    assert process.stdin is not None and process.stdout is not None, "both are pipes"
    process.stdin.close()
    count = total = 0
    try:
        for line in process.stdout:
            name, _, size = line.decode(errors="replace").strip().partition(" ")
            if not size.isdigit():
                raise PackageRefused(
                    RefusalReason.GIT_OBJECTS, f"object {shown(name)} cannot be read; prepare it again"
                )
            count, total = count + 1, total + int(size)
            if int(size) > limits.max_object_bytes:
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
    finally:
        process.stdout.close()
        process.kill()
        ended = process.wait()
    if ended != 0 or count == 0:
        raise PackageRefused(RefusalReason.GIT_OBJECTS, "objects of repo cannot be listed; prepare the package again")


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
