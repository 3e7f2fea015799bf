"""How an arriving package relates to the one of its name in the corpus, and the extension of one by the other."""

import shutil
from pathlib import Path

from harness.packages.package import MANIFEST, RepoPackage, archives_in, read_package, write_atomically
from harness.packages.reach import reaches
from host.process import CommandFailed
from models.errors import ManifestError, PackageRefused
from models.generated import FOLDER
from models.intake import RefusalReason
from models.manifest import Instance, Manifest
from repos.git import Git


def package_here(corpus: Path, name: str) -> RepoPackage | None:
    """The package of a name in the corpus; None if there is none. Raises PackageRefused for an unreadable one."""
    directory = corpus / name
    others = corpus.iterdir() if corpus.is_dir() else iter(())
    if alike := next(
        (each.name for each in others if each.name != name and each.name.casefold() == name.casefold()), ""
    ):
        raise PackageRefused(RefusalReason.NAME_TAKEN, f"the corpus holds {alike}, which some file systems take for it")
    if not (directory / MANIFEST).exists():
        if directory.exists() or directory.is_symlink():
            raise PackageRefused(RefusalReason.NAME_TAKEN, f"{directory} is there and is no repo package; move it away")
        return None
    try:
        return read_package(directory)
    except ManifestError as error:
        raise PackageRefused(RefusalReason.NAME_TAKEN, f"the package here is unusable: {error}") from error


def require_newer(here: RepoPackage, arriving: RepoPackage) -> None:
    """Raise PackageRefused unless the arriving history is that of the package here, or continues it."""
    old, new = here.manifest.head, arriving.manifest.head
    if old == new or _is_ancestor(arriving.git, old, new):
        return
    if _is_ancestor(here.git, new, old):
        raise PackageRefused(
            RefusalReason.DOWNGRADE,
            f"the corpus holds a later state ({old[:12]}) of {here.manifest.name} than {new[:12]}",
        )
    roots = set(_roots(here.git)) & set(_roots(arriving.git))
    if roots:
        raise PackageRefused(
            RefusalReason.REWRITTEN,
            f"the history of {here.manifest.name} was rewritten: {old[:12]}, which the corpus holds, is not in it",
        )
    raise PackageRefused(
        RefusalReason.NAME_TAKEN, f"the corpus holds another repository of the name {here.manifest.name}"
    )


def _is_ancestor(git: Git, commit: str, of: str) -> bool:
    try:
        git.output("merge-base", "--is-ancestor", commit, of)
    except CommandFailed:
        return False
    return True


def _roots(git: Git) -> list[str]:
    return git.text("rev-list", "--max-parents=0", "HEAD").split()


def extend(arriving: RepoPackage, here: RepoPackage) -> RepoPackage:
    """The arriving package, with the instances of the package here that are valid or that it lacks, and what they need.

    What is valid here stays as it is, because runs and evaluation sets refer to it. Files are copied into the arriving
    package, which lies in quarantine. Raises PackageRefused where the same wheel has another content.
    """
    new, old = arriving.manifest, here.manifest
    known = {each.commit for each in new.instances}
    kept = {each.commit: each for each in old.instances if each.valid or each.commit not in known}
    instances = {**{each.commit: each for each in new.instances}, **kept}
    keys = {key for each in kept.values() for key in (each.environment, each.build) if key}
    environments = {each.key: each for each in old.environments if each.key in keys}
    for each in new.environments:
        earlier = environments.get(each.key)  # as in preparing: equal environments of two dates count for the earlier
        environments[each.key] = earlier if earlier is not None and earlier.cutoff < each.cutoff else each
    used = {name for each in environments.values() for name in each.wheels}
    manifest = new.model_copy(
        update={
            "environments": tuple(environments[key] for key in sorted(environments)),
            "wheels": {name: digest for name, digest in _wheels(old, new).items() if name in used},
            "instances": tuple(instances.values()),
        }
    )
    wanted = {*manifest.wheels, *archives_in(manifest)}
    for name in sorted(wanted):
        if not (arriving.wheels / name).exists():
            shutil.copyfile(here.wheels / name, arriving.wheels / name)
    _copy_generated(list(kept.values()), here, arriving)
    package = _with_reaches(RepoPackage(arriving.directory, manifest))
    write_atomically(package.directory / MANIFEST, package.manifest.to_json())
    return package


def _with_reaches(package: RepoPackage) -> RepoPackage:
    """The package, with the days that each environment extends past the parents of all instances that now share it."""
    days = {each.environment.key: each.days for each in reaches(package) if each.environment.days_after is not None}
    environments = tuple(
        each.model_copy(update={"days_after": days[each.key]}) if each.key in days else each
        for each in package.manifest.environments
    )
    manifest = package.manifest.model_copy(update={"environments": environments})
    return RepoPackage(package.directory, manifest)


def _wheels(old: Manifest, new: Manifest) -> dict[str, str]:
    for name in sorted(old.wheels.keys() & new.wheels.keys()):
        if old.wheels[name] != new.wheels[name]:
            raise PackageRefused(
                RefusalReason.UPDATE_CONFLICT, f"{name} has another content than in the package here; prepare it again"
            )
    return dict(sorted({**old.wheels, **new.wheels}.items()))


def _copy_generated(added: list[Instance], here: RepoPackage, arriving: RepoPackage) -> None:
    names = {f"{file.sha256}.py" for each in added if each.generated for file in each.generated.files}
    for name in sorted(names):
        (arriving.directory / FOLDER).mkdir(exist_ok=True)
        shutil.copyfile(here.directory / FOLDER / name, arriving.directory / FOLDER / name)
