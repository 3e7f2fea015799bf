"""Exact versions of direct dependencies from the locks of pnpm and yarn, whose other lines npm cannot replay."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_LARGEST = 16 << 20  # bytes of a lock that is read
_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.+-]*")
_YARN_ENTRY = re.compile(r"^(\"?[^\s#\"].*?):\n((?:[ \t]+.*\n?)+)", re.MULTILINE)
_YARN_VERSION = re.compile(r"^\s+version:?\s+\"?([^\s\"]+)", re.MULTILINE)


@dataclass(frozen=True)
class Pins:
    """Versions by (folder of the package, name), of pnpm, and by (name, range), of yarn."""

    by_folder: Mapping[tuple[str, str], str] = field(default_factory=dict)
    by_range: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def version(self, folder: str, name: str, given: str) -> str | None:
        """The version that a package's dependency is locked to, if the lock says."""
        return self.by_folder.get((folder, name)) or self.by_range.get((name, given))


def read_pins(read: Callable[[str], bytes | None]) -> Pins:
    """The versions from the lock of pnpm or yarn at a tree's root. A lock that cannot be read pins nothing."""
    if (raw := read("pnpm-lock.yaml")) is not None and len(raw) <= _LARGEST:
        return Pins(by_folder=_pnpm(raw))
    if (raw := read("yarn.lock")) is not None and len(raw) <= _LARGEST:
        return Pins(by_range=_yarn(raw.decode("utf-8", "replace")))
    return Pins()


def _pnpm(raw: bytes) -> dict[tuple[str, str], str]:
    try:
        data = yaml.load(raw, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    importers = data.get("importers")
    packages: dict[Any, Any] = importers if isinstance(importers, dict) else {".": data}
    found: dict[tuple[str, str], str] = {}
    for folder, package in packages.items():
        for section in ("dependencies", "devDependencies", "optionalDependencies"):
            listed = package.get(section) if isinstance(package, dict) else None
            for name, entry in (listed if isinstance(listed, dict) else {}).items():
                version = _pnpm_version(entry.get("version") if isinstance(entry, dict) else entry)
                if version:
                    found["" if folder == "." else str(folder), str(name)] = version
    return found


def _pnpm_version(value: Any) -> str | None:
    """The version in `4.1.5(vite@7.3.2)`, `zod@3.24.4`, `/zod/3.24.4` and `3.24.4_peer@1.0.0`."""
    text = str(value).partition("(")[0]
    text = re.sub(r"^/?(?:@[^/@]+/)?[^/@]+[@/](?=\d)", "", text).partition("_")[0]
    return text if _VERSION.fullmatch(text) else None


def _yarn(text: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for match in _YARN_ENTRY.finditer(text.replace("\r\n", "\n")):
        version = _YARN_VERSION.search(match.group(2))
        if version is None or not _VERSION.fullmatch(version.group(1)):
            continue
        for spec in match.group(1).replace('"', "").split(","):
            name, _, wanted = spec.strip().rpartition("@")
            if "@npm:" in spec:  # yarn 2 and later: name@npm:range, or an alias name@npm:other@range
                name, _, wanted = spec.strip().partition("@npm:")
                wanted = f"npm:{wanted}" if re.match(r"@?[a-z]", wanted) and "@" in wanted else wanted
            found[name, wanted] = version.group(1)
    return found
