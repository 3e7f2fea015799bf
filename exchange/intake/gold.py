"""Environments of an arrived package, built without an index, and gold validation of its instances in the sandbox."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.packages.checks.arriving_wheels import environments_of
from harness.packages.gold_validation import GoldEffort
from harness.packages.package import RepoPackage, generated_tests
from harness.packages.revalidation import mined_commits, not_mined, revalidate
from harness.supplement import try_modules
from models.errors import EnvironmentFault, PackageRefused, WheelError
from models.intake import IntakeSettings, RefusalReason
from models.manifest import NODE, Commit, Instance, InvalidReason
from runtime.environments import installed_interpreters
from runtime.trees import Runtime

Say = Callable[[str, int, int], None]
"""Called with the name of the work, the units done, and their total."""


@dataclass(frozen=True)
class GoldOutcome:
    """Instances as they are valid here, the seconds of their runs, and why those were lost that are not."""

    instances: tuple[Instance, ...]
    timings: dict[str, dict[str, float]]
    lost: dict[str, str]


@dataclass(frozen=True)
class Sandboxed:
    """What runs an arrived package's tests: the runtime, where verdicts are kept, and how long it may take."""

    runtime: Runtime
    cache: Path
    limits: IntakeSettings


def build_environments(sandboxed: Sandboxed, package: RepoPackage) -> None:
    """Build each environment that an instance needs, from the package's wheels alone.

    One whose Python is not on this machine is left to its instances. Raises PackageRefused for one that cannot be
    built, InfrastructureError.
    """
    installed = {each.abi for each in installed_interpreters()}
    for environment in environments_of(package.manifest):
        if environment.language != NODE and environment.abi not in installed:
            continue
        try:
            with sandboxed.runtime.environments.acquire(environment, package.wheels):
                pass
        except (WheelError, EnvironmentFault) as error:
            raise PackageRefused(RefusalReason.ENVIRONMENT, str(error)) from error


def validate_again(sandboxed: Sandboxed, package: RepoPackage, known: Collection[str], say: Say) -> GoldOutcome:
    """Every instance as this machine sees it; those at `known` commits are not run, as the corpus holds them already.

    Raises InfrastructureError, PackageRefused if none is valid.
    """
    instances = package.manifest.instances
    commits = mined_commits(package, instances)
    started, most = time.monotonic(), sandboxed.limits.package_hours * 60
    found: list[Instance] = []
    timings: dict[str, dict[str, float]] = {}
    valid = [each for each in instances if each.valid and each.commit not in known]
    for number, each in enumerate(valid):
        say(each.instance_id, number, len(valid))
        used_up = most if time.monotonic() - started > most * 60 else 0.0
        seen, seconds = _seen(sandboxed, package, each, commits, used_up)
        timings[each.instance_id] = seconds
        found.append(seen)
    seen_here = {each.instance_id: each for each in found}
    every = tuple(seen_here.get(each.instance_id) or _static(each, commits) for each in instances)
    lost = {each.instance_id: f"{each.reason.value}: {each.detail}"[:300] for each in found if each.reason is not None}
    if not any(each.valid for each in every):
        why = next(iter(lost.values()), "the manifest names none")
        raise PackageRefused(RefusalReason.NO_VALID_INSTANCE, f"no instance is valid here, e.g. {why}")
    return GoldOutcome(every, timings, lost)


def _seen(
    sandboxed: Sandboxed, package: RepoPackage, instance: Instance, commits: Mapping[str, Commit], used_up: float
) -> tuple[Instance, dict[str, float]]:
    commit = commits.get(instance.commit)
    if commit is None:
        return not_mined(instance), {}
    if instance.generated is not None and not used_up:
        return _with_generated(sandboxed, package, _static(instance, commits))
    effort = GoldEffort()
    return revalidate(sandboxed.runtime, package, instance, commit, sandboxed.cache, effort, used_up)


def _with_generated(
    sandboxed: Sandboxed, package: RepoPackage, instance: Instance
) -> tuple[Instance, dict[str, float]]:
    """An instance that rests on generated tests, tried again as when they were accepted; without them if they fail."""
    assert instance.generated is not None, "asked by the caller"
    modules = {path: made[0].decode() for path, made in generated_tests(package, instance).items() if made is not None}
    why, trial = "", None
    try:
        trial = try_modules(sandboxed.runtime, package, instance, modules)
        why = trial.detail if trial.refusal is not None else ""
    except (EnvironmentFault, WheelError) as error:
        why = str(error)
    if trial is None or trial.refusal is not None:
        bare = {
            "fail_to_pass": (),
            "pass_to_pass": (),
            "reason": InvalidReason(instance.generated.instead_of),
            "detail": f"its generated tests do not hold here: {why}"[:1000],
            "generated": None,
        }
        return instance.model_copy(update=bare), {}
    generated = instance.generated.model_copy(update={"told_apart": trial.told_apart})
    update = {"fail_to_pass": trial.fail_to_pass, "pass_to_pass": trial.pass_to_pass, "generated": generated}
    return instance.model_copy(update=update), {"generated": trial.seconds}


def _static(instance: Instance, commits: Mapping[str, Commit]) -> Instance:
    """An instance described by its own commit, its tests left as they are; nothing describes one that mining drops."""
    commit = commits.get(instance.commit)
    if commit is None:
        return not_mined(instance)
    files = {kind: tuple(sorted(c.path for c in commit.changes if c.kind == kind)) for kind in ("production", "test")}
    return instance.model_copy(
        update={
            "task": instance.task if instance.message is not None else commit.message,
            "planning_types": commit.planning_types,
            "production_files": files["production"],
            "test_files": files["test"],
            "symbols": commit.symbols,
        }
    )
