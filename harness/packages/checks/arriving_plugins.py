"""Checks of what an arriving package's wheels would add to test runs by entry points alone: plugins of pytest."""

import configparser
import re
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution
from os import PathLike
from pathlib import Path

from harness.packages.checks.findings import shown
from models.errors import PackageRefused
from models.intake import RefusalReason

_GROUP = "pytest11"
_METADATA = re.compile(r"(^|/)[^/]+\.(dist|egg)-info/entry_points\.txt$", re.IGNORECASE)
_MOST_BYTES = 1 << 20


def plugins_of(wheel: Path) -> tuple[str, ...]:
    """The names under which a wheel registers plugins of pytest; the wheel was accepted by `check_wheel`.

    Python looks into each folder of metadata that lies on its path, wherever the wheel had it, and reads entry points
    in another way since 3.10: a name counts if either way finds it. Raises PackageRefused for entry points of over a
    mebibyte, or that cannot be read.
    """
    found: set[str] = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            infos = [each for each in archive.infolist() if _METADATA.search(each.filename)]
            if sum(each.file_size for each in infos) > _MOST_BYTES:
                raise PackageRefused(RefusalReason.WHEEL, f"{wheel.name} has entry points of over {_MOST_BYTES} bytes")
            for info in infos:
                found |= _plugins(archive.read(info).decode())
    except (zipfile.BadZipFile, ValueError, configparser.Error) as error:
        raise PackageRefused(RefusalReason.WHEEL, f"{wheel.name} has entry points that cannot be read") from error
    return tuple(sorted(found))


def _plugins(text: str) -> set[str]:
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"), strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # case counts
    parser.read_string(text)
    earlier = parser.options(_GROUP) if parser.has_section(_GROUP) else ()
    return {*earlier, *_Points(text).entry_points.select(group=_GROUP).names}


class _Points(Distribution):
    """A distribution of which nothing is known but its entry points."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, filename: str) -> str | None:
        """The text, for its file."""
        return self._text if filename == "entry_points.txt" else None

    def locate_file(self, path: "str | PathLike[str]") -> Path:
        """No file has a place."""
        raise FileNotFoundError(path)


def check_plugins(wheels: Iterable[tuple[str, tuple[str, ...]]]) -> None:
    """Raise PackageRefused for two wheels of an environment that register a plugin under one name: pytest takes the
    first that it finds, and leaves the other out."""
    owners: dict[str, str] = {}
    for wheel, plugins in wheels:
        for name in plugins:
            if (other := owners.setdefault(name, wheel)) != wheel:
                raise PackageRefused(
                    RefusalReason.WHEEL_SHADOWS,
                    f"{wheel} registers the plugin {shown(name)} of pytest, as {other} does; prepare the package "
                    "without one of them",
                )
