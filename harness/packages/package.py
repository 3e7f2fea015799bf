"""Repo packages on disk: `repo/` (a bare clone), `packages/` (wheels), `generated/` (tests that a teacher wrote, if
any), `manifest.json`; and `timings.json`."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.packages.checks import ManifestFinding, clone_findings, manifest_findings, parse_manifest, shown
from harness.packages.checks.reading import read_bounded
from models.errors import EnvironmentFault, InfrastructureError, ManifestError, WheelError
from models.files import Overlay
from models.generated import FOLDER, GeneratedFile
from models.manifest import NODE, Instance, InvalidReason, Manifest
from repos.git import Git
from repos.index.paths import is_test_path
from repos.trees import inside
from runtime.environments import check_together, check_wheel, environment_identity, known_sha256
from runtime.environments.node import parse_lock
from runtime.environments.node.archives import check_archive
from runtime.trees import Provisioned, Runtime, provisioned

MANIFEST = "manifest.json"
TIMINGS = "timings.json"


@dataclass(frozen=True)
class RepoPackage:
    """A repo package that was read and validated."""

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

    def identity_of(self, instance: Instance) -> str | None:
        """The content identity of an instance's environment and of that of its build, if it has one."""
        found = self.environment_identity(instance.environment)
        return f"{found}+{self.environment_identity(instance.build)}" if found and instance.build else found

    def provisioned(self, runtime: Runtime, instance: Instance) -> AbstractContextManager[Provisioned]:
        """Keep an instance's environment in use. Raises EnvironmentFault, WheelError."""
        assert instance.environment is not None, "only instances with an environment are run"
        builder = self.manifest.environment(instance.build) if instance.build else None
        environment = self.manifest.environment(instance.environment)
        return provisioned(runtime, environment, self.wheels, instance.version, builder)

    def environment_identity(self, key: str | None) -> str | None:
        """The content identity of the environment that the manifest lists under `key`; None for None.

        It is derived from the lock and from the wheels in the package. Raises WheelError for a missing one, KeyError
        for an unknown environment.
        """
        if key is None:
            return None
        environment = self.manifest.environment(key)
        return environment_identity(
            environment, {name: known_sha256(self.wheels / name) for name in environment.wheels}
        )


def read_package(directory: Path) -> RepoPackage:
    """The repo package in a directory.

    Raises ManifestError when there is none, when its manifest is of another version or has an invalid field, when its
    clone has foreign files, missing commits or damaged objects, or when generated tests are missing. Values derived
    from content (keys, parents) are recomputed and compared.
    """
    package = RepoPackage(directory, read_manifest(directory))
    if finding := next(_further_findings(package), None):
        raise ManifestError(_message(directory, finding))
    return package


def package_findings(directory: Path) -> list[ManifestFinding]:
    """All faults of a package, its wheels included. Nothing of it is run.

    Raises ManifestError when there is no readable manifest.
    """
    manifest, findings = parse_manifest(directory / MANIFEST, read_bounded(directory / MANIFEST))
    if manifest is None:
        return findings
    found = list(manifest_findings(manifest))
    if found:  # the checks below open files that the manifest names
        return found
    package = RepoPackage(directory, manifest)
    return [*_further_findings(package), *_wheel_findings(package)]


def _message(directory: Path, finding: ManifestFinding) -> str:
    if finding.field == "repo":
        return f"{directory}/repo: {finding.why}; {finding.remedy}"
    return f"{directory}: {finding}"


def _further_findings(package: RepoPackage) -> Iterator[ManifestFinding]:
    yield from clone_findings(package.directory, package.manifest)
    for index, instance in enumerate(package.manifest.instances):
        try:
            generated_tests(package, instance)
        except EnvironmentFault as error:
            why, _, remedy = str(error).partition("; ")
            yield ManifestFinding(f"instances.{index}.generated", shown(instance.instance_id), why, remedy)


def _wheel_findings(package: RepoPackage) -> Iterator[ManifestFinding]:
    for name, sha256 in sorted(package.manifest.wheels.items()):
        try:
            check_wheel(package.wheels / name, sha256)
        except WheelError as error:
            yield ManifestFinding(f"wheels.{name}", "", str(error))
    archives = archives_in(package.manifest)
    for name, sha512 in sorted(archives.items()):
        try:
            check_archive(package.wheels / name, sha512)
        except WheelError as error:
            yield ManifestFinding(f"packages.{name}", "", str(error))
    if package.wheels.is_dir():
        known = package.manifest.wheels.keys() | archives.keys()
        for stray in sorted({entry.name for entry in package.wheels.iterdir()} - known):
            yield ManifestFinding("packages", shown(stray), "is not among the manifest's wheels", "remove it")
    for index, environment in enumerate(package.manifest.environments):
        try:
            check_together({package.wheels / name: package.manifest.wheels[name] for name in environment.wheels})
        except WheelError as error:
            yield ManifestFinding(f"environments.{index}.wheels", "", str(error))


def generated_tests(package: RepoPackage, instance: Instance) -> Overlay:
    """The tests that a teacher wrote for an instance, as files over a tree; empty for most.

    Raises EnvironmentFault for a file that is missing, differs from the manifest's hash, or would not be a test file.
    """
    files = instance.generated.files if instance.generated else ()
    return {file.path: (_generated(package.directory / FOLDER, file), False) for file in files}


def _generated(folder: Path, file: GeneratedFile) -> bytes:
    path = folder / f"{file.sha256}.py"
    if not inside(file.path) or not is_test_path(file.path) or not file.path.endswith(".py"):
        raise EnvironmentFault(f"generated tests at {file.path!r} would not be a test file; run `cra supplement` again")
    if folder.is_symlink() or path.is_symlink() or not path.is_file():
        raise EnvironmentFault(f"generated tests {path.name} are missing; run `cra supplement` again")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise EnvironmentFault(f"generated tests {path.name} have another content; run `cra supplement` again")
    return content


def with_supplements(instances: Sequence[Instance], before: Manifest) -> tuple[Instance, ...]:
    """Newly prepared instances, with the generated tests of the previous package where they still fit.

    They fit when everything about the instance that the trial depends on is unchanged.
    """
    known = {_bare(each): each for each in before.instances if each.generated is not None}
    bare = ((each, each.model_copy(update={"cause": None}).model_dump_json()) for each in instances)
    return tuple(known.get(text, each) for each, text in bare)


def _bare(instance: Instance) -> str:
    """A supplemented instance without its supplement, as text."""
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
    manifest, findings = parse_manifest(path, read_bounded(path))
    finding = findings[0] if manifest is None else next(manifest_findings(manifest), None)
    if finding is not None or manifest is None:
        raise ManifestError(f"{path}: {finding}")
    return manifest


def check_wheels(package: RepoPackage) -> None:
    """Raise WheelError for the first wheel that is missing, has another hash, or cannot be unpacked safely; and for the
    first archive of a Node.js package that is missing or has another hash."""
    for name, sha256 in sorted(package.manifest.wheels.items()):
        check_wheel(package.wheels / name, sha256)
    for name, sha512 in sorted(archives_in(package.manifest).items()):
        check_archive(package.wheels / name, sha512)


def archives_in(manifest: Manifest) -> dict[str, str]:
    """File name -> SHA-512 of the archives of Node.js packages that a manifest's environments need."""
    found: dict[str, str] = {}
    for environment in manifest.environments:
        if environment.language == NODE:
            found |= parse_lock(environment.lock).archives
    return found


def write_atomically(path: Path, text: str) -> None:
    """Write a file atomically: a reader sees the old text or the new one. Raises InfrastructureError."""
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
            f"{path} cannot be written: {error.strerror}; free disk space or correct its permissions"
        ) from error
