"""Tasks of the prepare flow: clone, mine, environments, and gold validation, one task per commit."""

from pathlib import Path

from harness.mining import Mined, mine
from harness.packages import locking
from harness.packages.building import with_builder
from harness.packages.locking import CommitCandidate
from harness.packages.prepare import ClonedSource, acquire, validate_candidate
from models.manifest import Commit, Instance
from models.mining import MiningRules
from repos.git import Git
from runtime.trees import Runtime
from tasks.define import engine_task


@engine_task("clone {source}")
def clone_source(source: str, corpus: Path) -> ClonedSource:
    """Clone a source into the corpus."""
    return acquire(source, corpus)


@engine_task("mine {name}", retries=0)
def mine_commits(name: str, git: Git, rules: MiningRules) -> Mined:
    """Mine a clone's history."""
    return mine(git, rules)


@engine_task("environments of {name}")
def find_environments(
    name: str, runtime: Runtime, git: Git, commits: list[Commit], packages: Path, cache: Path
) -> list[CommitCandidate]:
    """Lock and fetch what the commits and their builds need; those of one time with the same requirements share an
    environment."""
    found = locking.find_environments(git, commits, packages, cache)
    return [with_builder(runtime, git, candidate, packages, cache) for candidate in found]


@engine_task("{label}")
def validate_commit(
    label: str, runtime: Runtime, git: Git, candidate: CommitCandidate, packages: Path, cache: Path
) -> tuple[Instance, dict[str, float]]:
    """Gold-validate one commit."""
    return validate_candidate(runtime, git, candidate, packages, cache)
