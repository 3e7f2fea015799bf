"""The Node.js that a commit runs on: what the repository asks for, among the long-term releases of its day."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from runtime.environments.node.project import NodeProject, Reader

# Begin of the long-term support of each major version that has one. Earlier ones are not published as wheels.
RELEASED = {
    18: date(2022, 10, 25),
    20: date(2023, 10, 24),
    22: date(2024, 10, 29),
    24: date(2025, 10, 28),
    26: date(2026, 10, 28),
}
_NAMES = {"hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24}
_NEWEST = (10**6, 10**6)  # minor and patch of the newest release of a major version, as far as ranges go
_COMPARATOR = re.compile(r"(>=|<=|>|<|=|\^|~>|~)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.-]+)?")


@dataclass(frozen=True)
class NodeWish:
    """What a repository says about Node.js: one major version, or a range; and the major versions that its CI uses."""

    major: int | None = None
    range: str = ""
    tested: tuple[int, ...] = ()


def node_wish(project: NodeProject, read: Reader, workflows: Iterable[str]) -> NodeWish:
    """What a tree says: `.nvmrc`, `.node-version`, volta, engines, then the versions in its CI's files."""
    tested = {
        int(number)
        for path in workflows
        for line in re.findall(r"node(?:[-_]?version)?s?:\s*(\[[^\]]*\]|[^\n]*)", _text(read(path)))
        for number in re.findall(r"(?<![\d.])(\d{2})(?:\.[\dx]+)*", line)
    }
    for name in (".nvmrc", ".node-version"):
        if (major := _major(_text(read(name)))) is not None:
            return NodeWish(major, tested=tuple(sorted(tested)))
    volta = project.root.table("volta").get("node")
    if isinstance(volta, str) and (major := _major(volta)) is not None:
        return NodeWish(major, tested=tuple(sorted(tested)))
    engines = project.root.table("engines").get("node")
    return NodeWish(range=engines if isinstance(engines, str) else "", tested=tuple(sorted(tested)))


def majors(wish: NodeWish, day: date) -> list[int]:
    """Major versions to try, the best first: as wished, and released by `day` if there is one.

    A version that is no longer to be had is followed by the next newer ones.
    """
    out = [major for major, since in RELEASED.items() if since <= day] or [min(RELEASED)]
    if wish.major is not None:
        wished = wish.major
        return sorted(RELEASED, key=lambda major: (major < wished, abs(major - wished)))
    fit = [major for major in RELEASED if satisfies(wish.range, major)] if wish.range else list(RELEASED)
    tested = [major for major in fit if major in wish.tested and major in out]
    first = [*reversed(tested), *(major for major in reversed(fit) if major in out), *fit]
    return list(dict.fromkeys([*first, *reversed(out), *RELEASED]))


def satisfies(wanted: str, major: int) -> bool:
    """Whether the newest release of a major version is in a range of semantic versions. What is no range admits all."""
    version = (major, *_NEWEST)
    return any(all(_holds(*each, version) for each in _comparators(part)) for part in wanted.split("||"))


def _comparators(part: str) -> list[tuple[str, tuple[int, ...]]]:
    hyphen = re.fullmatch(r"\s*(\S+)\s+-\s+(\S+)\s*", part)
    text = f">={hyphen.group(1)} <={hyphen.group(2)}" if hyphen else part
    found = []
    for match in _COMPARATOR.finditer(text):
        numbers: list[int] = []
        for group in match.groups()[1:]:
            if group is None or not group.isdigit():
                break
            numbers.append(int(group))
        found.append((match.group(1) or "=", tuple(numbers)))
    return found


def _holds(operator: str, numbers: tuple[int, ...], version: tuple[int, ...]) -> bool:
    if not numbers:
        return True
    head = version[: len(numbers)]
    if operator == ">=":
        return version >= numbers
    if operator == ">":
        return head > numbers
    if operator == "<=":
        return head <= numbers
    if operator == "<":
        return version < numbers
    return head[:1] == numbers[:1]  # ^, ~ and =: of a major version the newest release is taken, even for an exact one


def _major(text: str) -> int | None:
    word = text.strip().lower().removeprefix("lts/").removeprefix("v")
    if word in _NAMES:
        return _NAMES[word]
    match = re.match(r"(\d+)", word)
    return int(match.group(1)) if match else None


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def workflows_in(paths: Sequence[str]) -> list[str]:
    """The files of a tree that configure its CI."""
    return [
        path
        for path in paths
        if (path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml"))) or path == ".travis.yml"
    ]
