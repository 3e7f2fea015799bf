"""Allowed values of a manifest's fields. Each check returns why a value is refused, or None."""

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from models.errors import EnvironmentFault
from repos.text import CONTROL
from repos.trees import inside
from runtime.environments.wheels import locked

Check = Callable[[str], str | None]

_LINE = 2000
"""Longest path, name or requirement in characters; honest ones are shorter."""
_TEXT = 1 << 20
_ID = 20_000
"""Characters of a test's node id, whose parameters may be long."""
_COMPONENT = re.compile(r"(?!-)(?!\.+\Z)[A-Za-z0-9._-]{1,200}")
_ORIGIN = re.compile(r"local:[^/\\\s]+|[A-Za-z][A-Za-z0-9+.-]*://[^\s\\]+|(?!-)[\w.-]+@(?!-)[\w.-]+:(?!:)[^\s\\]+")
_SECRET = re.compile(r"://[^/@]*:[^/@]*@|https?://[^/@]+@|^[^/@:]+:[^/@]*@")


def _pattern(expression: str, what: str) -> Check:
    compiled = re.compile(expression)
    return lambda value: None if compiled.fullmatch(value) else f"is no {what}"


commit_id = _pattern(r"[0-9a-f]{40}|[0-9a-f]{64}", "commit id (40 or 64 hexadecimal digits)")
sha256 = _pattern(r"[0-9a-f]{64}", "SHA-256 (64 hexadecimal digits)")
environment_id = _pattern(r"[0-9a-f]{20}", "environment key (20 hexadecimal digits)")
python = _pattern(r"3\.[0-9]{1,2}", "Python version (3.x)")
abi = _pattern(r"cp3[0-9]{1,2}", "interpreter ABI (cp3xx)")
share = _pattern(r"0|1/[0-9]{1,3}", "share (1/n)")
flag = _pattern(r"[a-z0-9-]{1,60}", "flag (lower-case letters, digits, dashes)")


def text(value: str) -> str | None:
    """Free text, possibly of several lines."""
    if len(value) > _TEXT:
        return f"has more than {_TEXT} characters"
    return "holds a NUL character" if "\0" in value else None


def line(value: str) -> str | None:
    """Text in one line."""
    if len(value) > _LINE:
        return f"has more than {_LINE} characters"
    return "holds a control character" if CONTROL.search(value) else None


def component(value: str) -> str | None:
    """A name that may be a single component of a path."""
    return None if _COMPONENT.fullmatch(value) else "is no plain name (letters, digits, dots, dashes, underscores)"


@lru_cache(maxsize=1 << 16)  # thousands of tests are in one file
def path(value: str) -> str | None:
    """A file of a tree, relative to its root."""
    if why := line(value):
        return why
    parts = value.split("/")
    if not inside(value) or any(part in ("", ".", "..") for part in parts) or "\\" in value:
        return "is no path inside the repository, or has a component of more than 255 bytes"
    return None


def node_id(value: str) -> str | None:
    """A test's node id: a file of the tree, then names and parameters."""
    if len(value) > _ID:
        return f"has more than {_ID} characters"
    file, found, _ = value.partition("::")
    if not found or "\0" in value:
        return "is no test id (file::name)"
    return path(file)


def symbol(value: str) -> str | None:
    """A qualified name in a file of the tree, as `path::name`."""
    file, found, _ = value.partition("::")
    return line(value) or (path(file) if found else "is no symbol (file::name)")


def version(value: str) -> str | None:
    """A PEP 440 version in its normal form."""
    try:
        normal = str(Version(value)) if len(value) <= 100 else None
    except ValueError:
        normal = None
    return None if normal == value else "is no PEP 440 version in its normal form"


def day(value: str) -> str | None:
    """A date in ISO 8601."""
    try:
        good = date.fromisoformat(value).isoformat() == value
    except ValueError:
        good = False
    return None if good else "is no date (YYYY-MM-DD)"


def requirement(value: str) -> str | None:
    """A PEP 508 requirement without a URL."""
    if why := line(value):
        return why
    try:
        return "names a URL; only releases of an index can be pinned" if Requirement(value).url else None
    except (InvalidRequirement, RecursionError):  # the latter for a thousand parentheses inside each other
        return "is no PEP 508 requirement"


def wheel(value: str) -> str | None:
    """A wheel's file name."""
    if component(value.replace("+", "").replace("!", "").replace("~", "")) or len(value) > 250:
        return "is no wheel's file name"
    try:
        parse_wheel_filename(value)
    except ValueError:
        return "is no wheel's file name"
    return None


def lock(value: str) -> str | None:
    """A requirements file that pins each release by hashes and contains nothing else."""
    try:
        locked(value)
    except EnvironmentFault as error:
        return str(error).partition(";")[0]
    return None


def origin(value: str) -> str | None:
    """The origin of a repository: a URL without credentials, or `local:NAME`."""
    if why := line(value):
        return why
    if _SECRET.search(value):
        return "holds credentials"
    return None if _ORIGIN.fullmatch(value) and "::" not in value else "is no URL of a repository and no local:NAME"
