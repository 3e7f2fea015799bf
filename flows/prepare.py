"""The prepare flow: a repository becomes a repo package."""

from pathlib import Path
from typing import Annotated

from prefect import flow, tags
from prefect.artifacts import create_table_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.progress import progress_listener
from flows.window import completed
from harness.packages.locking import CommitCandidate
from harness.packages.package import TIMINGS
from harness.packages.prepare import ClonedSource, select, write_package
from host.settings import load_settings
from models.errors import InfrastructureError
from models.manifest import Instance, Manifest
from models.settings import Settings
from runtime.trees import Runtime
from tasks.define import opaque_argument
from tasks.prepare import clone_source, find_environments, mine_commits, validate_commit
from tasks.runtime import open_runtime

Timings = dict[str, dict[str, float]]
"""Seconds of each test run, by instance and run."""

Validated = tuple[Instance, dict[str, float]]


@flow(name="prepare", flow_run_name="prepare {source}", persist_result=False)
def prepare(
    source: str,
    corpus: Path | None = None,
    max_commits: Annotated[int, Field(ge=1)] = 50,
    sandbox: str | None = None,
) -> Manifest:
    """Make the repo package of one repository under `corpus` and return its manifest.

    A commit that cannot be validated stays in the manifest with its reason; the flow fails only when the
    repository itself cannot be read.

    Args:
        source: a git URL, or the path of a repository on the worker's machine
        corpus: folder in which the package is made; unset: the worker's corpus
        max_commits: most commits that are made into instances
        sandbox: auto or bubblewrap; none only for code you trust
    """
    settings = load_settings()
    runtime = open_runtime(settings, sandbox)
    watch = progress_listener()

    origin = clone_source(source, settings.corpus.absolute() if corpus is None else corpus)
    watch.start(f"{origin.name}: mine", 1)
    mined = mine_commits(origin.name, opaque_argument(origin.git), settings.mining)
    watch.advance(f"{origin.name}: mine", f"{mined.funnel.kept} kept")
    chosen = select(mined, max_commits)
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

    instances, timings = _validate_all(origin, candidates, runtime, settings)
    manifest = write_package(origin, mined, candidates, instances, timings)
    _publish(manifest)
    return manifest


def _validate_all(
    origin: ClonedSource, candidates: list[CommitCandidate], runtime: Runtime, settings: Settings
) -> tuple[list[Instance], Timings]:
    """Gold-validate commits, some at a time. Raises InfrastructureError after all others if one met a fault."""
    watch, stage = progress_listener(), f"{origin.name}: validate"
    watch.start(stage, len(candidates))
    found: dict[str, Instance] = {}
    timings: Timings = {}
    broken: list[str] = []
    with tags(origin.name), ThreadPoolTaskRunner[Validated](max_workers=settings.concurrency) as runner:

        def submit(candidate: CommitCandidate) -> PrefectFuture[Validated]:
            one = validate_commit.with_options(tags={candidate.commit.sha[:7]})
            parameters = {
                "label": f"{origin.name}@{candidate.commit.sha[:7]} gold-validate",
                "runtime": opaque_argument(runtime),
                "git": opaque_argument(origin.git),
                "candidate": opaque_argument(candidate),
                "packages": origin.directory / "packages",
                "cache": settings.cache_dir,
            }
            return runner.submit(one, parameters)

        for candidate, future in completed(candidates, submit, 2 * settings.concurrency):
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
    if broken:  # nothing is lost: results are cached, and a manifest is written atomically
        raise InfrastructureError(
            f"{len(broken)} of {len(candidates)} commits of {origin.name} met a fault of this machine; run the same "
            f"command again ({broken[0]})"
        )
    return [found[candidate.commit.sha] for candidate in candidates], timings


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
                "detail": i.detail,
            }
            for i in manifest.instances
        ],
        description=f"Instances of {manifest.name} ({manifest.source}); timings are in {TIMINGS}",
    )
