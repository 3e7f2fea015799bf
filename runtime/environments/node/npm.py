"""npm, which resolves and fetches a project's packages without running any of their code.

It gets a folder of its own with nothing but the dependencies: no settings and no scripts of the repository. Which
registry it asks, is the machine's setting or npm's own default.
"""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from host.air_gap import AS_A_PACKAGE, refuse_network
from host.offline import TELEMETRY
from host.process import CommandFailed, run
from models.errors import EnvironmentFault, InfrastructureError
from runtime.environments.node.lockfile import Installed, installed

_ENVIRONMENT = {
    "NPM_CONFIG_USERCONFIG": "/dev/null",
    **TELEMETRY,
    "NPM_CONFIG_OMIT_LOCKFILE_REGISTRY_RESOLVED": "false",
    "NODE_OPTIONS": "",
    "NO_COLOR": "1",
}
_OPTIONS = (
    "install", "--ignore-scripts", "--no-audit", "--no-fund", "--include=dev", "--include=optional", "--no-progress",
    "--loglevel=error", "--install-strategy=hoisted", "--package-lock=true", "--engine-strict=false",
)  # fmt: skip
_NETWORK = re.compile(r"\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|E5\d\d|E429)\b")
_REGISTRY_FILE = re.compile(r"/(?:@[^/]+/)?[^/@]+/-/[^/]+\.tgz")
_SECONDS = 1800


class Unresolved(EnvironmentFault):
    """npm finds no set of releases that fits."""


class NoRelease(Unresolved):
    """There is no release at all, or none before the date, of a package in the wanted range."""


def install(
    node: Path,
    packages: Sequence[Mapping[str, Any]],
    lock: str,
    before: date | None,
    cache: Path,
    own: Mapping[str, str],
) -> Installed:
    """What npm installs for some packages, the root first: their places, releases and hashes; archives stay in `cache`.

    `node` is the folder of an unpacked release. `lock` is npm's own lock or "". Only releases before `before` are
    considered for what it does not settle. `own` are the folders of the repository's own packages by name. Where these
    contradict each other about their peers, the peers are left out; a lock that does not fit at all is left out in the
    end. Raises Unresolved, AirGapError in air-gapped mode, InfrastructureError.
    """
    refuse_network("installing packages with npm", AS_A_PACKAGE)
    cleaned = _cleaned(lock, _registry(node)) if lock else ""
    attempts = [(cleaned, ()), (cleaned, ("--legacy-peer-deps",))]
    if cleaned:
        attempts.append(("", ("--legacy-peer-deps",)))
    failed: Unresolved | None = None
    for text, further in attempts:
        try:
            return _install_once(node, packages, text, before, cache, own, further)
        except Unresolved as error:
            failed = failed or error
    assert failed is not None
    raise failed


def _install_once(
    node: Path,
    packages: Sequence[Mapping[str, Any]],
    lock: str,
    before: date | None,
    cache: Path,
    own: Mapping[str, str],
    further: Sequence[str],
) -> Installed:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cra-npm-") as temporary:
        root = Path(temporary, "project")
        folders = ["", *packages[0].get("workspaces", ())]
        for folder, data in zip(folders, packages, strict=True):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / "package.json").write_text(json.dumps(data))
        if lock:
            (root / "package-lock.json").write_text(lock)
        dated = [f"--before={before.isoformat()}T00:00:00Z"] if before else []
        argv = [*_npm(node), *_OPTIONS, f"--cache={cache}", f"--prefix={root}", *dated, *further]
        try:
            run(argv, cwd=root, env=_ENVIRONMENT, timeout=_SECONDS)
        except CommandFailed as error:
            raise _explained(error) from error
        hidden = root / "node_modules" / ".package-lock.json"
        return installed(hidden.read_text(), own) if hidden.is_file() else Installed({}, {})


def _npm(node: Path) -> list[str]:
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _registry(node: Path) -> str:
    """The host of the registry that npm asks."""
    printed = run([*_npm(node), "config", "get", "registry"], env=_ENVIRONMENT).decode().strip()
    return urlsplit(printed).netloc.rpartition("@")[2]


def _cleaned(lock: str, host: str) -> str:
    """A repository's lock without addresses other than the registry's, and without what no registry serves.

    Whatever it names otherwise would be fetched from there. "" if it cannot be read.
    """
    try:
        data = json.loads(lock)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(data, dict):
        return ""
    if isinstance(data.get("packages"), dict):
        data.pop("dependencies", None)
        data["packages"] = {
            place: _without_address(entry, host)
            for place, entry in data["packages"].items()
            if isinstance(entry, dict) and (not place or _kept(entry))
        }
        return json.dumps(data)
    _clean_first_version(data, host)
    return json.dumps(data)


def _clean_first_version(data: dict[str, Any], host: str) -> None:
    listed = data.get("dependencies")
    if not isinstance(listed, dict):
        return
    data["dependencies"] = {
        name: _without_address(entry, host)
        for name, entry in listed.items()
        if isinstance(entry, dict) and _kept(entry)
    }
    for entry in data["dependencies"].values():
        _clean_first_version(entry, host)


def _kept(entry: Mapping[str, Any]) -> bool:
    """Whether a registry serves it, or it is the repository's own or comes inside another package."""
    if entry.get("link") or entry.get("inBundle") or entry.get("bundled"):
        return True
    resolved, version = str(entry.get("resolved", "")), str(entry.get("version", ""))
    return bool(entry.get("integrity")) or (not resolved and not re.match(r"(?:git|file|https?|github)\b", version))


def _without_address(entry: dict[str, Any], host: str) -> dict[str, Any]:
    if entry.get("link"):
        return entry
    parts = urlsplit(str(entry.get("resolved", "")))
    if parts.scheme == "https" and parts.netloc == host and _REGISTRY_FILE.fullmatch(parts.path):
        return entry
    return {key: value for key, value in entry.items() if key != "resolved"}


def _explained(error: CommandFailed) -> EnvironmentFault | InfrastructureError:
    lines = [re.sub(r"^npm (?:ERR!|error) ?", "", line) for line in error.stderr.splitlines() if line.startswith("npm")]
    said = [line for line in lines if line and not line.startswith(("code ", "A complete log", "errno", "syscall"))]
    message = " ".join(said[:2])[:300] or str(error)
    if "ENOSPC" in error.stderr:
        return InfrastructureError("the disk is full: packages cannot be stored; free some space and run it again")
    if _NETWORK.search(error.stderr) or error.returncode < 0:
        return InfrastructureError(f"packages cannot be downloaded: {message}")
    none = re.search(r"\b(?:ENOVERSIONS|ETARGET|E404)\b", error.stderr)
    return NoRelease(f"npm: {message}") if none else Unresolved(f"npm: {message}")
