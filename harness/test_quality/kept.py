"""Stored measurements: read from the raw database if measured before."""

from harness.packages.package import RepoPackage
from harness.test_quality.measure import quality_conditions, quality_of_tests
from models.files import Overlay
from models.manifest import Instance
from models.test_quality import TestQuality
from runtime.trees import Runtime
from store.runs.supplements import SupplementStore, quality_key


def quality_cache_key(
    runtime: Runtime, instance_key: str, patch: Overlay, tests: Overlay, base_tests: str | None = None
) -> str:
    """The key under which `cached_quality` stores a measurement."""
    return quality_key(instance_key, patch, tests, {**quality_conditions(runtime), "base_tests": base_tests})


def cached_quality(
    store: SupplementStore,
    runtime: Runtime,
    package: RepoPackage,
    instance: Instance,
    instance_key: str,
    patch: Overlay,
    tests: Overlay,
    base_tests: str | None = None,
) -> TestQuality:
    """`quality_of_tests`, stored under everything it depends on.

    `instance_key` names a row of instances in the database. An attempt's own tests are measured by giving all of its
    changes for both `patch` and `tests`. Raises what `quality_of_tests` raises, and DatabaseError.
    """
    key = quality_cache_key(runtime, instance_key, patch, tests, base_tests)
    if (found := store.find_quality(key)) is not None:
        return found
    found = quality_of_tests(runtime, package, instance, patch, tests, base_tests)
    store.add_quality(key, instance_key, patch, tests, found)
    return found
