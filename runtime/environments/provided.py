"""Modules of a work tree compared with those of wheels: a distribution that provides a module of the work tree is the
one under test, whatever its name, or would shadow it."""

import functools
import re
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from models.errors import WheelError

OTHER_FOLDERS = frozenset(
    {
        "benchmark", "benchmarks", "bench", "build", "ci", "dist", "doc", "docs", "example", "examples", "scripts",
        "test", "testing", "tests", "tools", "typing_tests", "venv", "samples", "demo", "demos", "stubs", "typings",
    }
)  # fmt: skip
"""Folders next to the packages of a repository that some wheels contain by mistake."""
_MODULE = re.compile(r"^([^\W\d]\w*)(?:\.py|(?:\.[\w-]+)*\.(?:so|pyd))$")
_NAMESPACE = re.compile(r"declare_namespace\s*\(\s*__name__|extend_path\s*\(\s*__path__")
_DATA = re.compile(r"^[^/]+\.data/(?:purelib|platlib)/")
_LARGEST, _DEEPEST = 64 * 1024, 4
"""Limits, in bytes and in parent folders, of an `__init__.py` that may declare a namespace."""


def declares_namespace(text: str) -> bool:
    """Whether the text of an `__init__.py` shares its package with other distributions (pkg_resources, pkgutil)."""
    return _NAMESPACE.search(text) is not None


def modules_of(files: Mapping[str, str]) -> frozenset[str]:
    """The outermost packages and modules among files by path: dotted names, below namespace packages.

    For an `__init__.py` the text is used, as it may declare a namespace; for other files the path alone.
    """
    regular = {
        path.removesuffix("/__init__.py") for path, text in files.items()
        if path.endswith("/__init__.py") and not declares_namespace(text)
    }  # fmt: skip
    found = set()
    for path in files:
        parts = path.split("/")
        outermost = next((n for n in range(1, len(parts)) if "/".join(parts[:n]) in regular), None)
        match = _MODULE.match(parts[-1])
        if outermost is not None:
            found.add(".".join(parts[:outermost]))
        elif match and match[1] != "__init__":
            found.add(".".join([*parts[:-1], match[1]]))
    return frozenset(found)


def wheel_modules(wheel: Path) -> frozenset[str]:
    """Modules that a wheel puts on the import path. Raises WheelError if it cannot be read."""
    files = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                path = _DATA.sub("", info.filename)
                top = path.split("/")[0]
                if info.is_dir() or top.endswith((".dist-info", ".data")) or top in OTHER_FOLDERS:
                    continue
                outer = path.endswith("/__init__.py") and path.count("/") <= _DEEPEST and info.file_size <= _LARGEST
                files[path] = archive.read(info).decode(errors="replace") if outer else ""
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise WheelError(f"{wheel.name} is no readable wheel: {error}; prepare the package again") from error
    return modules_of(files)


def providing(modules: Collection[str], wheels: Iterable[Path]) -> frozenset[str]:
    """The distributions (normalised names) of wheels that provide one of some modules.

    pytest runs the tests, so it counts only where it is itself under test. Raises WheelError for an unreadable wheel.
    """
    found = set()
    for wheel in wheels:
        try:
            name = canonicalize_name(parse_wheel_filename(wheel.name)[0])
        except InvalidWheelFilename as error:
            raise WheelError(f"{wheel.name} is no name of a wheel; prepare the package again") from error
        shared = wheel_modules(wheel) & set(modules)
        if shared and (name != "pytest" or shared & {"pytest", "_pytest"}):
            found.add(str(name))
    return frozenset(found)


@functools.lru_cache(maxsize=256)
def installed_modules(prefix: Path) -> frozenset[str]:
    """Top-level names that can be imported from an environment's site-packages."""
    entries = (path for folder in prefix.glob("lib/python*/site-packages") for path in folder.iterdir())
    return frozenset(path.name.split(".")[0] for path in entries if not path.name.endswith((".dist-info", ".pth")))
