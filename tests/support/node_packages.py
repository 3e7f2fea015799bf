"""Repo packages of the small JavaScript repositories; they need the package index."""

from pathlib import Path

from harness.mining import mine
from harness.packages.locking import find_environments
from harness.packages.package import RepoPackage, read_package
from harness.packages.prepare import acquire, validate_candidate, write_package
from models.mining import MiningRules
from runtime.trees import Runtime
from tests.support.node_projects import Little


def prepared(little: Little, runtime: Runtime, cache: Path, path: Path) -> RepoPackage:
    """The package of a repository, gold-validated, in `path`/corpus."""
    source = acquire(str(little.write(path / "little.git").directory), path / "corpus")
    mined = mine(source.git, MiningRules())
    packages = source.directory / "packages"
    candidates = find_environments(source.git, mined.commits, packages, cache)
    decided = [validate_candidate(runtime, source.git, each, packages, cache) for each in candidates]
    write_package(source, mined, candidates, [instance for instance, _ in decided], {})
    return read_package(source.directory)
