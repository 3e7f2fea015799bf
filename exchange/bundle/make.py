"""`cra bundle make`: all that travels, in chunks by hash, under one signed manifest.

    code, wheels, interpreters, data, corpus (checked), databases (copied) -> chunks -> parts -> manifest -> signature

Everything is made in a hidden folder beside the target, which a call that was killed leaves and the next one goes on
with; it gets its name when it is whole.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exchange.bundle import install, layout
from exchange.bundle.chunks import ChunkStore, spread, writing
from exchange.bundle.code import code_contents
from exchange.bundle.data import (
    DUMP,
    check_package,
    copy_databases,
    corpus_contents,
    data_contents,
    key_contents,
    packages_of,
)
from exchange.bundle.earlier import Earlier, read_earlier
from exchange.bundle.guide import guide
from exchange.bundle.interpreters import further_pythons, moved_interpreters, needed_pythons
from exchange.bundle.layout import BundleManifest
from exchange.bundle.registry import registry_contents
from exchange.bundle.sbom import write_sbom
from exchange.bundle.sources import Contents, LeftOut
from exchange.bundle.wheels import EXTRAS, PLATFORM, PYTHON, check_extras, locked_wheels, wheel_contents
from exchange.folders import FileEntry
from host.checkout import ROOT
from host.locks import process_lock
from models.errors import CleanRoomError, DiskFull, UsageError
from models.settings import Settings
from training.adapters.registry.signing import fingerprint, public_key, sign
from training.bases.files import hash_file

Listener = Callable[[str, int, int], None]
"""Told what is done, and how many bytes of how many."""
INSTALLER = (layout.INSTALL, *(f"{install.INSTALLER}/{name}.py" for name in install.MODULES))
"""The installer's files, which are copied as they are."""
_SIGNATURE_BYTES = 16 << 10
"""More than a signature, a public key and the digits of part numbers take."""
_LOCK = "making.lock"
_LEAST_CHUNK = 4 << 10


@dataclass(frozen=True)
class BundleOrder:
    """What to make. `part_bytes`: the most bytes of a part; `since`: an earlier bundle, whose chunks are left out;
    `without_tasks`: those of `cra solve`, which people gave about repositories of their own, stay; `root`: the
    checkout."""

    out: Path
    part_bytes: int | None = None
    since: Path | None = None
    extras: tuple[str, ...] = EXTRAS
    with_python: bool = False
    allow_dirty: bool = False
    without_tasks: bool = False
    root: Path = ROOT


@dataclass(frozen=True)
class Made:
    """A bundle that was made: its fingerprint is that of the key, `bytes` of the chunks that are in it."""

    folder: Path
    manifest: BundleManifest
    fingerprint: str
    bytes: int
    left_out: tuple[LeftOut, ...]


def make_bundle(settings: Settings, order: BundleOrder, listen: Listener) -> Made:
    """Write a bundle, whole or not at all. After a kill the same call goes on.

    Raises UsageError for a folder that is not empty, parts that are too small, changes that are not committed, a
    package that does not pass; DiskFull; RegistryError for an earlier bundle that was altered.
    """
    _check_out(order.out)
    draft = order.out.with_name(f".{order.out.name}.part")
    chunk_bytes = _chunk_bytes(order.part_bytes)
    extras = check_extras(order.root, order.extras)
    keys = settings.data_dir / "keys"
    public = public_key(keys)
    earlier = read_earlier(order.since, keys) if order.since else None
    with writing(order.out.parent), process_lock(draft / _LOCK, _busy(order.out)), _removed_if_bare(draft):
        _check_out(order.out)
        making = _Making(
            settings, order, extras, draft, ChunkStore(draft / "chunks", chunk_bytes, _held(earlier)), listen
        )
        manifest = making.write(earlier)
        sign(draft / layout.MANIFEST, keys)
        making.share_out(manifest)
        (draft / _LOCK).unlink()
        if order.out.exists():
            order.out.rmdir()
        os.sync()
        draft.rename(order.out)
    size = sum(chunk.bytes for chunk in manifest.chunks.values() if chunk.part is not None)
    return Made(order.out, manifest, fingerprint(public), size, tuple(making.contents.left_out))


def gather(settings: Settings, order: BundleOrder) -> Contents:
    """What travels as it is on this machine: all but wheels, databases and interpreters, which are made or fetched."""
    found = code_contents(order.root, allow_dirty=order.allow_dirty)
    found.add(data_contents(settings))
    found.add(corpus_contents(settings.corpus))
    found.add(key_contents(settings.data_dir / "keys"))
    return found


def _busy(out: Path) -> Callable[[str], None]:
    def refuse(process: str) -> None:
        raise UsageError(f"--out {out} is being written by process {process}; wait for it, or give another folder")

    return refuse


@contextmanager
def _removed_if_bare(draft: Path) -> Iterator[None]:
    """Remove the folder of a bundle that was refused before anything of use was in it."""
    try:
        yield
    except CleanRoomError:
        if not any(file.is_file() for file in draft.rglob("*") if file.name != _LOCK):
            shutil.rmtree(draft)
        raise


def _check_out(out: Path) -> None:
    if os.path.lexists(out) and (out.is_symlink() or not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out} is there already; give another folder, or remove it")


def _chunk_bytes(part_bytes: int | None) -> int:
    """The most bytes of a chunk: so many fit into a part that little of it stays empty."""
    if part_bytes is None:
        return layout.CHUNK_BYTES
    if part_bytes // 4 < _LEAST_CHUNK:
        raise UsageError(f"--parts {part_bytes}: give at least {4 * _LEAST_CHUNK} bytes")
    return min(layout.CHUNK_BYTES, part_bytes // 4)


def _held(earlier: Earlier | None) -> frozenset[str]:
    return frozenset(earlier.manifest.chunks) if earlier else frozenset()


@dataclass
class _Making:
    """A bundle that is being made in a folder."""

    settings: Settings
    order: BundleOrder
    extras: tuple[str, ...]
    draft: Path
    store: ChunkStore
    listen: Listener
    contents: Contents = field(default_factory=Contents)

    def write(self, earlier: Earlier | None) -> BundleManifest:
        """Write chunks, plain files and the manifest; returns it."""
        self._collect_parts()
        self.contents = self._gather()
        files = dict(self._pack())
        plain = self._write_plain(files, earlier)
        manifest = BundleManifest(
            name="clean-room",
            base=earlier.manifest.id if earlier else None,
            python=PYTHON,
            platform=PLATFORM,
            extras=self.extras,
            part_bytes=self.order.part_bytes,
            files=files,
            folders=tuple(sorted(self.contents.folders)),
            chunks=spread(files, self.store.chunks, self.store.held, None),
            plain=plain,
        )
        if self.order.part_bytes is not None:
            manifest = self._in_parts(manifest, self.order.part_bytes)
        content = layout.spelled(manifest)
        layout.read_manifest(content, "the manifest")
        folder = self.draft / layout.MANIFEST
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / layout.BUNDLE).write_bytes(content)
        shutil.copyfile(public_key(self.settings.data_dir / "keys"), folder / layout.KEY)
        return manifest

    def share_out(self, manifest: BundleManifest) -> None:
        """Move the chunks into the folders of their parts, and delete what was needed on the way."""
        for number in manifest.parts:
            self.listen(f"writing {layout.part_name(number)}", 0, 0)
            folder = self.draft / layout.part_name(number)
            for sha256 in manifest.in_part(number):
                place = folder / layout.chunk_path(sha256)
                place.parent.mkdir(parents=True, exist_ok=True)
                self.store.place(sha256).replace(place)
            if manifest.part_bytes is not None:
                shutil.copytree(self.draft / layout.MANIFEST, folder / layout.MANIFEST)
                for name in manifest.plain:
                    _copy(self.draft / name, folder / name)
        for name in ("chunks", "work"):
            shutil.rmtree(self.draft / name)

    def _collect_parts(self) -> None:
        """Move the chunks that an earlier call had put into parts back, and delete the rest of these."""
        self.store.folder.mkdir(parents=True, exist_ok=True)
        for folder in [each for each in self.draft.iterdir() if layout.PART.fullmatch(each.name)]:
            for file in folder.glob("??/*"):
                place = self.store.place(file.name)
                place.parent.mkdir(parents=True, exist_ok=True)
                file.replace(place)
            shutil.rmtree(folder)

    def _gather(self) -> Contents:
        """All that travels. Databases are copied before data is listed: what their rows name is there by then."""
        work = self.draft / "work"
        work.mkdir(exist_ok=True)
        settings, order = self.settings, self.order
        found, packages = gather(settings, order), packages_of(settings.corpus)
        for done, package in enumerate(packages, 1):
            self.listen(f"checking package {package.name}, {done} of {len(packages)}", 0, 0)
            check_package(package)
        pythons = moved_interpreters(needed_pythons(packages), work) if order.with_python else Contents()
        self._check_space(found.bytes + pythons.bytes + locked_wheels(order.root, self.extras).bytes)
        self.listen("fetching wheels", 0, 0)
        code = Contents([source for source in found.files if source.path.startswith("code/")])
        made = wheel_contents(order.root, self.extras, code, work)
        self.listen("copying databases", 0, 0)
        made.add(copy_databases(settings, work, without_tasks=order.without_tasks))
        made.add(registry_contents(settings, work))
        made.add(pythons)
        made.add(gather(settings, order))
        return made

    def _check_space(self, needed: int) -> None:
        """Raise DiskFull if there is less room than the files take, without what is in the folder already."""
        there = sum(file.stat().st_size for file in self.draft.rglob("*") if file.is_file())
        free = shutil.disk_usage(self.draft).free
        if needed - there > free:
            raise DiskFull(f"{self.order.out} takes {needed - there} bytes more, and {free} are free; free some space")

    def _pack(self) -> Iterator[tuple[str, layout.BundledFile]]:
        total, done = self.contents.bytes, 0
        for source in sorted(self.contents.files):
            self.listen("packing", done, total)
            entry = self.store.add(source)
            done += entry.bytes
            yield source.path, entry
        self.listen("packing", total, total)

    def _write_plain(self, files: dict[str, layout.BundledFile], earlier: Earlier | None) -> dict[str, FileEntry]:
        base = earlier.manifest.id if earlier else None
        others = () if self.order.with_python else further_pythons(packages_of(self.settings.corpus))
        dumps = any(path.endswith(DUMP) for path in files)
        text = guide(PYTHON, PLATFORM, base, others, split=self.order.part_bytes is not None, dumps=dumps)
        (self.draft / layout.GUIDE).write_text(text)
        (self.draft / layout.SBOM).write_bytes(write_sbom(self.order.root, self.extras, files))
        for name in INSTALLER:
            _copy(Path(__file__).parent / name, self.draft / name)
        return {name: _entry(self.draft / name) for name in (layout.GUIDE, layout.SBOM, *INSTALLER)}

    def _in_parts(self, manifest: BundleManifest, part_bytes: int) -> BundleManifest:
        """The manifest with its chunks spread over parts, each with room for copies of it and of the plain files."""
        chunks = manifest.chunks
        longest = manifest.model_copy(
            update={"chunks": {name: each.model_copy(update={"part": 10**9}) for name, each in chunks.items()}}
        )
        taken = len(layout.spelled(longest)) + sum(entry.bytes for entry in manifest.plain.values()) + _SIGNATURE_BYTES
        room = part_bytes - taken
        if room < self.store.chunk_bytes:
            least = -(-(taken * 4) // 3)
            raise UsageError(
                f"--parts {part_bytes}: the manifest and the installer, which are in each part, take {taken} bytes; "
                f"give at least {least}"
            )
        return manifest.model_copy(update={"chunks": spread(manifest.files, self.store.chunks, self.store.held, room)})


def _copy(file: Path, place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(file, place)


def _entry(file: Path) -> FileEntry:
    return FileEntry(bytes=file.stat().st_size, sha256=hash_file(file))
