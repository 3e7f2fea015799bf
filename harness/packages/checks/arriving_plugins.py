"""Checks of what an arriving package's wheels would add to test runs by entry points alone: plugins of pytest."""

import configparser
import zipfile
from collections.abc import Iterable
from pathlib import Path

from harness.packages.checks.findings import shown
from models.errors import PackageRefused
from models.intake import RefusalReason

_GROUP = "pytest11"
_MOST_BYTES = 1 << 20


def plugins_of(wheel: Path) -> tuple[str, ...]:
    """The names under which a wheel registers plugins of pytest; the wheel was accepted by `check_wheel`.

    Raises PackageRefused for entry points of over a mebibyte, or that cannot be read.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            infos = [each for each in archive.infolist() if each.filename.endswith(".dist-info/entry_points.txt")]
            if not infos:
                return ()
            if infos[0].file_size > _MOST_BYTES:
                raise PackageRefused(RefusalReason.WHEEL, f"{wheel.name} has entry points of over {_MOST_BYTES} bytes")
            text = archive.read(infos[0]).decode()
        parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"), strict=True)
        parser.optionxform = str  # type: ignore[method-assign,assignment]  # case counts
        parser.read_string(text)
    except (zipfile.BadZipFile, UnicodeDecodeError, configparser.Error) as error:
        raise PackageRefused(RefusalReason.WHEEL, f"{wheel.name} has entry points that cannot be read") from error
    return tuple(sorted(parser.options(_GROUP))) if parser.has_section(_GROUP) else ()


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
