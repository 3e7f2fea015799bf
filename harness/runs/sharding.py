"""Shards of a campaign: groups of instances large enough that the start of a worker's process hardly counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from harness.packages.package import RepoPackage, read_package
from harness.planners.registry import TEAMS
from harness.runs.attempt import InstanceContext
from harness.runs.campaign_context import Assignment, CampaignContext, valid_instances
from models.campaign_settings import Grid
from models.errors import UsageError
from models.shards import PackageReference
from runtime.trees import Runtime
from store.runs import digest

_GUESS = {True: 20.0, False: 5.0}
"""Seconds of a trajectory, of planners with a model and without, while none was measured."""


@dataclass(frozen=True)
class Shard:
    """Instances of one package (by its folder), and the keys of their trajectories."""

    package: str
    instances: tuple[str, ...]
    trajectories: tuple[str, ...]


def make_shards(
    todo: Sequence[Assignment], grid: Grid, seconds: Mapping[str, float], at_a_time: int, least: float
) -> list[Shard]:
    """Shards of a campaign's trajectories, which come grouped by package and instance.

    `seconds` are the mean durations of trajectories by planner; `at_a_time` is how many a worker runs; `least` are the
    seconds that a shard should take one worker.
    """
    of_one = sum(seconds.get(draw.planner, _GUESS[draw.planner in TEAMS]) for draw in grid.draws(frozenset(TEAMS)))
    size = max(1, math.ceil(least * at_a_time / max(of_one, 1e-3)))
    shards = []
    for folder, of_package in groupby(todo, key=lambda each: each.instance_context.package.directory.name):
        by_instance = [
            (name, tuple(each.key for each in group))
            for name, group in groupby(of_package, key=lambda each: each.instance_context.instance.instance_id)
        ]
        for start in range(0, len(by_instance), size):
            chosen = by_instance[start : start + size]
            keys = tuple(key for _, found in chosen for key in found)
            shards.append(Shard(folder, tuple(name for name, _ in chosen), keys))
    return shards


def planner_hashes(package: RepoPackage, grid: Grid, context: CampaignContext, runtime: Runtime) -> dict[str, str]:
    """The hash of each planner's identity on this machine. The package has a valid instance."""
    instance_context = InstanceContext(runtime, package, valid_instances(package, grid)[0])
    return {name: digest("planner", context.planner(name, instance_context).identity) for name in grid.planners}


def open_referenced(corpus: Path, reference: PackageReference) -> RepoPackage:
    """The package of a reference in this machine's corpus.

    Raises UsageError if the folder is missing or holds another package, and ManifestError if it is broken.
    """
    directory = corpus / reference.folder
    if directory.name != reference.folder or directory.name == ".." or not directory.is_dir():
        raise UsageError(f"no repo package {reference.folder!r} in {corpus}; copy it there, or set CRA_CORPUS_DIR")
    package = read_package(directory)
    if package.identity != reference.identity:
        raise UsageError(
            f"{directory} is package {package.identity[:12]}, and the campaign runs on {reference.identity[:12]}; "
            "copy that one to this machine, or set CRA_CORPUS_DIR"
        )
    return package
