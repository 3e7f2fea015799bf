"""Results of the readers of packaging files, and parsing of requirement strings."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
"""Valid names of a distribution; the name becomes part of a path."""
LONGEST_NAME = 100
"""Longest name of a distribution, group, entry point or module, in characters; longer ones are ignored."""
_LONGEST_REQUIREMENT = 2000
_TESTING = {"test", "tests", "testing", "unittest", "unittests", "pytest", "cov", "coverage", "ci"}
_DEVELOPING = {"dev", "develop", "development", "devel"}
_OTHER = {
    "lint", "linting", "linters", "ruff", "style", "format", "doc", "docs", "documentation", "readthedocs",
    "rtd", "typing", "type", "types", "mypy", "pyright", "pyrefly", "ty", "build", "release", "package",
    "packaging", "publish", "manifest", "changelog", "bench", "benchmark", "benchmarks", "codspeed", "watch",
    "report", "combine", "precommit", "commit", "docset", "sponsors", "pkg", "license", "licenses",
    "examples", "oldest", "minimal", "minimum", "nightly", "codecov", "twine", "check", "lock", "tox", "nox",
}  # fmt: skip


@dataclass
class Findings:
    """Everything that the packaging files of one commit declare, in the order in which they were read.

    `groups` holds extras and dependency groups alike, by normalised name; `tests` what test runners always install;
    `plugins` what the runner's own configuration requires;
    `mentioned` what is named for another purpose; `wanted` the groups that test runners name; `aliases` are further
    (normalised) names of the distribution.
    """

    name: str = ""
    aliases: list[str] = field(default_factory=list)
    requires_python: str = ""
    runtime: list[str] = field(default_factory=list)
    build: list[str] = field(default_factory=list)
    backend: str = ""
    backend_path: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    extras: set[str] = field(default_factory=set)
    tests: list[str] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)
    mentioned: list[str] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    pins: dict[str, set[str]] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    entry_points: dict[str, dict[str, str]] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    extension_modules: bool = False
    version_files: list[str] = field(default_factory=list)

    def named(self, name: object) -> None:
        """Add a name of the distribution; the first valid name is used, others are kept as aliases."""
        normal = canonicalize_name(name.strip()) if isinstance(name, str) and may_be_name(name.strip()) else ""
        self.name = self.name or normal
        if normal and normal not in (self.name, *self.aliases):
            self.aliases.append(normal)

    def required_python(self, specifier: object) -> None:
        """Add the supported interpreters; the first declaration is used."""
        self.requires_python = self.requires_python or (specifier if isinstance(specifier, str) else "")

    def enter(self, group: str, points: Mapping[str, object]) -> None:
        """Add entry points, name -> target, to a group."""
        named = {name: target for name, target in points.items() if isinstance(target, str)}
        if named:
            self.entry_points.setdefault(group, {}).update(named)

    def add_group(self, name: str, requirements: Iterable[str], *, extra: bool = False) -> None:
        """Add requirements to an extra or a dependency group."""
        self.groups.setdefault(canonicalize_name(name), []).extend(requirements)
        if extra:
            self.extras.add(canonicalize_name(name))

    def header(self, name: str, value: object) -> None:
        """Add a metadata header unless its value is empty or not text."""
        if isinstance(value, str) and value.strip():
            self.headers.append((name, " ".join(value.split())))

    def install(self, argument: str, *, testing: bool) -> None:
        """Add an installer's argument: a requirement, or extras of the repository itself (`.[tests]`)."""
        argument = re.sub(r"""^(['"])(.*)\1$""", r"\2", argument.strip())
        own = re.match(r"^(?:\.|\{toxinidir\}|file://\.)/?\[([^\]]+)\]$", argument)
        if own:
            if testing:
                self.wanted.update(canonicalize_name(extra) for extra in own.group(1).split(","))
        elif argument and argument[0] not in "-.{/":
            (self.tests if testing else self.mentioned).append(argument)


def may_be_name(text: str) -> bool:
    """Whether a text is a valid distribution name."""
    return len(text) <= LONGEST_NAME and NAME.fullmatch(text) is not None


def words(name: str) -> set[str]:
    """The lower-case words of a group's, environment's or file's name."""
    return {word for word in re.split(r"[^a-z]+", name.lower()) if word}


def about_tests(name: str) -> bool:
    """Whether a name refers to tests or to development in general."""
    return bool(words(name) & (_TESTING | _DEVELOPING))


def about_other_things(name: str) -> bool:
    """Whether a name refers to documentation, linting, releasing and the like, and not to tests."""
    return bool(words(name) & _OTHER) and not words(name) & _TESTING


def parse(text: str) -> Requirement | None:
    """A requirement, or None if the text is not one. A direct URL is dropped: its target would have to be built."""
    text = re.sub(r"\s#.*$", "", text).strip()
    if len(text) > _LONGEST_REQUIREMENT:
        return None
    try:
        requirement = Requirement(text)
        str(requirement)
    except (InvalidRequirement, ValueError, RecursionError):  # a number or a nesting that is too large
        return None
    if len(requirement.name) > LONGEST_NAME:
        return None
    requirement.url = None
    return requirement


def canonical(requirement: Requirement) -> str:
    """One spelling per requirement: normalised name, sorted extras and specifiers, marker kept."""
    extras = f"[{','.join(sorted(canonicalize_name(e) for e in requirement.extras))}]" if requirement.extras else ""
    specifier = ",".join(sorted(str(s) for s in requirement.specifier))
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{canonicalize_name(requirement.name)}{extras}{specifier}{marker}"
