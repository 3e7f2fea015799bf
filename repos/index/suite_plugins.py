"""What a repository's metadata and configuration add to its suite: plugins of its own, fixtures, console scripts."""

import configparser
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

from repos.pytest_options import FileReader, loaded_plugins, pytest_options

PACKAGING_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
"""Files in a tree's root that declare entry points."""
_POINT = re.compile(r"""['"]?([\w.-]+)\s*=\s*([\w.]+)(?::[\w.]+)?""")
_LISTED = re.compile(r"""['"]?(pytest11|console_scripts)['"]?\s*[:=]\s*(\[[^\]]*\]|"[^"]*"|'[^']*')""")


class SuitePlugins(NamedTuple):
    """Modules of plugins (dotted), fixtures that every test uses, and console scripts with the module of each."""

    modules: tuple[str, ...] = ()
    fixtures: tuple[str, ...] = ()
    scripts: Mapping[str, str] = {}


def suite_plugins(read: FileReader) -> SuitePlugins:
    """What the files in a tree's root declare; what is malformed counts as absent."""
    texts = {name: (read(name) or b"").decode("utf-8", "replace") for name in PACKAGING_FILES}
    plugins: dict[str, str] = {}
    scripts: dict[str, str] = {}
    for group, points in (
        *_from_pyproject(texts["pyproject.toml"]),
        *_from_setup_cfg(texts["setup.cfg"]),
        *((group, _points(listed)) for group, listed in _LISTED.findall(texts["setup.py"])),
    ):
        (plugins if group == "pytest11" else scripts).update(points)
    options = pytest_options(read)
    return SuitePlugins((*plugins.values(), *loaded_plugins(options)), tuple(options.get("usefixtures", ())), scripts)


def _from_pyproject(text: str) -> list[tuple[str, dict[str, str]]]:
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        return []
    project, poetry = _table(data, "project"), _table(data, "tool", "poetry")
    plugins = {**_table(project, "entry-points", "pytest11"), **_table(poetry, "plugins", "pytest11")}
    scripts = {**_table(project, "scripts"), **_table(poetry, "scripts")}
    return [("pytest11", _modules(plugins)), ("console_scripts", _modules(scripts))]


def _from_setup_cfg(text: str) -> list[tuple[str, dict[str, str]]]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except (configparser.Error, AttributeError):
        return []
    section = "options.entry_points"
    groups = dict(parser.items(section)) if parser.has_section(section) else {}
    return [(group, _points(groups.get(group) or "")) for group in ("pytest11", "console_scripts")]


def _points(text: str) -> dict[str, str]:
    return dict(_POINT.findall(text))


def _modules(points: Mapping[str, Any]) -> dict[str, str]:
    return {name: target.partition(":")[0].strip() for name, target in points.items() if isinstance(target, str)}


def _table(held: object, *keys: str) -> dict[str, Any]:
    for key in keys:
        held = held.get(key) if isinstance(held, dict) else None
    return held if isinstance(held, dict) else {}
