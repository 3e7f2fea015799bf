"""Quality of tests: the lines of a patch that they run, and the hunks whose absence they detect."""

from harness.test_quality.kept import cached_quality
from harness.test_quality.measure import QUALITY_VERSION, quality_conditions, quality_of_tests
from harness.test_quality.mutants import Reverted, reverted
from harness.test_quality.own import measurable, measure_own_tests

__all__ = [
    "QUALITY_VERSION",
    "Reverted",
    "cached_quality",
    "measurable",
    "measure_own_tests",
    "quality_conditions",
    "quality_of_tests",
    "reverted",
]
