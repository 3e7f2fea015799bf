"""Checks of the trees of an arriving history: few objects can stand for more files than any disk holds."""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from models.errors import PackageRefused
from models.intake import IntakeSettings, RefusalReason
from repos.git import Git

_DEPTH = 100
"""Most folders inside each other; honest repositories have some 20."""
_SMALL = 4096
"""Smaller files count for as much, as they take as much of a disk."""
_LARGEST_TREE = 32 << 20
_AT_ONCE = 64 << 20
_ENTRY = re.compile(rb"([0-7]+) [^\0]+\0(.{20})", re.DOTALL)


@dataclass
class _Trees:
    """The trees of a history by number: own files and bytes, and the numbers of the trees that are in them."""

    numbers: dict[bytes, int] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    large: dict[bytes, int] = field(default_factory=dict)
    files: "array[int]" = field(default_factory=lambda: array("q"))
    bytes: "array[int]" = field(default_factory=lambda: array("q"))
    below: "list[array[int]]" = field(default_factory=list)


def check_trees(git: Git, limits: IntakeSettings) -> None:
    """Raise PackageRefused if any tree of a history would unpack to too much, or too deep.

    A tree may be in many others, and many times in one: totals are computed once for each, and nothing is unpacked.
    """
    trees = _listed(git)
    for names in _batches(trees):
        _read(git, names, trees)
    _check_totals(trees, limits)


def _listed(git: Git) -> _Trees:
    trees = _Trees()
    process = git.conversation(
        "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objecttype) %(objectsize)"
    )
    assert process.stdin is not None and process.stdout is not None, "both are pipes"
    process.stdin.close()
    try:
        for line in process.stdout:
            name, kind, size = line.split()
            if kind == b"tree":
                if int(size) > _LARGEST_TREE:
                    raise _refused("holds a folder", f"{int(size)} bytes of names", "leave the repository out")
                trees.numbers[bytes.fromhex(name.decode())] = len(trees.sizes)
                trees.sizes.append(int(size))
            elif kind == b"blob" and int(size) > _SMALL:
                trees.large[bytes.fromhex(name.decode())] = int(size)
    finally:
        process.stdout.close()
        ended = process.wait()
    if ended != 0:
        raise PackageRefused(RefusalReason.GIT_OBJECTS, "objects of repo cannot be listed; prepare the package again")
    return trees


def _batches(trees: _Trees) -> Iterator[list[str]]:
    names: list[str] = []
    total = 0
    for name, number in trees.numbers.items():
        names.append(name.hex())
        total += trees.sizes[number]
        if total > _AT_ONCE:
            yield names
            names, total = [], 0
    if names:
        yield names


def _read(git: Git, names: list[str], trees: _Trees) -> None:
    for data in git.blobs(names).values():
        files = size = 0
        below: array[int] = array("q")
        for mode, name in _ENTRY.findall(data):
            if mode.lstrip(b"0") == b"40000":
                number = trees.numbers.get(name)
                if number is not None:
                    below.append(number)
            else:
                files, size = files + 1, size + trees.large.get(name, _SMALL)
        trees.files.append(files)
        trees.bytes.append(size)
        trees.below.append(below)


def _check_totals(trees: _Trees, limits: IntakeSettings) -> None:
    """Add up each tree after those that are in it."""
    depth = array("q", [0]) * len(trees.below)
    for start in range(len(trees.below)):
        waiting = [start]
        while waiting:
            number = waiting[-1]
            if depth[number]:
                waiting.pop()
            elif missing := [each for each in trees.below[number] if not depth[each]]:
                waiting += missing
            else:
                waiting.pop()
                inside = trees.below[number]
                trees.files[number] += sum(trees.files[each] for each in inside)
                trees.bytes[number] += sum(trees.bytes[each] for each in inside)
                depth[number] = 1 + max((depth[each] for each in inside), default=0)
                _check_total(trees.files[number], trees.bytes[number], depth[number], limits)


def _check_total(files: int, size: int, depth: int, limits: IntakeSettings) -> None:
    if files > limits.max_tree_files:
        raise _refused("unpacks", f"over {limits.max_tree_files} files", "see intake.max_tree_files")
    if size > limits.max_tree_bytes:
        raise _refused("unpacks", f"over {limits.max_tree_bytes} bytes", "see intake.max_tree_bytes")
    if depth > _DEPTH:
        raise _refused("unpacks", f"over {_DEPTH} folders inside each other", "leave the repository out")


def _refused(does: str, what: str, remedy: str) -> PackageRefused:
    verb = "of" if does.endswith("folder") else "to"
    return PackageRefused(RefusalReason.GIT_SIZE, f"a tree of the history {does} {verb} {what}; {remedy}")
