"""Places of a wheel's files in an environment, and forbidden places."""

import re
from collections.abc import Iterable

from packaging.utils import canonicalize_name

from models.errors import WheelError

SITE = "site-packages"
"""Placeholder for the environment's folder of modules."""
_SCHEMES = {"purelib": SITE, "platlib": SITE, "scripts": "bin", "headers": "include/site", "data": ""}
_DATA_FOLDERS = {"share", "etc", "include", "lib", "man", "doc", "docs", "bin", "var", "licenses", "opt", "libexec"}
_RESERVED = re.compile(
    r"python[0-9.]*[dtmw]?(-config)?|pypy[0-9.]*|pip[0-9.]*|activate(\..*)?|activate_this\.py|deactivate(\..*)?|pydoc[0-9.]*",
    re.IGNORECASE,
)


def place(wheel: str, distribution: str, name: str) -> str:
    """The place of the file `name` of a wheel, relative to the environment; `site-packages/...` for modules.

    Raises WheelError for a file that would be among the environment's own or conflict with another wheel.
    """
    first, _, rest = name.partition("/")
    if first.lower().endswith((".dist-info", ".egg-info")) and not _own(first, distribution):
        raise WheelError(f"{wheel} holds {name!a}, the metadata of another distribution")
    if not first.lower().endswith(".data") or not rest:
        return _checked(wheel, distribution, name, f"{SITE}/{name}")
    scheme, _, below = rest.partition("/")
    if scheme not in _SCHEMES or not below or not _own(first, distribution):
        raise WheelError(f"{wheel} holds {name!a}, which belongs nowhere in an environment")
    if scheme == "headers":
        return f"include/site/{distribution}/{below}"
    base = _SCHEMES[scheme]
    return _checked(wheel, distribution, name, f"{base}/{below}" if base else below)


def _own(folder: str, distribution: str) -> bool:
    named = folder.rpartition(".")[0]
    return canonicalize_name(named.partition("-")[0]) == distribution


def _checked(wheel: str, distribution: str, name: str, target: str) -> str:
    first, _, rest = target.partition("/")
    if first.lower() == SITE and first != SITE:
        raise WheelError(f"{wheel} holds {name!a}, which is in the way of the environment's own folders")
    if first == SITE:
        if rest.lower() == "pyvenv.cfg" or rest.lower().startswith("_virtualenv."):
            raise WheelError(f"{wheel} holds {name!a}, which belongs to the environment itself")
        return target
    if first not in _DATA_FOLDERS or not rest:
        raise WheelError(f"{wheel} holds {name!a}, which lies beside the environment's own folders")
    if first == "bin":
        check_script(wheel, distribution, rest)
    if first == "lib" and re.match(r"(python|pypy)", rest, re.IGNORECASE):
        raise WheelError(f"{wheel} holds {name!a}, which lies among the modules of others")
    return target


def check_script(wheel: str, distribution: str, name: str) -> None:
    """Raise WheelError for a command outside `bin`, or one that would replace the interpreter or pip."""
    if "/" in name or not re.fullmatch(r"(?![.-])[\w.+-]{1,200}", name):
        raise WheelError(f"{wheel} makes a command {name!a}, which is no plain name")
    if _RESERVED.fullmatch(name) and not (distribution == "pip" and name.startswith("pip")):
        raise WheelError(f"{wheel} makes a command {name!a}, which is the environment's own")


_UNIMPORTANT = re.compile(
    rf"{SITE}/(?:(?:tests?|docs?|examples?|benchmarks?|scripts|samples)/.*|[^/]*(?<!\.py)(?<!\.pth)(?<!\.so)|[^/]+/__pycache__/.*)"
)


def check_overlaps(wheels: Iterable[tuple[str, dict[str, str]]]) -> None:
    """Raise WheelError when two wheels (name, hash by place) bring different files to one place.

    The result would depend on the order of installation. Top-level folders of tests and documents, and files there that
    are not modules, are exempt: many wheels contain them by mistake, and nothing depends on them.
    """
    known: dict[str, tuple[str, str]] = {}
    for wheel, places in wheels:
        for target, digest in places.items():
            other, same = known.setdefault(target.casefold(), (wheel, digest))
            if same != digest and not _UNIMPORTANT.fullmatch(target):
                raise WheelError(
                    f"{wheel} and {other} bring different files to {target!a}; they cannot be had together"
                )
