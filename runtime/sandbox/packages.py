"""Folders of Python packages that every sandbox hides: those of the host and of the base interpreters.

Packages of the machine may be of any later day. One of them can contain what a tested commit is about to introduce, and
tested code could import it from there (pip vendors copies of well-known libraries). The packages that tests need are in
their environment and stay visible.
"""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from runtime.sandbox.base import Mount

_SYSTEM = Path("/usr")
_ABOVE = (
    "", "local", "local/*", "local/*/*", "share/*", "lib/*", "lib/*/*", "lib/*/*/*",
    "share/*/venvs/*", "local/*/venvs/*", "local/share/*/venvs/*",
)  # fmt: skip
"""Places of interpreters and environments below /usr: the system's, the administrator's, and those of programs."""
_LIBRARIES = ("lib/python*", "lib64/python*", "lib/pypy*")
_PACKAGES = ("site-packages", "dist-packages", "ensurepip/_bundled", "test/wheeldata")
_WHEELS = ("share/python*-wheels", "local/share/python*-wheels")


def package_covers(mounts: Sequence[Mount]) -> list[str]:
    """Bubblewrap's options, for use after those of the mounts: an empty read-only folder over each of the places.

    Mounts are left visible, unless they are a base interpreter.
    """
    given = [mount.target for mount in mounts if not _is_base(mount)]
    places = {*_system_places(), *(place for mount in mounts if _is_base(mount) for place in _base_places(mount))}
    hidden = [place for place in sorted(places) if not any(_touch(place, target) for target in given)]
    return [option for place in hidden for option in ("--tmpfs", str(place), "--remount-ro", str(place))]


def _touch(place: Path, target: Path) -> bool:
    return place.is_relative_to(target) or target.is_relative_to(place)


def _is_base(mount: Mount) -> bool:
    """Whether a mount is a base interpreter of environments."""
    source = mount.source
    return (
        not mount.writable
        and not (source / "pyvenv.cfg").exists()
        and _any(source.glob("bin/python3*"))
        and _any(source.glob("lib/python3*"))
    )


def _any(found: Iterable[Path]) -> bool:
    return next(iter(found), None) is not None


def _base_places(mount: Mount) -> set[Path]:
    """Paths inside the sandbox of the package folders of a mounted interpreter."""
    root = mount.source.resolve()
    return {mount.target / place.relative_to(root) for place in _folders(root, [""])}


@functools.cache
def _system_places() -> frozenset[Path]:
    wheels = {path for pattern in _WHEELS for path in _SYSTEM.glob(pattern) if path.is_dir() and not path.is_symlink()}
    return frozenset(_folders(_SYSTEM, _ABOVE) | wheels)


def _folders(root: Path, above: Iterable[str]) -> set[Path]:
    """The package folders below a root; a link counts as its target, if that is below the root as well."""
    libraries = [path for each in above for name in _LIBRARIES for path in root.glob(f"{each}/{name}".lstrip("/"))]
    found = {(library / name).resolve() for library in libraries for name in _PACKAGES if (library / name).is_dir()}
    return {path for path in found if path.is_relative_to(root) and found.isdisjoint(path.parents)}
