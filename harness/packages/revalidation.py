"""Gold validation of a package's instances on this machine, from the history alone: what a manifest claims of a commit
is derived again, and only what is seen here counts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.mining import Mined, add_symbols, mine
from harness.packages.gold_validation import GoldEffort
from harness.packages.locking import CommitCandidate
from harness.packages.package import RepoPackage
from harness.packages.prepare import not_tried, validate_candidate
from models.manifest import Commit, Instance, InvalidReason
from models.mining import MiningRules
from runtime.trees import Runtime

_ANY_SIZE = MiningRules(max_files=10**6, max_lines=10**9, min_words=1)
"""Sizes are a choice of the machine that prepared the package; what a commit is, is not."""
_EVIDENCE = frozenset({"excluded", "detail", "cause", "sampled"})
"""Fields whose texts may differ between two validations with the same result."""


def mined_commits(package: RepoPackage, instances: Sequence[Instance]) -> dict[str, Commit]:
    """The commits of instances as mining reads them here, with their symbols; those that mining drops are missing."""
    wanted = {each.commit for each in instances}
    mined = mine(package.git, _ANY_SIZE, with_symbols=False)
    found = tuple(each for each in (*mined.commits, *mined.aside) if each.sha in wanted)
    chosen = Mined(mined.funnel, found, (), (), ())
    return {each.sha: each for each in add_symbols(package.git, chosen).commits}


def not_mined(instance: Instance) -> Instance:
    """An instance whose commit mining does not keep here: it is not in the corpus."""
    return instance.model_copy(
        update={
            "reason": InvalidReason.UNSUPPORTED_CHANGE,
            "detail": "mining does not keep the commit here: it is a merge, a release, or has no code",
            "fail_to_pass": (),
            "pass_to_pass": (),
            "generated": None,
            "cause": None,
        }
    )


def revalidate(
    runtime: Runtime,
    package: RepoPackage,
    instance: Instance,
    commit: Commit,
    cache: Path,
    effort: GoldEffort,
    used_up: float = 0.0,
) -> tuple[Instance, dict[str, float]]:
    """A claimed instance as gold validation finds it here, and the seconds of its runs; the claim itself where both
    agree in everything but the words. It is not tried if the minutes of the package are `used_up`.

    A task that a model wrote is kept, as no history has it. Raises InfrastructureError.
    """
    if instance.environment is None:
        return instance, {}
    builder = package.manifest.environment(instance.build) if instance.build else None
    environment = package.manifest.environment(instance.environment)
    candidate = CommitCandidate(commit, instance.version, environment, builder=builder)
    if used_up:
        return not_tried(package.git, candidate, used_up), {}
    effort = replace(effort, sampled=instance.sampled)
    seen, seconds = validate_candidate(runtime, package.git, candidate, package.wheels, cache, effort)
    if instance.message is not None:
        seen = seen.model_copy(update={"task": instance.task, "message": instance.message})
    same = seen.model_dump(exclude=set(_EVIDENCE)) == instance.model_dump(exclude=set(_EVIDENCE))
    return (instance if same else seen), seconds
