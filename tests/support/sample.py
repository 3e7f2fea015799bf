"""The repo package of the sample repository, gold-validated, and that of another one, whose names are others."""

from importlib.resources import files
from pathlib import Path

from harness.mining import mine
from harness.packages import sample
from harness.packages.building import with_builder
from harness.packages.prepare import acquire, find_environment, select, validate_candidate, write_package
from harness.packages.sample import build_sample
from host.process import run
from models.manifest import Environment
from repos.git import Git
from runtime.trees import Runtime

_OTHER_NAMES = {
    "seconds": "farming", "minutes": "hundred", "hours": "goats", "weeks": "sheep", "days": "cows", "span": "word",
    "duration": "quantity", "parse": "study", "total": "whole", "unit": "kind", "number": "amount",
    "token": "piece", "people": "nobody", "example": "another", "sample": "second",
}  # fmt: skip
"""Of the same length each, so that the sizes in the history hold."""


def write_sample_package(runtime: Runtime, root: Path, other: bool = False) -> None:
    """Write the package to `root`/corpus/spans, or that of the `other` sample to `root`/corpus/words. Needs the package
    index."""
    repository = build_other_sample(root / "words") if other else build_sample(root / "spans")
    source = acquire(str(repository), root / "corpus")
    mined = mine(source.git)
    known: dict[str, Environment] = {}
    packages, cache = source.directory / "packages", root / "cache"
    found = [find_environment(source.git, commit, known, packages, cache) for commit in select(mined, 3)]
    found = [with_builder(runtime, source.git, each, packages, cache) for each in found]
    instances = [validate_candidate(runtime, source.git, each, packages, cache)[0] for each in found]
    write_package(source, mined, found, instances, {})


def build_other_sample(directory: Path) -> Path:
    """A repository with other names for nearly all things, so that it is no copy of the sample."""
    directory.mkdir(parents=True)
    history = files(sample).joinpath("spans.fast-export").read_bytes()
    for old, new in _OTHER_NAMES.items():
        history = history.replace(old.encode(), new.encode()).replace(old.title().encode(), new.title().encode())
        history = history.replace(old.upper().encode(), new.upper().encode())
    for wrong, right in ((b"argstudy", b"argparse"), (b"Studyr", b"Parser"), (b"study_args", b"parse_args")):
        history = history.replace(wrong, right)
    run(["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(directory)])
    Git(directory).output("fast-import", "--quiet", stdin=history)
    return directory
