"""The installation from its first check to its last step; a run that was stopped goes on where it was.

check    platform, Python, prefix, disk; the parts: nothing in them that is not in the manifest
copy     chunks to files below P/versions/<id>/, each hashed as it is read and once more when it is whole
build    the environment from the wheels
compare  names of new bases and adapters with those of an earlier installation
place    the data's units into P/data, where nothing is; what lives there is left
test     the self-test
switch   P/current to the new version, in one step
register new bases and adapters in the databases of an earlier installation
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from . import environment, placing, prefix, registry
from .copying import Copy
from .faults import InstallError, PartsMissing
from .manifest import Manifest, read_manifest
from .parts import SIGNATURES, Source, find_chunks
from .placing import Placement
from .selftest import self_test
from .wheels import check_wheels

INSTALLED = "installed.json"
_UNPACKED = 3
"""Bytes of an installed wheel for each of its own, as a rule at most."""

Verify = Callable[["Path", "Path | None", "str | None"], "tuple[bytes, str]"]


def main(here: Path, content: bytes, given: argparse.Namespace, verify: Verify) -> int:
    """Install the bundle; each fault is one line. Returns 3 while parts are missing."""
    os.umask(os.umask(0o077) | 0o022)  # nobody else may write into what is installed
    try:
        _install(here, content, given, verify)
    except PartsMissing as error:
        print(f"not finished: {error}", file=sys.stderr)
        return 3
    except (InstallError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _install(here: Path, content: bytes, given: argparse.Namespace, verify: Verify) -> None:
    manifest = read_manifest(content)
    environment.check_platform(manifest)
    sources = [here, *(folder.absolute() for folder in given.part)]
    place = prefix.check_prefix(given.prefix, sources)
    again, fingerprint = verify(here / "manifest", given.key, given.fingerprint)
    if again != content:
        raise InstallError(f"{here} is another bundle than before; run this again with a medium that stays")
    if given.key is None and given.fingerprint is None:
        _check_signer(place, fingerprint)

    def trust(folder: Path) -> bytes:
        return verify(folder, given.key, given.fingerprint or fingerprint)[0]

    chunks = find_chunks(content, manifest, sources, trust)
    version = place / "versions" / hashlib.sha256(content).hexdigest()[:16]
    plan = placing.plan_data(manifest, place / placing.DATA)
    targets = _targets(manifest, plan, version)
    copy = Copy(manifest, targets, version / "journal")
    built = (version / "env" / environment.BUILT).is_file()
    unpacked = sum(entry.bytes for entry in manifest.files.values() if entry.category == "wheel") * _UNPACKED
    prefix.check_space(place, copy.missing_bytes + (0 if built else unpacked))
    packed = any(path.startswith("interpreter/") for path in manifest.files)
    if not packed or given.python is not None:
        environment.find_python(manifest, given.python)
    if given.dry_run:
        print(f"parts here: {sorted(chunks.parts)} of {manifest.parts}; {len(targets)} files to install")
        return
    with prefix.opened(place):
        (version / "incoming").mkdir(mode=0o700, parents=True, exist_ok=True)  # as data/ is
        copy.write({**_elsewhere(place, copy.missing - chunks.sources.keys()), **chunks.sources})
        _check_complete(manifest, copy)
        copy.check()
        os.sync()
        later = (place / "current").is_symlink() and (version / registry.FOLDER).is_dir() and not given.without_registry
        _build(version, manifest, given.python)
        if later:
            registry.check_registry(place, version)
        _finish(place, version, manifest, plan)
        _record(here, version, content, fingerprint)
        os.sync()
        prefix.switch(place, version.name)
        if later:
            registry.add_registry(place, version)
    print(f"installed: {place / 'bin' / 'cra'} runs {manifest.name}, bundle {version.name}")


def _check_signer(place: Path, fingerprint: str) -> None:
    """Raise InstallError if the version in use came from a bundle of another key, and nobody said that this one is to
    be trusted as well."""
    record = place / "current" / INSTALLED
    if not record.is_file():
        return
    try:
        known = json.loads(record.read_text())["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise InstallError(f"{record} names no key ({error!r}); give yours with --fingerprint") from error
    if known != fingerprint:
        raise InstallError(
            f"{place} was installed from a bundle of the key {known}, and this one has another; if you were told so, "
            f"give the fingerprint that you were told with --fingerprint"
        )


def _targets(manifest: Manifest, plan: Placement, version: Path) -> dict[str, Path]:
    """The place of each file that is assembled: the version's own below its folder, new data aside of it."""
    new = {path for paths in plan.new.values() for path in paths}
    own = {path: version / path for path in manifest.files if not path.startswith(f"{placing.DATA}/")}
    return {**own, **{path: version / "incoming" / path for path in sorted(new)}}


def _elsewhere(place: Path, missing: set[str]) -> dict[str, Source]:
    """Chunks that no part has, in the files of the versions that are installed; they are hashed like any others."""
    found: dict[str, Source] = {}
    for record in sorted((place / "versions").glob(f"*/{INSTALLED}")) if missing else []:
        known = read_manifest((record.parent / "manifest" / "bundle.json").read_bytes())
        for path, entry in known.files.items():
            file = place / path if path.startswith(f"{placing.DATA}/") else record.parent / path
            if missing.isdisjoint(entry.chunks) or file.is_symlink() or not file.is_file():
                continue
            same, offset = file.stat().st_size == entry.bytes, 0
            for name in entry.chunks:
                if same and name in missing:
                    found[name] = Source(file, offset, whole=False)
                offset += known.chunks[name].bytes
    return found


def _check_complete(manifest: Manifest, copy: Copy) -> None:
    """Raise PartsMissing, naming them, or InstallError if the bundle that this one continues is needed."""
    missing = copy.missing
    if not missing:
        return
    parts = sorted({part for part in (manifest.chunks[name].part for name in missing) if part is not None})
    if parts:
        raise PartsMissing(
            f"part {', '.join(map(str, parts))} of {len(manifest.parts)} is not here; what was copied is kept: run "
            f"this again with --part FOLDER for the next"
        )
    raise InstallError(
        f"{len(missing)} chunks are in bundle {str(manifest.base)[:16]}, which this one continues, and it is not "
        f"installed here; give its folder with --part"
    )


def _build(version: Path, manifest: Manifest, given: Path | None) -> None:
    """Build the environment, unless the version is whole. `given`: the Python."""
    if not (version / INSTALLED).is_file():
        check_wheels(version / "wheels")
        packed = version / "interpreter"
        python = environment.find_python(manifest, given, packed if packed.is_dir() else None)
        environment.build(version, python)


def _finish(place: Path, version: Path, manifest: Manifest, plan: Placement) -> None:
    """Lay folders and data, and test what is there."""
    for folder in manifest.folders:
        if not folder.startswith(f"{placing.DATA}/"):
            (version / folder).mkdir(parents=True, exist_ok=True)
    placing.place(plan, manifest, version / "incoming", place / placing.DATA)
    for unit in plan.left:
        print(f"left as it is: data/{unit} differs from the bundle's")
    environment.write_command(place)
    for finding in self_test(place, version, manifest.extras):
        print(f"  not yet: {finding}")


def _record(here: Path, version: Path, content: bytes, fingerprint: str) -> None:
    """Keep the signed manifest, say that the version is whole, and remove what only the installation needed."""
    kept = version / "manifest"
    kept.mkdir(exist_ok=True)
    for file in (here / "manifest").iterdir():
        if file.name in SIGNATURES:
            shutil.copyfile(file, kept / file.name)
    prefix.write_file(kept / "bundle.json", content.decode("ascii"))  # the one that was checked: media change
    installed = {"bundle": hashlib.sha256(content).hexdigest(), "key": fingerprint}
    prefix.write_file(version / INSTALLED, json.dumps(installed) + "\n")
    shutil.rmtree(version / "incoming", ignore_errors=True)
