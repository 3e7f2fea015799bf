"""Repo packages on disk: `repo/` (a bare clone), `packages/` (wheels), `generated/` (tests that a teacher wrote, if
any), `manifest.json`; `timings.json` beside it."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.environments import check_wheel
from harness.git import Git, foreign_part
from harness.mining.paths import is_test_path
from harness.trees import Overlay, inside
from models.errors import EnvironmentFault, InfrastructureError, ManifestError, WheelError
from models.generated import FOLDER, GeneratedFile
from models.manifest import SCHEMA_VERSION, Instance, InvalidReason, Manifest

MANIFEST = "manifest.json"
TIMINGS = "timings.json"


@dataclass(frozen=True)
class RepoPackage:
    """A package that was read and found whole."""

    directory: Path
    manifest: Manifest

    @property
    def git(self) -> Git:
        """The package's clone."""
        return Git(self.directory / "repo")

    @property
    def wheels(self) -> Path:
        """The folder of wheels."""
        return self.directory / "packages"

    @property
    def identity(self) -> str:
        """Hash of the manifest and, through it, of wheels and commit ids."""
        return self.manifest.identity()


def read_package(directory: Path) -> RepoPackage:
    """The repo package in a directory.

    Raises ManifestError when there is none, when its manifest is of another version, has unknown or missing fields, or
    names commits that the clone lacks or generated tests that are not there.
    """
    manifest = read_manifest(directory)
    package = RepoPackage(directory, manifest)
    if not (directory / "repo" / "HEAD").is_file():
        raise ManifestError(f"{directory}: no clone in repo/; prepare the package again")
    if foreign := foreign_part(directory / "repo"):
        raise ManifestError(f"{directory}/repo: {foreign}; git is not run in it, prepare the package again")
    commits = {c for i in manifest.instances for c in (i.commit, i.base_commit)} | {manifest.head}
    checked = package.git.output("cat-file", "--batch-check", stdin="".join(f"{c}\n" for c in sorted(commits)).encode())
    for line in checked.decode().splitlines():
        if " commit " not in f"{line} ":
            raise ManifestError(f"{directory}: repo/ lacks commit {line.split()[0]}; prepare the package again")
    for instance in manifest.instances:
        try:
            generated_tests(package, instance)
        except EnvironmentFault as error:
            raise ManifestError(f"{directory}: {instance.instance_id}: {error}") from error
    return package


def generated_tests(package: RepoPackage, instance: Instance) -> Overlay:
    """The tests that a teacher wrote for an instance, as files over a tree; empty for most.

    Raises EnvironmentFault for a file that is not there, is not what the manifest says, or would not be a test file.
    """
    files = instance.generated.files if instance.generated else ()
    return {file.path: (_generated(package.directory / FOLDER, file), False) for file in files}


def _generated(folder: Path, file: GeneratedFile) -> bytes:
    path = folder / f"{file.sha256}.py"
    if not inside(file.path) or not is_test_path(file.path) or not file.path.endswith(".py"):
        raise EnvironmentFault(f"generated tests at {file.path!r} would not be a test file; run `cra supplement` again")
    if path.is_symlink() or not path.is_file():
        raise EnvironmentFault(f"generated tests {path.name} are missing; run `cra supplement` again")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise EnvironmentFault(f"generated tests {path.name} have another content; run `cra supplement` again")
    return content


def with_supplements(instances: Sequence[Instance], before: Manifest) -> tuple[Instance, ...]:
    """Instances that were prepared anew, with the generated tests of the package before where they still fit.

    They do when nothing about the instance has changed that the tests were tried under.
    """
    known = {_bare(each): each for each in before.instances if each.generated is not None}
    return tuple(known.get(each.model_dump_json(), each) for each in instances)


def _bare(instance: Instance) -> str:
    """A supplemented instance as it was before, as text."""
    assert instance.generated is not None
    return instance.model_copy(
        update={
            "fail_to_pass": (),
            "pass_to_pass": (),
            "excluded": (),
            "reason": InvalidReason(instance.generated.instead_of),
            "detail": instance.generated.instead_of_detail,
            "generated": None,
        }
    ).model_dump_json()


def read_manifest(directory: Path) -> Manifest:
    """The manifest alone. Raises ManifestError, naming the first field that does not fit."""
    path = directory / MANIFEST
    try:
        raw = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ManifestError(
            f"{directory} is no repo package: {MANIFEST} is missing; make one with `cra prepare`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    try:
        version = json.loads(raw).get("schema_version")
    except (json.JSONDecodeError, AttributeError) as error:
        raise ManifestError(f"{path} is not a JSON object: {error}; prepare the package again") from error
    if version != SCHEMA_VERSION:
        raise ManifestError(
            f"{path} has schema version {version!r}, this program reads {SCHEMA_VERSION}; prepare it again"
        )
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ManifestError(f"{path}: {where}: {first['msg']}; prepare the package again") from error


def check_wheels(package: RepoPackage) -> None:
    """Raises WheelError for the first wheel that is missing, has another hash, or could be read in two ways."""
    for name, sha256 in sorted(package.manifest.wheels.items()):
        if Path(name).name != name:
            raise WheelError(f"{package.directory}: wheel name {name!r} leaves packages/; prepare the package again")
        check_wheel(package.wheels / name, sha256)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part. Raises InfrastructureError."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
        raise InfrastructureError(
            f"{path} cannot be written: {error.strerror}; free disk space or mend permissions"
        ) from error
