"""Crafted manifests: each is an honest package's with one thing changed."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.attacks._manifest_changes import CHANGES, TEXTS, Change
from benchmarks.attacks._package import (
    Json,
    environment_of,
    honest_package,
    make_wheel,
    manifest_of,
    sha256,
    write_manifest,
)
from benchmarks.attacks.base import Attack, GotThrough
from harness.packages.package import package_findings, read_package
from models.errors import CleanRoomError, ManifestError
from models.manifest import Environment
from runtime.environments import EnvironmentStore

KIND = "manifests"
_GIB = 1 << 30


def _refused(change: Change, field: str) -> Callable[[Path], str]:
    """Reading is refused with the field's name, and `show --check` says so too, in one printable line each."""

    def attack(scratch: Path) -> str:
        package = honest_package(scratch)
        read_package(package)  # the honest one is accepted
        manifest = manifest_of(package)
        change(manifest)
        write_manifest(package, manifest)
        before = _tree(scratch)
        said = _reading(package, field)
        found = [str(finding) for finding in _findings(package)]
        if not any(field in line for line in found):
            raise GotThrough(f"show --check says nothing of {field}")
        for line in (said, *found):
            if not line.isprintable() or len(line) > 2000:
                raise GotThrough(f"the message holds what a terminal acts on: {line[:100]!a}")
        if _tree(scratch) != before:
            raise GotThrough("files were written or removed")
        return said[-150:]

    return attack


def _reading(package: Path, field: str) -> str:
    try:
        read_package(package)
    except ManifestError as error:
        if field not in str(error):
            raise GotThrough(f"refused without naming {field}: {error}") from error
        return str(error)
    raise GotThrough(f"a package with a crafted {field} was accepted")


def _findings(package: Path) -> list[object]:
    try:
        return list(package_findings(package))
    except ManifestError as error:
        return [error]


def _tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def _absolute_key(scratch: Path) -> str:
    """As the campaign does it: the environment is acquired, whatever reading said."""
    package, victim = honest_package(scratch), scratch / "victim"
    victim.mkdir()
    (victim / "thesis.txt").write_text("years of work")
    manifest = manifest_of(package)
    manifest["environments"][0]["key"] = manifest["instances"][0]["environment"] = str(victim)
    write_manifest(package, manifest)
    said = _reading(package, "key")
    _acquire(scratch, package, manifest)
    if not (victim / "thesis.txt").exists() or list(victim.iterdir()) != [victim / "thesis.txt"]:
        raise GotThrough("the folder that the key names was removed or built in")
    return said[-150:]


def _climbing_key(scratch: Path) -> str:
    package, victim = honest_package(scratch), scratch / "store" / "victim"
    victim.mkdir(parents=True)
    (victim / "kept").touch()
    manifest = manifest_of(package)
    manifest["environments"][0]["key"] = manifest["instances"][0]["environment"] = "../victim"
    write_manifest(package, manifest)
    said = _reading(package, "key")
    _acquire(scratch, package, manifest)
    if not (victim / "kept").exists():
        raise GotThrough("the folder that the key names was removed")
    return said[-150:]


def _acquire(scratch: Path, package: Path, manifest: Json) -> set[str]:
    """Names of the modules in the environment that a package gets, without any check of its manifest."""
    environment = Environment.model_validate_json(json.dumps(manifest["environments"][0]))
    with EnvironmentStore(scratch / "store", _GIB).acquire(environment, package / "packages") as built:
        if not built.prefix.is_relative_to(scratch / "store"):
            raise GotThrough(f"the environment lies in {built.prefix}")
        return {path.name for path in next(built.prefix.glob("lib/*/site-packages")).iterdir()}


def _poisoned_by_one_more_wheel(scratch: Path) -> str:
    honest, evil = honest_package(scratch / "a"), honest_package(scratch / "b")
    manifest, crafted = manifest_of(honest), manifest_of(evil)
    more = make_wheel(evil / "packages", "plugin", files={"plugin.py": "", "plugin.pth": "import plugin\n"})
    key = manifest["environments"][0]["key"]
    crafted["environments"][0] = environment_of(*sorted((evil / "packages").glob("*.whl"))) | {"key": key}
    crafted["wheels"][more.name] = sha256(more)
    write_manifest(evil, crafted)
    said = _reading(evil, "key")
    return _not_poisoned(scratch, (evil, crafted), (honest, manifest), "plugin.py") or said[-150:]


def _poisoned_by_another_wheel_of_the_name(scratch: Path) -> str:
    """The lock allows two wheels of one release, and each package brings another one."""
    honest, evil = honest_package(scratch / "a"), honest_package(scratch / "b")
    good = honest / "packages" / "tiny-1.0-py3-none-any.whl"
    bad = make_wheel(evil / "packages", files={"tiny.py": "X = 2\n", "plugin.py": ""})
    lock = f"tiny==1.0 \\\n    --hash=sha256:{sha256(good)} \\\n    --hash=sha256:{sha256(bad)}\n"
    manifests = []
    for package, wheel in ((evil, bad), (honest, good)):
        manifest = manifest_of(package)
        manifest["environments"][0] = environment_of(wheel, lock=lock)
        manifest["instances"][0]["environment"] = manifest["environments"][0]["key"]
        manifest["wheels"] = {wheel.name: sha256(wheel)}
        write_manifest(package, manifest)
        manifests.append(manifest)
    read_package(honest)
    identities = {read_package(p).environment_identity(manifests[0]["environments"][0]["key"]) for p in (honest, evil)}
    if len(identities) != 2:
        raise GotThrough("verdicts of both packages share a key")
    return _not_poisoned(scratch, (evil, manifests[0]), (honest, manifests[1]), "plugin.py") or "two environments"


def _poisoned_by_an_unnamed_wheel(scratch: Path) -> str:
    """A better fitting wheel that the manifest does not name lies beside the named one."""
    package = honest_package(scratch)
    good = package / "packages" / "tiny-1.0-py3-none-any.whl"
    abi = manifest_of(package)["environments"][0]["abi"]
    bad = make_wheel(scratch / "made", files={"tiny.py": "X = 2\n", "plugin.py": ""})
    bad = bad.rename(good.with_name(f"tiny-1.0-{abi}-none-any.whl"))
    manifest = manifest_of(package)
    lock = f"tiny==1.0 --hash=sha256:{sha256(good)} --hash=sha256:{sha256(bad)}\n"
    manifest["environments"][0] = environment_of(good, lock=lock)
    if "plugin.py" in _acquire(scratch, package, manifest):
        raise GotThrough("the wheel that the manifest does not name was installed")
    return "only named wheels are installed"


def _not_poisoned(scratch: Path, evil: tuple[Path, Json], honest: tuple[Path, Json], mark: str) -> str:
    with contextlib.suppress(CleanRoomError):
        _acquire(scratch, *evil)
    if mark in _acquire(scratch, *honest):
        raise GotThrough("the honest package's environment holds the other one's plugin")
    return ""


def _text(raw: Callable[[str], str | bytes], field: str) -> Callable[[Path], str]:
    """A manifest that is no plain JSON, or not only that."""

    def attack(scratch: Path) -> str:
        package = honest_package(scratch)
        path = package / "manifest.json"
        made = raw(path.read_text())
        path.write_bytes(made if isinstance(made, bytes) else made.encode())
        return _reading(package, field)[-150:]

    return attack


def _special(make: Callable[[Path, Path], None], field: str) -> Callable[[Path], str]:
    """Something else in the place of a file or folder of a package."""

    def attack(scratch: Path) -> str:
        package = honest_package(scratch)
        make(package, scratch)
        return _reading(package, field)[-150:]

    return attack


def _manifest_pipe(package: Path, _: Path) -> None:
    (package / "manifest.json").unlink()
    os.mkfifo(package / "manifest.json")


def _manifest_link(package: Path, scratch: Path) -> None:
    (package / "manifest.json").rename(scratch / "elsewhere")
    (package / "manifest.json").symlink_to(scratch / "elsewhere")


def _manifest_folder(package: Path, _: Path) -> None:
    (package / "manifest.json").unlink()
    (package / "manifest.json").mkdir()


_SPECIAL = (
    ("manifest that is a pipe", _manifest_pipe, "manifest.json"),
    ("manifest that is a link", _manifest_link, "manifest.json"),
    ("manifest that is a folder", _manifest_folder, "manifest.json"),
)


def attacks() -> list[Attack]:
    """The attacks of this kind."""
    return [
        Attack(KIND, "key that is an absolute path", _absolute_key),
        Attack(KIND, "key that leads to a sibling of the store's", _climbing_key),
        Attack(KIND, "another package's key with one more wheel", _poisoned_by_one_more_wheel),
        Attack(KIND, "another package's key with another wheel", _poisoned_by_another_wheel_of_the_name),
        Attack(KIND, "wheel beside those that are named", _poisoned_by_an_unnamed_wheel),
        *(Attack(KIND, name, _refused(change, field)) for name, change, field in CHANGES),
        *(Attack(KIND, name, _text(raw, field)) for name, raw, field in TEXTS),
        *(Attack(KIND, name, _special(make, field)) for name, make, field in _SPECIAL),
    ]
