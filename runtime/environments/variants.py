"""Environments and requirements files that are variants of the plain one, for some Python or some other release of a
dependency: they exclude each other, and are never installed together."""

import re
from collections.abc import Iterable

from runtime.environments.findings import parse

_PYTHON = re.compile(r"py(?:thon)?-?(\d)\.?(\d+)")
_ANY_PYTHON = re.compile(r"py(?:thon)?\d*")
_OTHER_RELEASES = re.compile(r"(?:old|min(?!i)|low|pypy|jython|upstream|latest|canary|edge|pre$|rc$)\w*")
_IN_PATH = re.compile(
    r"(?:(?:^|[/_.-])py(?:thon)?-?|(?:^|/)|requirements?[_-])([23])\.?(\d{1,2})(?=/|[_-]|\.(?:txt|in)$|\.?$)",
    re.IGNORECASE,
)

Version = tuple[int, int]


def marker_of(versions: Iterable[Version]) -> str:
    """The marker of some Pythons; "" for none."""
    return " or ".join(f"python_version == '{major}.{minor}'" for major, minor in sorted(versions))


def factors(name: str) -> list[str]:
    """The parts of an environment's name: `py38-tests`, `{py38,py39}-tests`."""
    return [part for part in re.split(r"[-_,{}\s]+", name) if part]


def pythons(name: str) -> list[Version]:
    """The Pythons that an environment's name gives."""
    found = (_PYTHON.fullmatch(part) for part in factors(name))
    return [(int(each[1]), int(each[2])) for each in found if each]


def is_variant(name: str) -> bool:
    """Whether an environment is for certain releases of something: old ones, those of a number, another interpreter."""
    rest = [part for part in factors(name) if not _PYTHON.fullmatch(part) and not _ANY_PYTHON.fullmatch(part)]
    return any(_OTHER_RELEASES.match(part) or re.search(r"\d", part) for part in rest)


def pythons_of_path(path: str) -> list[Version]:
    """The Python that a requirements file is for by its path: `requirements/3.3/`, `requirements-py27.txt`."""
    found = _IN_PATH.search(path)
    return [(int(found[1]), int(found[2]))] if found else []


def limited(requirement: str, marker: str) -> str:
    """A requirement that counts only where a marker holds; unchanged if it is none or the marker is empty."""
    if not marker or (found := parse(requirement)) is None:
        return requirement
    old = f"({found.marker}) and " if found.marker else ""
    found.marker = None
    return f"{found} ; {old}({marker})"
