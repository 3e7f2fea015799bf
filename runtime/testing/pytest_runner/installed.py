"""Pytest plugins registered by the distributions of an environment.

The runner loads plugins from this list instead of searching entry points itself: those on the import path could be a
candidate's. The list depends on the environment's wheels alone.
"""

import configparser
import functools
import re
from pathlib import Path

PLUGIN_GROUP = "pytest11"
"""The group of entry points from which pytest takes its plugins."""

_BY_NAME_SINCE = (4, 4)  # earlier, pytest's option -p accepted modules only


@functools.lru_cache(maxsize=256)
def registered_plugins(prefix: Path) -> tuple[str, ...]:
    """Names for pytest's option `-p`, in the order of their distributions, for the environment at `prefix`."""
    found: dict[str, str] = {}
    by_name = True
    for folder in sorted(path for path in prefix.glob("lib/python*/site-packages/*.dist-info") if path.is_dir()):
        found |= _entries(folder / "entry_points.txt")
        if version := re.fullmatch(r"pytest-(\d+)\.(\d+).*\.dist-info", folder.name):
            by_name = tuple(map(int, version.groups())) >= _BY_NAME_SINCE
    return tuple(name if by_name else module for name, module in found.items())


def _entries(file: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, configparser.Error):
        return {}  # a distribution without entry points, or whose list no installer could read either
    if not parser.has_section(PLUGIN_GROUP):
        return {}
    return {name: re.split(r"[:\s\[]", target.strip())[0] for name, target in parser.items(PLUGIN_GROUP)}
