"""Storing generated tests in a repo package: the files by content, and the instances that they make valid."""

from collections.abc import Mapping

from harness.packages.package import MANIFEST, RepoPackage, read_manifest, read_package, write_atomically
from models.errors import ManifestError
from models.generated import FOLDER
from models.manifest import Instance
from store.texts import sha256


def store_files(package: RepoPackage, files: Mapping[str, str]) -> None:
    """Write generated test modules, each under the hash of its content. Raises InfrastructureError."""
    for text in files.values():
        write_atomically(package.directory / FOLDER / f"{sha256(text)}.py", text)


def store_instance(package: RepoPackage, instance: Instance) -> RepoPackage:
    """Add an instance whose tests are stored to the manifest; returns the updated package.

    Raises ManifestError if the package was prepared again meanwhile and lacks the commit, or the tests are missing.
    """
    manifest = read_manifest(package.directory)
    if all(each.instance_id != instance.instance_id for each in manifest.instances):
        raise ManifestError(f"{package.directory} no longer holds {instance.instance_id}; was it prepared again?")
    instances = tuple(instance if each.instance_id == instance.instance_id else each for each in manifest.instances)
    text = manifest.model_copy(update={"instances": instances}).to_json()
    write_atomically(package.directory / MANIFEST, text)
    return read_package(package.directory)
