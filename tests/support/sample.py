"""The repo package of the sample repository, gold-validated."""

from pathlib import Path

from harness.mining import mine
from harness.packages.building import with_builder
from harness.packages.prepare import acquire, find_environment, select, validate_candidate, write_package
from harness.packages.sample import build_sample
from models.manifest import Environment
from runtime.trees import Runtime


def write_sample_package(runtime: Runtime, root: Path) -> None:
    """Write the package to `root`/corpus/spans. Needs the package index."""
    source = acquire(str(build_sample(root / "spans")), root / "corpus")
    mined = mine(source.git)
    known: dict[str, Environment] = {}
    packages, cache = source.directory / "packages", root / "cache"
    found = [find_environment(source.git, commit, known, packages, cache) for commit in select(mined, 3)]
    found = [with_builder(runtime, source.git, each, packages, cache) for each in found]
    instances = [validate_candidate(runtime, source.git, each, packages, cache)[0] for each in found]
    write_package(source, mined, found, instances, {})
