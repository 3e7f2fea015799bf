"""Checks of an arriving package's wheels that go beyond `runtime.environments.wheel_checks`: whether they fit this
machine, and take no other distribution's place. Nothing of a wheel is run."""

import platform
import re
import struct
import sys
import zipfile
from collections.abc import Set
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from harness.packages.checks.findings import shown
from models.errors import PackageRefused, WheelError
from models.intake import RefusalReason
from models.manifest import NODE, Environment, Manifest
from runtime.environments.provided import wheel_modules
from runtime.environments.wheels import tags_of

_MACHINES = {"x86_64": 62, "aarch64": 183}
_ELF_MACHINE_AT = 18
_EXTENSION = re.compile(r".+\.(cpython-[^/]+|abi3)\.so")
_OWNERS = {
    "pytest": "pytest", "_pytest": "pytest", "pluggy": "pluggy", "iniconfig": "iniconfig", "xdist": "pytest-xdist",
    "execnet": "execnet", "pip": "pip", "setuptools": "setuptools", "pkg_resources": "setuptools",
    "_distutils_hack": "setuptools", "wheel": "wheel",
}  # fmt: skip
"""The distributions of modules on which every test run, or every installation, depends."""
_LEFT_THE_LIBRARY = {
    "asynchat", "asyncore", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr", "imp", "mailcap", "msilib", "nis",
    "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib",
}  # fmt: skip
"""Modules that are no longer part of the standard library in some Python; wheels bring them back."""
_BACKPORTS = {
    "argparse",
    "asyncio",
    "contextvars",
    "dataclasses",
    "enum",
    "ipaddress",
    "pathlib",
    "statistics",
    "typing",
}
"""Modules of wheels that older Pythons needed; the standard library's own are found first."""
_STARTUP = {
    "distutils-precedence.pth": "setuptools",
    "a1_coverage.pth": "coverage",
    "pytest-cov.pth": "pytest-cov",
}
_NAMESPACE = re.compile(r"(?P<name>.+?)-[^-]+(-py[0-9.]+)?-nspkg\.pth")
_SITE = re.compile(r"(?:[^/]+\.data/(?:purelib|platlib)/)?([^/]+)(/.*)?")
_NAMES = re.compile(r"'[A-Za-z0-9_.]*'")
_MODULES = re.compile(r"(?:modules\.setdefault\(|find_spec\(|sys\.modules\[)'([^'.]*)")
_NAMESPACE_STATEMENTS = frozenset(
    {
        "import sys, types, os",
        "has_mfs = sys.version_info > (3, 5)",
        "p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('',))",
        "importlib = has_mfs and __import__('importlib.util')",
        "has_mfs and __import__('importlib.machinery')",
        "importlib = __import__('importlib.util')",
        "__import__('importlib.machinery')",
        "m = sys.modules.setdefault('', importlib.util.module_from_spec("
        "importlib.machinery.PathFinder.find_spec('', [os.path.dirname(p)])))",
        "m = has_mfs and sys.modules.setdefault('', importlib.util.module_from_spec("
        "importlib.machinery.PathFinder.find_spec('', [os.path.dirname(p)])))",
        "m = m or sys.modules.setdefault('', types.ModuleType(''))",
        "ie = os.path.exists(os.path.join(p,'__init__.py'))",
        "m = not ie and sys.modules.setdefault('', types.ModuleType(''))",
        "mp = (m or []) and m.__dict__.setdefault('__path__',[])",
        "(p not in mp) and mp.append(p)",
        "m and setattr(sys.modules[''], '', m)",
    }
)
"""What setuptools writes into the `.pth` file of a namespace package, without the names of its packages."""
_INTERPRETERS = re.compile(
    rb"#!\s*(python[0-9.w]*|/usr/bin/env\s+\S+|/bin/(sh|bash)|/usr/bin/python[0-9.]*)(\s[^\n]*)?"
)
_PIECE = 4096
_MOST_STARTUP_BYTES = 1 << 16


def check_fit(manifest: Manifest) -> None:
    """Raise PackageRefused for a wheel whose tags fit no interpreter of its environment on this kind of machine."""
    for environment in manifest.environments:
        node = environment.language == NODE
        accepted = set(sys_tags() if node else tags_of(environment.python, environment.abi))
        for name in environment.wheels:
            if accepted.isdisjoint(parse_wheel_filename(name)[3]):
                raise PackageRefused(
                    RefusalReason.WHEEL_PLATFORM,
                    f"{shown(name)} fits no {environment.abi} on {platform.machine()}; "
                    "prepare the package on a machine of this kind",
                )


def check_wheel_set(there: Set[str], wanted: Set[str]) -> None:
    """Raise PackageRefused unless the files in `packages/` are exactly those that the manifest names."""
    if missing := sorted(wanted - there):
        raise PackageRefused(
            RefusalReason.WHEEL_SET, f"packages/{shown(missing[0])} is missing; copy the package again"
        )
    if extra := sorted(there - wanted):
        raise PackageRefused(RefusalReason.WHEEL_SET, f"packages/{shown(extra[0])} is not in the manifest; remove it")


def check_wheel_roles(wheel: Path) -> int:
    """The bytes that a wheel unpacks to; it was accepted by `check_wheel`.

    Raises PackageRefused for a wheel that provides a module of the standard library, or of another distribution on
    which test runs depend; that runs code at the start of every interpreter and is not known for it; whose extension
    modules are of another kind of machine; or whose scripts name an interpreter by an unusual path.
    """
    distribution = str(canonicalize_name(parse_wheel_filename(wheel.name)[0]))
    try:
        _check_modules(wheel, distribution)
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                _check_startup(wheel.name, distribution, archive, info)
                _check_member(wheel.name, archive, info)
            return sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, WheelError) as error:
        raise PackageRefused(RefusalReason.WHEEL, f"{wheel.name} cannot be read: {error}") from error


def _check_modules(wheel: Path, distribution: str) -> None:
    for module in sorted(name.partition(".")[0] for name in wheel_modules(wheel)):
        owner = _OWNERS.get(module)
        if owner is not None and owner != distribution:
            raise PackageRefused(
                RefusalReason.WHEEL_SHADOWS,
                f"{wheel.name} provides {module}, which is the distribution {owner}'s; prepare the package without it",
            )
        if module in sys.stdlib_module_names - _LEFT_THE_LIBRARY - _BACKPORTS:
            raise PackageRefused(
                RefusalReason.WHEEL_SHADOWS,
                f"{wheel.name} provides {module}, which is the standard library's; prepare the package without it",
            )


def _check_startup(wheel: str, distribution: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    match = _SITE.fullmatch(info.filename)
    if match is None:
        return
    name = match[1]
    if name.split(".")[0] in ("sitecustomize", "usercustomize"):
        raise _startup(wheel, name)
    if name.endswith(".pth") and not match[2]:
        namespace = _NAMESPACE.fullmatch(name)
        owner = _STARTUP.get(name, namespace["name"] if namespace else "")
        if canonicalize_name(owner) != distribution:
            raise _startup(wheel, name)
        if namespace and not _makes_a_namespace(archive, info):
            raise _startup(wheel, name)


def _makes_a_namespace(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether a `.pth` file holds what setuptools writes for namespace packages, and nothing else."""
    if info.file_size > _MOST_STARTUP_BYTES:
        return False
    text = archive.read(info).decode(errors="replace")
    if any(first in sys.stdlib_module_names or first in _OWNERS for first in _MODULES.findall(text)):
        return False
    statements = {each.strip() for line in text.splitlines() for each in line.split(";")} - {""}
    return all(each in _NAMESPACE_STATEMENTS or _without_names(each) in _NAMESPACE_STATEMENTS for each in statements)


def _without_names(statement: str) -> str:
    """A statement with its quoted names emptied, a tuple of them as one, and with what is no package's name kept."""
    kept = {"'sitedir'", "'__path__'", "'__init__.py'", "'importlib.util'", "'importlib.machinery'"}
    emptied = _NAMES.sub(lambda found: found[0] if found[0] in kept else "''", statement)
    return re.sub(r"\*\(''(, ?'')*,?\)", "*('',)", emptied)


def _startup(wheel: str, name: str) -> PackageRefused:
    return PackageRefused(
        RefusalReason.WHEEL_STARTUP,
        f"{wheel} brings {shown(name)}, which runs whenever Python starts; prepare the package without it",
    )


def _check_member(wheel: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Refuse an extension module of another processor, and a script of an unusual interpreter."""
    extension, script = _EXTENSION.fullmatch(info.filename), ".data/scripts/" in info.filename
    if not (extension or script) or info.is_dir():
        return
    with archive.open(info) as stream:
        start = stream.read(_PIECE)
    expected = _MACHINES.get(platform.machine())
    if extension and expected is not None and (machine := _elf_machine(start)) != expected:
        raise PackageRefused(
            RefusalReason.WHEEL_PLATFORM,
            f"{wheel} holds {shown(info.filename)} for another processor ({machine}); prepare the package on a "
            f"{platform.machine()}",
        )
    line = start.partition(b"\n")[0]
    if script and line.startswith(b"#!") and not _INTERPRETERS.fullmatch(line.rstrip()):
        raise PackageRefused(
            RefusalReason.WHEEL_SCRIPT,
            f"{wheel} holds {shown(info.filename)}, a script of the interpreter {shown(line[:60])}; "
            "prepare the package without it",
        )


def _elf_machine(start: bytes) -> int | None:
    """The processor of an ELF file (e_machine); None for any other file."""
    if not start.startswith(b"\x7fELF") or len(start) < _ELF_MACHINE_AT + 2:
        return None
    number: int = struct.unpack_from("<H" if start[5] == 1 else ">H", start, _ELF_MACHINE_AT)[0]
    return number


def environments_of(manifest: Manifest) -> list[Environment]:
    """The environments that an instance is tested or built in."""
    used = {key for each in manifest.instances if each.valid for key in (each.environment, each.build)}
    return [environment for environment in manifest.environments if environment.key in used]
