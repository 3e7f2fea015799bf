"""An honest repo package made without a package index, to be changed by attacks: a tiny repository, a tiny wheel."""

import atexit
import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from repos.git import clone
from runtime.environments import environment_key, installed_interpreters

Json = dict[str, Any]
BEFORE = {"little.py": "def half(n):\n    return n // 2\n", "test_little.py": "def test_nothing():\n    pass\n"}
AFTER = {
    "little.py": "def half(n):\n    return n / 2\n",
    "test_little.py": "from little import half\n\n\ndef test_half():\n    assert half(3) == 1.5\n",
}


def record(members: Mapping[str, bytes], folder: str) -> str:
    """A RECORD that fits."""
    rows = ""
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows += f'"{name}",sha256={digest},{len(data)}\n' if "," in name else f"{name},sha256={digest},{len(data)}\n"
    return f"{rows}{folder}/RECORD,,\n"


def members_of(name: str, version: str, files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    """The files of a wheel, metadata included, RECORD not."""
    folder = f"{name}-{version}.dist-info"
    data = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    data.setdefault(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode())
    data.setdefault(f"{folder}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return data


def make_wheel(
    folder: Path, name: str = "tiny", version: str = "1.0", files: Mapping[str, str | bytes] | None = None
) -> Path:
    """A wheel whose RECORD fits, whatever its files are called."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    members = members_of(name, version, files if files is not None else {f"{name}.py": "X = 1\n"})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data, zipfile.ZIP_DEFLATED)
        info = f"{name}-{version}.dist-info"
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), record(members, info))
    return path


def sha256(path: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock_of(*wheels: Path) -> str:
    """The lock that pins some wheels."""
    pins = ([*path.name.split("-")[:2], sha256(path)] for path in wheels)
    return "".join(f"{name}=={version} \\\n    --hash=sha256:{digest}\n" for name, version, digest in pins)


def environment_of(*wheels: Path, requires: tuple[str, ...] = ("tiny",), lock: str = "") -> Json:
    """An environment of a manifest."""
    interpreter = installed_interpreters()[0]
    text = lock or lock_of(*wheels)
    return {
        "key": environment_key(requires, text, interpreter.abi),
        "python": interpreter.version,
        "abi": interpreter.abi,
        "requires": list(requires),
        "cutoff": "2024-05-01",
        "lock": text,
        "wheels": sorted(path.name for path in wheels),
    }


def git(place: Path, *arguments: str) -> str:
    """Run git in a repository of the attack's own."""
    argv = [
        "git",
        "-C",
        str(place),
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    return subprocess.run([*argv, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def make_repository(place: Path) -> Path:
    """A repository with two commits, the second of which is an instance."""
    place.mkdir(parents=True)
    git(place, "init", "-q", "-b", "main")
    for message, files in (("Start", BEFORE), ("Halve odd numbers", AFTER)):
        for name, text in files.items():
            (place / name).write_text(text)
        git(place, "add", "-A")
        git(place, "commit", "-q", "-m", message)
    return place


@lru_cache(maxsize=1)
def _honest() -> Path:
    root = Path(tempfile.mkdtemp(prefix="cra-honest-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    source = make_repository(root / "source")
    package = root / "little"
    package.mkdir()
    clone(str(source), package / "repo")
    wheel = make_wheel(package / "packages")
    head, base = git(source, "rev-parse", "HEAD"), git(source, "rev-parse", "HEAD^")
    environment = environment_of(wheel)
    instance = {
        "instance_id": f"little__{head[:12]}",
        "commit": head,
        "base_commit": base,
        "task": "Halve odd numbers",
        "planning_types": ["step", "all"],
        "production_files": ["little.py"],
        "test_files": ["test_little.py"],
        "symbols": ["little.py::half", "test_little.py::test_half"],
        "version": "1.0",
        "environment": environment["key"],
        "fail_to_pass": ["test_little.py::test_half"],
        "pass_to_pass": [],
        "excluded": [],
        "reason": None,
        "detail": "",
    }
    manifest = {
        "schema_version": 1,
        "name": "little",
        "source": "local:little",
        "license": "MIT",
        "organisation": None,
        "domain": None,
        "head": head,
        "python": environment["python"],
        "test_command": ["python", "-m", "pytest"],
        "lines_of_code": 2,
        "flags": [],
        "funnel": {"total": 2, "dropped": {"root": 1}, "needs_message": 0, "kept": 1, "mixed": 1},
        "environments": [environment],
        "wheels": {wheel.name: sha256(wheel)},
        "instances": [instance],
    }
    write_manifest(package, manifest)
    return package


def honest_package(folder: Path) -> Path:
    """A fresh copy of the package."""
    return Path(shutil.copytree(_honest(), folder / "little"))


def manifest_of(package: Path) -> Json:
    """A package's manifest as data."""
    loaded: Json = json.loads((package / "manifest.json").read_text())
    return loaded


def write_manifest(package: Path, manifest: Json) -> None:
    """Write a manifest that nobody checked."""
    (package / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
