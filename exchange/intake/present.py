"""What an arriving manifest says, against what is known here: wheels by their hashes, repositories by their origins.

Nothing of the package but its manifest is read.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from harness.packages.checks import shown
from harness.packages.package import MANIFEST, read_manifest
from host.checkout import LOCK, ROOT
from models.errors import InfrastructureError, ManifestError, PackageRefused
from models.intake import RefusalReason
from models.manifest import Manifest


def manifests_here(corpus: Path) -> list[Manifest]:
    """The manifests of the corpus; one that cannot be read is passed over, as nothing is known by it."""
    found = []
    for directory in sorted(corpus.iterdir()) if corpus.is_dir() else ():
        if (directory / MANIFEST).is_file():
            try:
                found.append(read_manifest(directory))
            except ManifestError:
                continue
    return found


def check_known_wheels(manifest: Manifest, here: list[Manifest], root: Path = ROOT) -> frozenset[str]:
    """The wheels of a package that are known here by name and hash: from packages of the corpus, and from the lock of
    this project, which names its own dependencies and pytest.

    An index never gives a file's name to other content. Raises PackageRefused for a known name with another hash.
    """
    known = dict(_locked(root))
    for each in here:
        known.update((name.casefold(), (digest, f"the corpus's {each.name}")) for name, digest in each.wheels.items())
    same = set()
    for name, digest in sorted(manifest.wheels.items()):
        expected, where = known.get(name.casefold(), ("", ""))
        if expected and expected != digest:
            raise PackageRefused(
                RefusalReason.WHEEL_ALTERED,
                f"{shown(name)} has the SHA-256 {digest[:12]}..., in {where} {expected[:12]}...: one of them is not as "
                "published; fetch it again",
            )
        if expected:
            same.add(name)
    return frozenset(same)


def _locked(root: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """File name in lower case -> SHA-256 and where it is from, of the wheels in a checkout's lock."""
    file = root / LOCK
    if not file.is_file():
        return
    try:
        packages = tomllib.loads(file.read_text(encoding="utf-8"))["package"]
        wheels = [each for package in packages for each in package.get("wheels", ())]
        for each in wheels:
            name, (kind, _, digest) = each.get("url", "").rpartition("/")[2], each.get("hash", "").partition(":")
            if name and kind == "sha256":
                yield name.casefold(), (digest, f"this project's {LOCK}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InfrastructureError(f"{file} cannot be read as a lock ({error}); restore it") from error


def check_origin(manifest: Manifest, here: list[Manifest]) -> None:
    """Raise PackageRefused if the corpus holds the repository of a package under another name.

    Origins without a host (`local:NAME`) say nothing.
    """
    origin = _origin(manifest.source)
    for each in here:
        if each.name != manifest.name and origin and origin == _origin(each.source):
            raise PackageRefused(
                RefusalReason.NAME_TAKEN,
                f"{shown(manifest.source)} is in the corpus as {each.name}; prepare it under that name",
            )


def _origin(source: str) -> str:
    """A repository's host and path, however its URL is written; "" where it names no host."""
    if source.startswith("local:"):
        return ""
    scheme, found, rest = source.partition("://")
    if not found:
        rest = scheme.replace(":", "/", 1)
    elif scheme == "file":
        return ""
    return rest.rpartition("@")[2].casefold().rstrip("/").removesuffix(".git")
