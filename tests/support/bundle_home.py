"""A machine that makes bundles: a small checkout with a lock, and a data directory with a bit of everything.

Run as a program it makes the bundle of such a machine, and prints a line for each step, so that it can be killed.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.attacks._package import honest_package
from exchange.bundle.make import BundleOrder, Made, make_bundle
from models.settings import Settings
from store.database import open_database
from tests.support.registry_material import fresh, make_base
from training.adapters.registry import Registry

TOKEN = "sk-planted-0123456789abcdef"
_PROJECT = """
[project]
name = "clean-room-agent"
version = "0.1.0"
requires-python = ">=3.11"

[project.optional-dependencies]
local = []

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
_LOCK = """
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "clean-room-agent"
version = "0.1.0"
source = { editable = "." }

[package.metadata]
provides-extras = ["local"]
"""
_BACKEND = """
import zipfile
from pathlib import Path


def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "clean_room_agent-0.1.0.dist-info"
    files = {
        "cli.py": Path("cli.py").read_text(),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: clean-room-agent\\nVersion: 0.1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/RECORD": "",
    }
    name = "clean_room_agent-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder) / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return name
"""


@dataclass(frozen=True)
class Machine:
    """The checkout and the settings of a machine."""

    checkout: Path
    settings: Settings

    def order(self, out: Path, **changes: object) -> BundleOrder:
        given: dict[str, object] = {"out": out, "extras": ("local",), "root": self.checkout}
        return BundleOrder(**(given | changes))  # type: ignore[arg-type]

    def make(self, out: Path, **changes: object) -> Made:
        return make_bundle(self.settings, self.order(out, **changes), silent)

    @property
    def keys(self) -> Path:
        return self.settings.data_dir / "keys"


def silent(what: str, done: int, total: int) -> None:
    """A listener that says nothing."""


def make_machine(folder: Path) -> Machine:
    """A machine with a base, an adapter that serves, both databases, a repo package, a data set, and secrets."""
    data, checkout = folder / "data", folder / "checkout"
    registry = Registry(open_database(data / "curated.sqlite", "curated"), data)
    make_base(registry._curated, data / "bases")
    chosen = fresh(registry, folder, 1.0)
    registry.promote(chosen, override="the first")
    open_database(data / "raw.sqlite", "raw").dispose()
    _write(data / "datasets" / "scope-0123" / "sft.jsonl", '{"prompt": "p"}\n' * 40_000)
    for secret in ("server/connection.json", "sessions/one.json", "engine/settings", "adapters/.adding-1/half"):
        _write(data / secret, TOKEN)
    (data / "corpus").mkdir()
    shutil.move(honest_package(folder / "package"), data / "corpus" / "little")
    _write(data / "corpus" / "unfinished" / "notes", "no manifest yet")
    _write_checkout(checkout)
    return machine_in(folder)


def machine_in(folder: Path) -> Machine:
    """The machine that was made in a folder."""
    return Machine(folder / "checkout", Settings(data_dir=folder / "data", cache_dir=folder / "cache"))


def git(checkout: Path, *arguments: str) -> None:
    """Run git in a checkout."""
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *named, "-C", str(checkout), *arguments], check=True, capture_output=True)


def _write_checkout(folder: Path) -> None:
    files = {
        "pyproject.toml": _PROJECT, "uv.lock": _LOCK, "backend.py": _BACKEND, "cli.py": "VERSION = '0.1.0'\n",
        "cra.toml": f'[models]\nkey = "{TOKEN}"\n', "docs/guide.md": "# Guide\n", "scripts/run": "#!/bin/sh\n",
    }  # fmt: skip
    for name, text in files.items():
        _write(folder / name, text)
    (folder / "scripts" / "run").chmod(0o755)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "all")
    _write(folder / "notes.txt", "not tracked")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def lay_out(bundle: Path, prefix: Path) -> None:
    """Lay the files of a bundle below a prefix, as the installer does."""
    from exchange.bundle.layout import BUNDLE, MANIFEST, chunk_path, part_name, read_manifest

    manifest = read_manifest((bundle / MANIFEST / BUNDLE).read_bytes(), "the manifest")
    for folder in manifest.folders:
        (prefix / folder).mkdir(parents=True)
    for path, entry in manifest.files.items():
        (prefix / path).parent.mkdir(parents=True, exist_ok=True)
        with (prefix / path).open("xb") as file:
            for name in entry.chunks:
                part = manifest.chunks[name].part
                assert part is not None
                file.write((bundle / part_name(part) / chunk_path(name)).read_bytes())


if __name__ == "__main__":
    here = machine_in(Path(sys.argv[1]))
    make_bundle(
        here.settings,
        here.order(Path(sys.argv[2]), part_bytes=int(sys.argv[3])),
        lambda what, done, total: print(what, done, total, flush=True),
    )
