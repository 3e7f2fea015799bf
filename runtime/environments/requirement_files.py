"""Requirements files of pip, with their includes."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from runtime.environments.findings import Findings, about_other_things, about_tests, parse
from runtime.environments.tree import PathTree
from runtime.environments.variants import limited, marker_of, pythons_of_path

_FILE = re.compile(
    r"^(?:[^/]*requirements?[^/]*|(?:[^/]+/)?requirements?/[^/]+|[^/]+/[^/]*requirements?[^/]*)\.(?:txt|in)$"
)


@dataclass
class Requirements:
    """Requirement lines of a file and its includes; `own` are arguments that name the repository itself."""

    requirements: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)


def read_requirements(tree: PathTree, path: str) -> Requirements:
    """Lines of a requirements file. Options, URLs and hashes are ignored; `-r` is followed, to each file once.

    `-e .[x]` goes to `own`.
    """
    found = Requirements()
    pending, seen = [path], {path}
    while pending:
        current = pending.pop()
        for target in _read_lines(tree, current, found):
            if target not in seen:
                seen.add(target)
                pending.append(target)
    return found


def _read_lines(tree: PathTree, path: str, found: Requirements) -> Iterator[str]:
    """Add one file's lines; yield the files that it includes."""
    text = re.sub(r"\\\r?\n", " ", tree.text(path))
    for raw in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        line = re.split(r"\s--(?:hash|config-settings?|global-option)\b", line)[0].strip()
        include = re.match(r"^(?:-r|--requirement)[\s=]*(\S+)$", line)
        editable = re.match(r"^(?:-e|--editable)[\s=]*(\S+)$", line)
        if include:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), include.group(1)))
        elif editable or line.startswith("."):
            found.own.append(editable.group(1) if editable else line)
        elif line and not line.startswith("-") and parse(line):
            found.requirements.append(line)


def read_requirement_files(tree: PathTree, findings: Findings) -> None:
    """Add every requirements file. A `.txt` compiled from an `.in` next to it counts as pins, not as requirements."""
    declared = bool(findings.runtime or any(findings.groups.values()))
    names = set(tree.paths)
    lists = [path for path in tree.paths if _FILE.match(path) and about_tests(path) and not about_other_things(path)]
    plain = any(not pythons_of_path(path) for path in lists)
    newest = max((found for path in lists for found in pythons_of_path(path)), default=(0, 0))
    for path in sorted(names):
        if not _FILE.match(path):
            continue
        found = read_requirements(tree, path)
        if path.endswith(".txt") and f"{path[:-4]}.in" in names:
            _pins(found.requirements, findings)
            continue
        bare = re.fullmatch(r"requirements?\.(?:txt|in)", path) is not None and not declared
        testing = (about_tests(path) and not about_other_things(path)) or bare
        versions = pythons_of_path(path)
        marker = marker_of(versions) if plain else ""
        testing = testing and (plain or not versions or newest in versions)
        for argument in [*found.requirements, *found.own]:
            findings.install(limited(argument, marker), testing=testing)


def _pins(lines: list[str], findings: Findings) -> None:
    for line in lines:
        requirement = parse(line)
        if requirement and re.fullmatch(r"==[^*]+", str(requirement.specifier)):
            findings.pins.setdefault(requirement.name, set()).add(str(requirement.specifier)[2:])
