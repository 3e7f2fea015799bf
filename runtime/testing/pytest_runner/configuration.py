"""A repository's configuration of its test runner: options, and plugins that its distribution registers."""

import configparser
import json
import tomllib
from collections.abc import Callable
from typing import Any

_WHOLE = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml")
_SECTIONS = {"setup.cfg": ("tool:pytest", "options.entry_points"), "tox.ini": ("pytest",)}
CONFIGURATION_FILES = (*_WHOLE, "pyproject.toml", *_SECTIONS)
"""Files in a tree's root that can configure pytest."""


def runner_configuration(read: Callable[[str], bytes | None]) -> str:
    """Everything in a tree's root that configures pytest, as canonical text. `read` gives a file's bytes, or None.

    A file that does not parse counts with its whole text.
    """
    found: dict[str, Any] = {name: _text(content) for name in _WHOLE if (content := read(name)) is not None}
    if (content := read("pyproject.toml")) is not None:
        found["pyproject.toml"] = _from_pyproject(_text(content))
    for name, sections in _SECTIONS.items():
        if (content := read(name)) is not None:
            found[name] = _from_ini(_text(content), sections)
    return json.dumps({name: value for name, value in found.items() if value}, sort_keys=True, default=str)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _from_pyproject(text: str) -> Any:
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):  # the former also for integers that are too long
        return text
    project, tool = _table(data, "project"), _table(data, "tool")
    plugins = _table(project, "entry-points"), _table(_table(tool, "poetry"), "plugins")
    steering = [tool.get("pytest"), *(table.get("pytest11") for table in plugins)]
    return steering if any(steering) else None


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _from_ini(text: str, sections: tuple[str, ...]) -> Any:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return text
    found = {section: dict(parser[section]) for section in sections if parser.has_section(section)}
    if entry_points := found.pop("options.entry_points", None):
        found["pytest11"] = {"": entry_points.get("pytest11", "")}
    return {section: values for section, values in found.items() if any(values.values())}
