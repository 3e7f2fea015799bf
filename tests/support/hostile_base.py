"""What a hostile package is, and how an honest one is changed."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.refusals import RefusalReason
from runtime.environments import environment_key

Json = dict[str, Any]
Craft = Callable[[Path, Path], None]
"""A change of an honest package; the second path is an empty folder beside it."""


@dataclass(frozen=True)
class Hostile:
    """A hostile package: its kind and name, how it is made, and the reasons for which it may be refused.

    `runs` tells that it is refused only after its tests ran in the sandbox, `as_root` that making it needs root.
    """

    kind: str
    name: str
    craft: Craft
    reasons: tuple[RefusalReason, ...]
    runs: bool = False
    as_root: bool = False


def manifest_of(package: Path) -> Json:
    """A package's manifest as data."""
    loaded: Json = json.loads((package / "manifest.json").read_text())
    return loaded


def write_manifest(package: Path, manifest: Json) -> None:
    """Write a manifest that nobody checked."""
    (package / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def with_manifest(change: Callable[[Json], None]) -> Craft:
    """A craft that changes the manifest."""

    def craft(package: Path, _: Path) -> None:
        manifest = manifest_of(package)
        change(manifest)
        write_manifest(package, manifest)

    return craft


def with_text(change: Callable[[str], str | bytes]) -> Craft:
    """A craft that changes the manifest's text."""

    def craft(package: Path, _: Path) -> None:
        path = package / "manifest.json"
        before = path.read_text()
        made = change(before)
        assert made != before
        path.write_bytes(made if isinstance(made, bytes) else made.encode())

    return craft


def with_file(name: str, content: bytes, mode: int = 0o644) -> Craft:
    """A craft that writes a file."""

    def craft(package: Path, _: Path) -> None:
        place = os.path.join(os.fsencode(package), os.fsencode(name))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content)
        os.chmod(place, mode)

    return craft


def tested(manifest: Json) -> Json:
    """The environment that the first instance is tested in."""
    key = manifest["instances"][0]["environment"]
    found: Json = next(each for each in manifest["environments"] if each["key"] == key)
    return found


def rekey(manifest: Json, environment: Json) -> None:
    """Give an environment the key of what it holds, in the instances as well."""
    old = environment["key"]
    environment["key"] = environment_key(tuple(environment["requires"]), environment["lock"], environment["abi"])
    for instance in manifest["instances"]:
        for field in ("environment", "build"):
            if instance.get(field) == old:
                instance[field] = environment["key"]


def git(repo: Path, *arguments: str, stdin: bytes | None = None, **variables: str) -> str:
    """Run git in a package's clone."""
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return (
        subprocess.run(
            ["git", *identity, "--git-dir", str(repo), *arguments],
            check=True,
            capture_output=True,
            input=stdin,
            env={**os.environ, **variables},
        )
        .stdout.decode()
        .strip()
    )
