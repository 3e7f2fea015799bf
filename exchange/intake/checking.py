"""Checks of a package's files in the order of their cost; nothing of the package is run."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from harness.packages.checks import manifest_findings, parse_manifest, shown
from harness.packages.checks.arriving_clone import (
    check_clone_files,
    check_object_sizes,
    check_packed_refs,
    check_refs,
    check_submodules,
)
from harness.packages.checks.arriving_plugins import check_plugins, plugins_of
from harness.packages.checks.arriving_trees import check_trees
from harness.packages.checks.arriving_wheels import check_fit, check_wheel_roles, check_wheel_set
from harness.packages.checks.clone import missing_commits
from harness.packages.checks.reading import read_bounded
from harness.packages.checks.tree import TreeFile, bad_name, check_holes, check_layout, check_names, check_starts
from harness.packages.package import MANIFEST, RepoPackage, archives_in, read_package
from harness.packages.reach import misstated_reaches, self_provided
from models.errors import (
    CleanRoomError,
    InfrastructureError,
    ManifestError,
    PackageRefused,
    RepositoryError,
    WheelError,
)
from models.generated import FOLDER
from models.intake import CheckOutcome, IntakeSettings, RefusalReason
from models.manifest import Manifest
from repos.git import Git
from repos.strict_clone import strict_clone
from runtime.environments import check_together, check_wheel
from runtime.environments.node.archives import check_archive

_DAYS_AHEAD = 31
"""Days that clocks may differ."""
Stage = Callable[[str], None]
"""Called with the name of each check as it begins."""


@dataclass
class CheckLog:
    """The checks of one package so far; `stage` is told the name of each."""

    stage: Stage
    outcomes: list[CheckOutcome] = field(default_factory=list)

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Record a check with its seconds and whether it passed."""
        self.stage(name)
        started, passed = time.monotonic(), False
        try:
            yield
            passed = True
        finally:
            seconds = round(time.monotonic() - started, 3)
            self.outcomes.append(CheckOutcome(check=name, passed=passed, seconds=seconds))


def check_listing(log: CheckLog, entries: Sequence[TreeFile]) -> None:
    """Check names, layout and declared sizes of a tree before anything of it is read. Raises PackageRefused."""
    with log.check("names"):
        check_names(entries)
    with log.check("layout"):
        check_layout(entries)
        check_holes(entries)


def check_manifest(log: CheckLog, directory: Path) -> Manifest:
    """The manifest of a package, each value of it checked. Raises PackageRefused."""
    path = directory / MANIFEST
    with log.check("schema"):
        try:
            manifest, findings = parse_manifest(Path(MANIFEST), read_bounded(path))
        except ManifestError as error:
            raise PackageRefused(RefusalReason.SCHEMA, str(error).replace(str(path), MANIFEST)) from error
        if manifest is None:
            raise PackageRefused(RefusalReason.SCHEMA, f"{MANIFEST}: {findings[0]}")
    with log.check("manifest"):
        if finding := next(manifest_findings(manifest), None):
            raise PackageRefused(RefusalReason.MANIFEST, f"{MANIFEST}: {finding}")
        _check_name(manifest.name)
        _check_days(manifest)
        _check_ids(manifest)
    return manifest


def check_files_named(log: CheckLog, entries: Sequence[TreeFile], manifest: Manifest) -> None:
    """Check that the files listed are those that the manifest names, by their names alone. Raises PackageRefused."""
    with log.check("files"):
        folders = {kind: {each.path.partition("/")[2] for each in entries if each.path.startswith(f"{kind}/")}
                   for kind in ("packages", FOLDER)}  # fmt: skip
        check_wheel_set(folders["packages"], {*manifest.wheels, *archives_in(manifest)})
        known = {f"{file.sha256}.py" for each in manifest.instances if each.generated for file in each.generated.files}
        if stray := sorted(folders[FOLDER] - known):
            raise PackageRefused(
                RefusalReason.FOREIGN_FILE, f"{FOLDER}/{shown(stray[0])} is not in the manifest; remove it"
            )


def _check_name(name: str) -> None:
    """The package's name becomes a folder of the corpus, beside the hidden ones that are this program's own."""
    if why := "is a hidden folder's" if name.startswith(".") else bad_name(name):
        raise PackageRefused(RefusalReason.MANIFEST, f"the name {shown(name)} {why}; prepare it under another name")


def _check_days(manifest: Manifest) -> None:
    """No release of an environment can be from a day to come."""
    most = date.today() + timedelta(days=_DAYS_AHEAD)
    for environment in manifest.environments:
        if date.fromisoformat(environment.cutoff) > most:
            raise PackageRefused(
                RefusalReason.MANIFEST,
                f"an environment's releases go to {environment.cutoff}, after today ({date.today()}); "
                "check the clock of both machines",
            )


def _check_ids(manifest: Manifest) -> None:
    for instance in manifest.instances:
        if instance.instance_id != f"{manifest.name}__{instance.commit[:12]}":
            raise PackageRefused(
                RefusalReason.IDENTITY,
                f"instance {shown(instance.instance_id)} is not named after its package and commit; prepare it again",
            )


def check_content(
    log: CheckLog, directory: Path, manifest: Manifest, entries: Sequence[TreeFile], limits: IntakeSettings, copy: Path
) -> RepoPackage:
    """Check all files of a package; its history is cloned to `copy`, object by object. Raises PackageRefused."""
    with log.check("kinds"):
        check_starts(directory, entries)
        _check_generated(directory)
    with log.check("wheels"):
        _check_wheels(directory, manifest, limits)
    with log.check("git-files"):
        check_clone_files(directory / "repo")
        check_packed_refs(directory / "repo")
    with log.check("git-sizes"):
        check_object_sizes(Git(directory / "repo"), limits)
    with log.check("git-refs"):
        check_refs(Git(directory / "repo"))
    with log.check("git-objects"):
        _check_history(directory / "repo", manifest, limits, copy)
    with log.check("identity"):
        return _check_identity(directory)


def _check_generated(directory: Path) -> None:
    folder = directory / FOLDER
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            path.read_bytes().decode()  # at most 64 KiB
        except UnicodeDecodeError as error:
            raise PackageRefused(
                RefusalReason.FOREIGN_FILE, f"{FOLDER}/{path.name} is no text in UTF-8; prepare the package again"
            ) from error


def _check_wheels(directory: Path, manifest: Manifest, limits: IntakeSettings) -> None:
    archives, wheels = archives_in(manifest), directory / "packages"
    check_fit(manifest)
    total = 0
    plugins: dict[str, tuple[str, ...]] = {}
    try:
        for name, sha256 in sorted(manifest.wheels.items()):
            check_wheel(wheels / name, sha256)
            total += check_wheel_roles(wheels / name)
            plugins[name] = plugins_of(wheels / name)
            if total > limits.max_unpacked:
                raise PackageRefused(
                    RefusalReason.TOO_LARGE,
                    f"the wheels unpack to over {limits.max_unpacked} bytes (intake.max_unpacked)",
                )
        for name, sha512 in sorted(archives.items()):
            check_archive(wheels / name, sha512)
        for environment in manifest.environments:
            check_together({wheels / name: manifest.wheels[name] for name in environment.wheels})
            check_plugins((name, plugins[name]) for name in environment.wheels)
    except WheelError as error:
        raise PackageRefused(RefusalReason.WHEEL, str(error).replace(str(directory), manifest.name)) from error


def _check_history(repo: Path, manifest: Manifest, limits: IntakeSettings, copy: Path) -> None:
    try:
        git = strict_clone(repo, copy)
    except (RepositoryError, InfrastructureError) as error:
        raise PackageRefused(RefusalReason.GIT_OBJECTS, str(error)) from error
    check_trees(git, limits)
    check_submodules(git)
    if missing := missing_commits(git, manifest):
        raise PackageRefused(
            RefusalReason.IDENTITY, f"no branch or tag of repo leads to commit {missing[0][:12]}; prepare it again"
        )
    try:
        head = git.resolve("HEAD")
    except RepositoryError as error:
        raise PackageRefused(RefusalReason.GIT_REFS, "HEAD of repo names no commit; prepare it again") from error
    if head != manifest.head:
        raise PackageRefused(
            RefusalReason.IDENTITY,
            f"the manifest's head is {manifest.head[:12]}, the clone's {head[:12]}; prepare it again",
        )


def _check_identity(directory: Path) -> RepoPackage:
    """The package; what it says is compared with what its content says."""
    try:
        package = read_package(directory)
        findings = misstated_reaches(package)
        shadowing = [] if findings else self_provided(package)
    except PackageRefused:
        raise
    except CleanRoomError as error:
        text = str(error).replace(f"{directory}/", "").replace(str(directory), "package")
        raise PackageRefused(RefusalReason.IDENTITY, text) from error
    if findings:
        raise PackageRefused(RefusalReason.IDENTITY, str(findings[0]))
    if shadowing:
        raise PackageRefused(RefusalReason.WHEEL_SHADOWS, str(shadowing[0]))
    return package
