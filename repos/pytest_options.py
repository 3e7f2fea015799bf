"""What a repository's configuration of pytest says, read without running any of it."""

import configparser
import shlex
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

_FILES = {
    "pytest.toml": ("pytest",),
    ".pytest.toml": ("pytest",),
    "pytest.ini": ("pytest",),
    ".pytest.ini": ("pytest",),
    "pyproject.toml": ("tool", "pytest"),
    "tox.ini": ("pytest",),
    "setup.cfg": ("tool:pytest",),
}
OPTION_FILES = tuple(_FILES)
"""Files in a tree's root that can configure pytest, in its own order: the first that does decides."""
_DECISIVE = frozenset({"pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"})  # even if empty

FileReader = Callable[[str], bytes | None]
"""Gives the bytes of a file by its path; None if there is none."""


def pytest_options(read: FileReader) -> dict[str, list[str]]:
    """The options of the file that configures pytest, each as words; empty if none does or it is malformed."""
    for name, keys in _FILES.items():
        if (content := read(name)) is None:
            continue
        text = content.decode("utf-8-sig", "replace")
        found = _toml(text, keys) if name.endswith(".toml") else _ini(text, keys[0])
        if found is not None or name in _DECISIVE:
            return {option: _words(value) for option, value in (found or {}).items()}
    return {}


def _toml(text: str, keys: tuple[str, ...]) -> Mapping[str, Any] | None:
    try:
        held: Any = tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
    for key in keys:
        held = held.get(key) if isinstance(held, dict) else None
    if not isinstance(held, dict):
        return None
    legacy = held.get("ini_options")
    return legacy if isinstance(legacy, dict) else held


def _ini(text: str, section: str) -> Mapping[str, Any] | None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(text)
    except (configparser.Error, AttributeError):  # the latter for a line that continues a key without a value
        return None
    return dict(parser.items(section)) if parser.has_section(section) else None


def _words(value: object) -> list[str]:
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str)]
    if not isinstance(value, str):
        return []
    try:
        return shlex.split(value)
    except ValueError:  # a quotation mark without its partner
        return value.split()


def loaded_plugins(options: Mapping[str, list[str]]) -> list[str]:
    """Names of the plugins that `addopts` load by `-p`, in order."""
    return [name for name in _named_plugins(options) if name and not name.startswith("no:")]


def blocked_plugins(options: Mapping[str, list[str]]) -> frozenset[str]:
    """Names of the plugins that `addopts` block by `-p no:`."""
    return frozenset(name[3:] for name in _named_plugins(options) if name.startswith("no:"))


def _named_plugins(options: Mapping[str, list[str]]) -> list[str]:
    words = options.get("addopts", [])
    after = [*words[1:], ""]
    return [then if word == "-p" else word[2:] for word, then in zip(words, after, strict=False) if word[:2] == "-p"]
