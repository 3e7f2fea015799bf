"""The steps of a rehearsal that read what the installation has: bases, active adapters, repo packages."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.sets import all_sets, copy_of_reserved, reserved_repositories
from harness.packages.contents import package_content
from harness.packages.package import package_findings, read_package
from models.errors import GuardrailError, NotOperational, UsageError
from models.rehearsal import RehearsalOrder, Verdict
from store.active_adapters import read_aliases
from store.database import open_database
from training.adapters.registry.succession import in_use
from training.bases.bases import Base, add_base, find_base, list_bases
from training.cycle import guardrails
from training.cycle.context import TrainingContext
from training.cycle.rehearsal.workspace import TARGET, Workspace
from training.fit.backends import choose_backend

if TYPE_CHECKING:
    from store.database import Engine

EMBEDDED_BASE = "rehearsal-embedded"
"""Name of the base that a rehearsal converts from the embedded model where none is registered."""


class Outcome(NamedTuple):
    """The result of a step: what was found, figures by name; a `warning` has a remedy."""

    found: tuple[str, ...]
    figures: dict[str, Any]
    verdict: Verdict = "ok"
    remedy: str = ""


def serving(curated: "Engine") -> dict[str, str]:
    """The served name of the active adapter of each target."""
    return {alias.target.value: alias.served for alias in read_aliases(curated)}


def check_bases(context: TrainingContext, order: RehearsalOrder, workspace: Workspace) -> Outcome:
    """Read every file of the base that is trained on, and verify every active adapter.

    Where no base is registered, the embedded model's is converted in the rehearsal's folder. Raises RegistryError for a
    missing or altered file, TrainingError if training is not installed here.
    """
    backend = choose_backend(context.settings.training.backend)
    if list_bases(context.curated):
        base = find_base(context.curated, _base_name(context, order), full=True)
    else:
        base = _embedded(workspace)
    active = [version for version in context.registry.list() if version.active]
    for version in active:
        context.registry.verify(version.name)
    names = ", ".join(version.name for version in active) or "none"
    figures = {"base": base.name, "base_id": base.id, "backend": backend, "serving": serving(context.curated)}
    return Outcome(
        (f"base {base.name}, every file read, to be trained by {backend}", f"active adapters verified: {names}"),
        figures,
    )


def _base_name(context: TrainingContext, order: RehearsalOrder) -> str:
    """The base to train on: that of the order, of the role, of the student's endpoint, or the only one."""
    if order.base:
        return order.base
    if (used := in_use(context.curated, TARGET.role)) is not None:
        return used.id
    models = context.settings.models
    if served := models.endpoint(models.roles.reasoning).base:
        return served
    names = [base.name for base in list_bases(context.curated)]
    if len(names) != 1:
        raise UsageError(f"there are several bases ({', '.join(names)}); name one with --base")
    return names[0]


def _embedded(workspace: Workspace) -> Base:
    curated = open_database(workspace.curated, "curated")
    try:
        return add_base(curated, workspace.state, Path("embedded"), EMBEDDED_BASE, gguf=True)
    finally:
        curated.dispose()


def check_packages(context: TrainingContext, order: RehearsalOrder) -> Outcome:
    """Check all files of the packages: manifest, clone, wheels. Nothing of them is run.

    Reserved repositories are for measuring, all others to learn from. Raises NotOperational for a fault of a package,
    or without anything to measure by; GuardrailError if one is a copy of a reserved repository under another name, or
    if nothing is left to learn from.
    """
    held = reserved_repositories(context.curated, context.raw_engine)
    learn, measure, instances = list[Path](), list[Path](), 0
    for path in order.packages:
        if findings := package_findings(path):
            more = f" (and {len(findings) - 1} more faults)" if len(findings) > 1 else ""
            fault, _, remedy = str(findings[0]).partition("; ")
            raise NotOperational(f"{path}: {fault}{more}; {remedy}")
        package = read_package(path)
        name = package.manifest.name
        why = "" if name in held else copy_of_reserved(context.curated, context.raw_engine, package_content(package))
        if why:
            raise GuardrailError(
                guardrails.HELD_OUT, f"{path}: {why}, which is reserved for evaluation; remove the package"
            )
        valid = sum(instance.valid for instance in package.manifest.instances)
        instances += valid
        if valid:
            (measure if name in held else learn).append(path)
    if not learn:
        raise GuardrailError(
            guardrails.HELD_OUT,
            f"none of {len(order.packages)} packages with valid instances is free to learn from: {len(measure)} are "
            "reserved for evaluation; add a package of another repository",
        )
    if not measure and len(learn) == 1 and not any(each.target is TARGET for each in all_sets(context.curated)):
        raise NotOperational(
            f"no evaluation set of {TARGET.value} is frozen, and there is no package to make one of; add a second "
            f"package, or freeze one: cra eval-sets build --target {TARGET.value} --repository NAME"
        )
    figures = {
        "learn": [str(path) for path in learn],
        "measure": [str(path) for path in measure],
        "packages": len(order.packages),
        "instances": instances,
    }
    found = (
        f"{len(order.packages)} packages, {instances} valid instances: manifests, clones and wheels are intact",
        f"{len(learn)} to learn from, {len(measure)} reserved for evaluation",
    )
    return Outcome(found, figures)
