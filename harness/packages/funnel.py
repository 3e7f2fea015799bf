"""How many commits of repositories came how far, and by which causes the others became no instances."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from models.causes import Layer, TestCategory
from models.manifest import Instance, InvalidReason, Manifest

_BEFORE_RUNS = (Layer.COMMIT, Layer.RESOLUTION, Layer.DOWNLOAD, Layer.BUILD)
_DISTINGUISHED = (InvalidReason.FLAKY, InvalidReason.SKIPPED_TESTS)
"""Reasons of commits whose tests may have told them from their parent, but not reliably."""


class RepositoryFunnel(NamedTuple):
    """Commits of a repository: kept by mining, tried (not those that nothing can
    distinguish), with an environment in which the suite runs, with tests that fail
    before and pass after, and those of them whose tests are stable. `sampled` had a part of their suite run.

    `twins` are the stable ones whose tests hold a literal that can be varied.
    """

    repository: str
    kept: int
    tried: int
    environment: int
    fail_to_pass: int
    stable: int
    twins: int
    sampled: int


class CountedCause(NamedTuple):
    """A cause and how many commits it kept from becoming instances; `example` is one of them."""

    layer: str
    reason: str
    error: str
    text: str
    remedy: str
    commits: int
    example: str


def funnel_of(manifest: Manifest, twins: int = 0) -> RepositoryFunnel:
    """The funnel of a package; `twins` is counted elsewhere."""
    instances = manifest.instances
    return RepositoryFunnel(
        manifest.name,
        manifest.funnel.kept,
        sum(each.reason is not InvalidReason.INDISTINCT for each in instances),
        sum(_runs(each) for each in instances),
        sum(each.valid or each.reason in _DISTINGUISHED for each in instances),
        sum(each.valid for each in instances),
        twins,
        sum(each.sampled is not None for each in instances),
    )


def _runs(instance: Instance) -> bool:
    """Whether an instance's environment was built, and its tests ran in it."""
    if instance.valid or instance.cause is None:
        return instance.environment is not None
    return instance.environment is not None and instance.cause.layer not in _BEFORE_RUNS


def layers_of(manifests: Iterable[Manifest]) -> dict[str, int]:
    """How many commits failed in each layer, in the order of the layers; layers without any are omitted."""
    causes = Counter(each.cause.layer for manifest in manifests for each in manifest.instances if each.cause)
    return {layer.value: causes[layer] for layer in Layer if causes[layer]}


def causes_of(manifests: Sequence[Manifest]) -> list[CountedCause]:
    """Causes by layer, then the most frequent first. Equal ones of several commits are one."""
    counted: dict[tuple[Layer, str, str, str, str], list[str]] = {}
    for manifest in manifests:
        for each in manifest.instances:
            if each.cause is not None and each.reason is not None:
                cause = each.cause
                key = (cause.layer, each.reason.value, cause.error, cause.text, cause.remedy)
                counted.setdefault(key, []).append(f"{manifest.name}@{each.commit[:7]}")
    order = list(Layer)
    ranked = sorted(counted.items(), key=lambda item: (order.index(item[0][0]), -len(item[1]), item[0]))
    return [
        CountedCause(layer.value, reason, error, text, remedy, len(commits), commits[0])
        for (layer, reason, error, text, remedy), commits in ranked
    ]


def excluded_of(manifests: Iterable[Manifest]) -> dict[str, int]:
    """How many tests of valid instances take no part in verdicts, by category; of older packages "unknown"."""
    found = Counter(
        test.category for manifest in manifests for each in manifest.instances if each.valid for test in each.excluded
    )
    named = {category.value: found[category] for category in TestCategory if found[category]}
    return {**named, **({"unknown": found[None]} if found[None] else {})}


def lacking_of(manifests: Iterable[Manifest]) -> dict[str, int]:
    """How many excluded tests lack something in their environment, by category."""
    faults = {category.value for category in TestCategory if category.environment_fault}
    return {name: count for name, count in excluded_of(manifests).items() if name in faults}
