"""Archives of npm packages: kept by hash, checked, and unpacked as npm does it."""

import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from models.errors import EnvironmentFault, WheelError
from runtime.environments.node.lockfile import archive_name, digests

_MOST_BYTES = 2 << 30
_MOST_FILES = 200_000


def collect(integrity: str, cache: Path, packages: Path) -> str | None:
    """Copy the archive with an integrity text from npm's cache into a folder; its SHA-512, or None if it is not there.

    npm keeps each archive under its own hash, which is compared.
    """
    for algorithm, digest in digests(integrity):
        content = cache / "_cacache" / "content-v2" / algorithm / digest[:2] / digest[2:4] / digest[4:]
        if not content.is_file():
            continue
        data = content.read_bytes()
        if hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() != digest:
            continue
        sha512 = hashlib.sha512(data).hexdigest()
        target = packages / archive_name(sha512)
        if not target.is_file():
            packages.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=packages, prefix=".fetch-", delete=False) as file:
                file.write(data)
            Path(file.name).chmod(0o644)
            Path(file.name).replace(target)
        return sha512
    return None


def check_archive(path: Path, sha512: str) -> None:
    """Raise WheelError for an archive that is missing, no plain file, or has another hash."""
    if path.is_symlink() or not path.is_file():
        raise WheelError(f"{path.name} is missing from {path.parent}; run `cra prepare` again")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha512").hexdigest() != sha512:
            raise WheelError(f"{path.name} has another SHA-512 than the lock ({sha512[:12]}...); fetch it again")


def unpack(path: Path, destination: Path) -> None:
    """Unpack an archive without its topmost folder. Links and devices are left out, as npm does.

    Raises EnvironmentFault for a damaged archive, one that leads outside, or one that is too large.
    """
    taken = count = 0
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                parts = [part for part in member.name.split("/") if part not in ("", ".")][1:]
                if not member.isfile() or not parts:
                    continue
                taken, count = taken + member.size, count + 1
                if ".." in parts or "\\" in member.name or taken > _MOST_BYTES or count > _MOST_FILES:
                    raise EnvironmentFault(
                        f"{path.name} cannot be unpacked: {member.name[:80]!a} leads outside or is too much"
                    )
                _write(archive, member, destination.joinpath(*parts))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise EnvironmentFault(f"{path.name} cannot be unpacked: {error}") from error


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None, "the member is a regular file"
    target.unlink(missing_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def link_tree(source: Path, target: Path) -> None:
    """Hard-link all files below a folder to another."""
    for current, folders, files in os.walk(source):
        place = target / Path(current).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        folders.sort()
        for name in files:
            os.link(Path(current, name), place / name)
