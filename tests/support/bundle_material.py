"""Small bundles for the installer: a project of two modules, pip as its one wheel, and some data, signed for real."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Any

from exchange.bundle import install
from exchange.bundle.layout import KEY, MANIFEST
from tests.support.tiny import ROOT
from tests.support.wheels import lock_text, make_wheel, record_line
from training.adapters.registry.signing import sign

BUNDLE_CODE = ROOT / "exchange" / "bundle"
_DOCTOR = """
import json
import os
import sys
from pathlib import Path

from cli.found import PROJECT, findings


def main():
    if sys.argv[1] == "bundle":
        os.execv(PROJECT, [PROJECT, *sys.argv[1:]])
    if sys.argv[1:] == ["--version"]:
        print("7.1")
        return 0
    found = findings()
    print(json.dumps(found))
    return int(any(each["verdict"] == "failed" for each in found))
"""
Done = subprocess.CompletedProcess[str]


def pip_wheel(folder: Path) -> Path:
    """The installed pip as a wheel again."""
    installed = files("pip")
    assert installed is not None
    info = next(str(each.parent) for each in installed if each.name == "METADATA")
    wheel = folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    left = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
    kept = [each for each in installed if not str(each).startswith("..") and each.suffix != ".pyc"]
    contents = {str(each): each.read_binary() for each in kept if each.name not in left}
    record = "".join(record_line(name, data) for name, data in contents.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in {**contents, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(name, data)
    return wheel


def project_files(pip: Path, folder: Path, findings: Sequence[Mapping[str, str]] = ()) -> dict[str, bytes]:
    """What a bundle holds of a project that needs pip alone. `findings`: those of its `cra doctor`. Its `cra bundle` is
    this project's own."""
    project = str(Path(sys.executable).with_name("cra"))
    found = f"PROJECT = {project!r}\n\n\ndef findings():\n    return {[dict(each) for each in findings]!r}\n"
    sources = {"cli/__init__.py": "", "cli/main.py": _DOCTOR, "cli/found.py": found}
    scripts = {"clean_room_agent-7.1.dist-info/entry_points.txt": "[console_scripts]\ncra = cli.main:main\n"}
    own = make_wheel(folder, "clean_room_agent", "7.1", sources | scripts)
    return {
        **{f"code/{name}": text.encode() for name, text in sources.items()},
        "requirements.txt": lock_text(pip, own).encode(),
        **{f"wheels/{wheel.name}": wheel.read_bytes() for wheel in (pip, own)},
    }


DATA = {
    "data/raw.sqlite": b"raw" * 50_000,
    "data/curated.sqlite": b"curated" * 10,
    "data/bases/abc/model.safetensors": bytes(range(256)) * 3000,
    "data/bases/abc/manifest.json": b"{}",
    "data/corpus/spans/manifest.json": b'{"name": "spans"}',
    "data/corpus/spans/packages/empty": b"",
}


@dataclass(frozen=True)
class SmallBundle:
    """A bundle on disk, and its manifest as it was signed."""

    folder: Path
    manifest: dict[str, Any]
    keys: Path

    @property
    def id(self) -> str:
        return hashlib.sha256((self.folder / MANIFEST / "bundle.json").read_bytes()).hexdigest()

    def install(self, prefix: Path, *options: str | Path) -> Done:
        return subprocess.run(
            self.command(prefix, *options), capture_output=True, text=True, timeout=300, check=False, cwd="/"
        )

    def command(self, prefix: Path, *options: str | Path) -> list[str]:
        script = self.folder / "install.py"
        return [sys.executable, "-I", str(script), "--prefix", str(prefix), *map(str, options)]


def write_bundle(
    folder: Path,
    contents: Mapping[str, bytes],
    keys: Path,
    *,
    chunk_bytes: int = 1 << 18,
    parts: int = 1,
    base: SmallBundle | None = None,
    platform: str = "linux-x86_64",
    folders: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> SmallBundle:
    """Write a signed bundle. Chunks that `base` has travel not again; `changes` are made to the manifest's fields."""
    folder.mkdir(parents=True)
    known = dict(base.manifest["chunks"]) if base else {}
    chunks: dict[str, dict[str, Any]] = {}
    listed = {}
    for path, content in sorted(contents.items()):
        pieces = [content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)]
        names = [hashlib.sha256(piece).hexdigest() for piece in pieces]
        for name, piece in zip(names, pieces, strict=True):
            if name in chunks:
                continue
            part = None if name in known else len(chunks) % parts + 1
            chunks[name] = {"bytes": len(piece), "part": part}
            if part is not None:
                place = folder / f"part-{part:04d}" / name[:2] / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(piece)
        listed[path] = _entry(content) | {"category": _category(path), "executable": False, "chunks": names}
    plain = _plain_files(folder)
    manifest = {
        "version": 1, "name": "small", "base": base.id if base else None, "platform": platform, "part_bytes": None,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}", "extras": [], "files": listed,
        "folders": list(folders), "chunks": chunks, "plain": plain,
    }  # fmt: skip
    return _signed(folder, manifest | dict(changes or {}), keys)


def _signed(folder: Path, manifest: dict[str, Any], keys: Path) -> SmallBundle:
    signed = folder / MANIFEST
    signed.mkdir()
    (signed / "bundle.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    sign(signed, keys)  # makes the key, if there is none
    shutil.copyfile(keys / KEY, signed / KEY)
    sign(signed, keys)
    return SmallBundle(folder, manifest, keys)


def _plain_files(folder: Path) -> dict[str, dict[str, Any]]:
    (folder / install.INSTALLER).mkdir()
    names = ["install.py", *(f"{install.INSTALLER}/{name}.py" for name in install.MODULES)]
    for name in names:
        shutil.copyfile(BUNDLE_CODE / name, folder / name)
    (folder / "README.md").write_text("Install with install.py.\n")
    return {name: _entry((folder / name).read_bytes()) for name in [*names, "README.md"]}


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _category(path: str) -> str:
    kinds = {"wheels": "wheel", "data/bases": "model", "data/corpus": "corpus", "data": "database"}
    return next((kind for start, kind in kinds.items() if path.startswith(f"{start}/")), "code")


def tree(folder: Path, leave_out: Sequence[str] = ()) -> dict[str, str]:
    """All files below a folder by path, with the hash of each; links with their target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(tuple(leave_out)) or (path.is_dir() and not path.is_symlink()):
            continue
        found[name] = str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def altered_copy(bundle: SmallBundle, folder: Path) -> SmallBundle:
    """A copy that a test may change."""
    shutil.copytree(bundle.folder, folder)
    return SmallBundle(folder, bundle.manifest, bundle.keys)


def refusal(bundle: SmallBundle, prefix: Path, *options: str | Path) -> str:
    """The line of an installer that refuses, having put nothing into use."""
    done = bundle.install(prefix, *options)
    lines = done.stderr.splitlines()
    assert done.returncode == 1, done.stdout + done.stderr
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not os.path.lexists(prefix / "current")
    return lines[-1]
