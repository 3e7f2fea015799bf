"""The prepare flow: a repository becomes a repo package."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from prefect import flow, tags
from prefect.artifacts import create_table_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.progress import progress_listener
from flows.window import completed
from harness.packages.gold_validation import GoldEffort
from harness.packages.locking import CommitCandidate
from harness.packages.package import TIMINGS, RepoPackage, read_package
from harness.packages.prepare import ClonedSource, not_tried, select, write_package
from host.settings import load_settings
from models.errors import InfrastructureError
from models.manifest import Instance, Manifest
from models.settings import Settings
from runtime.trees import Runtime
from tasks.define import opaque_argument
from tasks.prepare import clone_source, find_environments, mine_commits, record_twins, validate_commit
from tasks.runtime import open_runtime

Timings = dict[str, dict[str, float]]
"""Seconds of each test run, by instance and run."""

Validated = tuple[Instance, dict[str, float]]

_WORTH_SAYING = 2.0
"""Minutes that are left from which on they are announced."""


@flow(name="prepare", flow_run_name="prepare {source}", persist_result=False)
def prepare(
    source: str,
    corpus: Path | None = None,
    max_commits: Annotated[int, Field(ge=1)] = 50,
    sandbox: str | None = None,
    commit_minutes: Annotated[float | None, Field(gt=0)] = None,
    repository_minutes: Annotated[float | None, Field(gt=0)] = None,
) -> Manifest:
    """Make the repo package of one repository under `corpus` and return its manifest.

    A commit that cannot be validated stays in the manifest with its reason; the flow fails only when the
    repository itself cannot be read.

    Args:
        source: a git URL, or the path of a repository on the worker's machine
        corpus: folder in which the package is made; unset: the worker's corpus
        max_commits: most commits that are made into instances
        sandbox: auto or bubblewrap; none only for code you trust
        commit_minutes: minutes for all test runs of a commit; where its suite takes longer, a part of it is run
        repository_minutes: minutes for all commits together, shared among them; what does not fit is left out, by name
    """
    settings = load_settings()
    runtime = open_runtime(settings, sandbox)
    watch = progress_listener()

    origin = clone_source(source, settings.corpus.absolute() if corpus is None else corpus)
    watch.start(f"{origin.name}: mine", 1)
    mined = mine_commits(origin.name, opaque_argument(origin.git), settings.mining)
    watch.advance(f"{origin.name}: mine", f"{mined.funnel.kept} kept")
    chosen = select(mined, max_commits, origin.git)
    packages = origin.directory / "packages"
    watch.start(f"{origin.name}: environments", 1)
    candidates = find_environments(
        origin.name,
        opaque_argument(runtime),
        opaque_argument(origin.git),
        opaque_argument(chosen),
        packages,
        settings.cache_dir,
    )
    environments = {c.environment.key for c in candidates if c.environment}
    watch.advance(f"{origin.name}: environments", f"{len(environments)} locked")

    time_limits = TimeLimits(commit_minutes, repository_minutes)
    instances, timings = _validate_all(origin, candidates, runtime, settings, time_limits)
    manifest = write_package(origin, mined, candidates, instances, timings)
    _record_twins(read_package(origin.directory), runtime, settings)
    _publish(manifest)
    return manifest


@dataclass(frozen=True)
class TimeLimits:
    """Minutes for the test runs of a commit, and for those of all commits of a repository; None: no limit."""

    commit: float | None = None
    repository: float | None = None

    def of_each(self, commits: int, at_a_time: int) -> float | None:
        """Seconds for the runs of one commit among so many, of which some are validated at a time."""
        share = self.repository * min(at_a_time, commits) / commits if self.repository and commits else None
        limits = [minutes * 60 for minutes in (self.commit, share) if minutes]
        return min(limits) if limits else None


def _validate_all(
    origin: ClonedSource,
    candidates: list[CommitCandidate],
    runtime: Runtime,
    settings: Settings,
    time_limits: TimeLimits,
) -> tuple[list[Instance], Timings]:
    """Gold-validate commits, some at a time. Raises InfrastructureError after all others if one met a fault."""
    watch, stage = progress_listener(), f"{origin.name}: validate"
    watch.start(stage, len(candidates))
    found: dict[str, Instance] = {}
    timings: Timings = {}
    broken: list[str] = []
    at_a_time = max(1, min(settings.concurrency, len(candidates)))
    effort = GoldEffort(
        seconds=time_limits.of_each(len(candidates), at_a_time), workers=max(1, (os.cpu_count() or 1) // at_a_time)
    )
    started = time.monotonic()

    def in_time() -> Iterator[CommitCandidate]:
        for candidate in candidates:
            if time_limits.repository and time.monotonic() - started > time_limits.repository * 60:
                found[candidate.commit.sha] = not_tried(origin.git, candidate, time_limits.repository)
                watch.advance(stage, f"{candidate.commit.sha[:7]} not tried")
                continue
            yield candidate

    with tags(origin.name), ThreadPoolTaskRunner[Validated](max_workers=settings.concurrency) as runner:

        def submit(candidate: CommitCandidate) -> PrefectFuture[Validated]:
            label = f"{origin.name}@{candidate.commit.sha[:7]}"
            one = validate_commit.with_options(tags={candidate.commit.sha[:7]})
            parameters = {
                "label": f"{label} gold-validate",
                "runtime": opaque_argument(runtime),
                "git": opaque_argument(origin.git),
                "candidate": opaque_argument(candidate),
                "packages": origin.directory / "packages",
                "cache": settings.cache_dir,
                "effort": opaque_argument(replace(effort, say=lambda text: watch.note(f"{label}: {text}"))),
            }
            return runner.submit(one, parameters)

        for candidate, future in completed(in_time(), submit, 2 * settings.concurrency):
            future.wait()
            if not future.state.is_completed():
                broken.append(f"{candidate.commit.sha[:7]}: {future.state.message}")
                watch.advance(stage, f"{candidate.commit.sha[:7]} broken")
                continue
            instance, seconds = future.result()
            found[candidate.commit.sha] = instance
            timings[instance.instance_id] = seconds
            state = instance.reason.value if instance.reason else "valid"
            watch.advance(stage, f"{candidate.commit.sha[:7]} {state}")
            if estimate := _time_left(timings, len(candidates) - len(found), at_a_time):
                watch.note(f"{stage}: {estimate}")
    if broken:  # nothing is lost: results are cached, and a manifest is written atomically
        raise InfrastructureError(
            f"{len(broken)} of {len(candidates)} commits of {origin.name} met a fault of this machine; run the same "
            f"command again ({broken[0]})"
        )
    return [found[candidate.commit.sha] for candidate in candidates], timings


def _record_twins(package: RepoPackage, runtime: Runtime, settings: Settings) -> None:
    """Record the twins of valid instances, so that no campaign has to; what fails is said, and left to the campaign."""
    watch, stage = progress_listener(), f"{package.manifest.name}: twins"
    valid = [instance for instance in package.manifest.instances if instance.valid]
    if not valid:
        return
    watch.start(stage, len(valid))
    with tags(package.manifest.name), ThreadPoolTaskRunner[str](max_workers=settings.concurrency) as runner:

        def submit(instance: Instance) -> PrefectFuture[str]:
            parameters = {
                "label": f"{package.manifest.name}@{instance.commit[:7]} twins",
                "runtime": opaque_argument(runtime),
                "package": opaque_argument(package),
                "instance": opaque_argument(instance),
            }
            return runner.submit(record_twins, parameters)

        for instance, future in completed(valid, submit, 2 * settings.concurrency):
            future.wait()
            why = future.result() if future.state.is_completed() else str(future.state.message)
            if why:
                watch.note(f"{stage}: {instance.commit[:7]}: {why}")
            watch.advance(stage, instance.commit[:7])


def _time_left(timings: Timings, left: int, at_a_time: int) -> str:
    """An estimate for the commits that are left, in a line; "" where it is short."""
    spent = [sum(runs.values()) for runs in timings.values() if runs]
    minutes = sum(spent) / len(spent) * left / at_a_time / 60 if spent else 0.0
    return f"{left} commits left, about {minutes:.0f} min" if minutes >= _WORTH_SAYING else ""


def _publish(manifest: Manifest) -> None:
    """The package's instances as a table in the UI."""
    create_table_artifact(
        key=f"package-{manifest.name}".lower().replace("_", "-").replace(".", "-"),
        table=[
            {
                "commit": i.commit[:10],
                "state": i.reason.value if i.reason else "valid",
                "F2P": len(i.fail_to_pass),
                "P2P": len(i.pass_to_pass),
                "task": i.task.splitlines()[0],
                "layer": i.cause.layer.value if i.cause else "",
                "detail": i.detail,
            }
            for i in manifest.instances
        ],
        description=f"Instances of {manifest.name} ({manifest.source}); timings are in {TIMINGS}",
    )
