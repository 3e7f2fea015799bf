"""Measurement of the tests that an attempt wrote itself, against its own changes."""

from harness.runs.attempt import InstanceContext
from harness.test_quality.kept import cached_quality, quality_cache_key
from models.files import Overlay
from models.outcomes import OutcomeKind
from models.protocols import Recorder, Stage
from models.test_quality import TestQuality
from repos.index.suite_layout import PLAIN, SuiteLayout
from store.runs import RawStore
from store.runs.measurements import MEASURED
from store.runs.supplements import SupplementStore

_JUDGED = frozenset({OutcomeKind.PASSED, OutcomeKind.TESTS_FAILED, OutcomeKind.REGRESSION})


def measurable(changes: Overlay, verdict: OutcomeKind, layout: SuiteLayout = PLAIN) -> bool:
    """Whether changes include tests, and the hidden tests ran to their end on them."""
    return verdict in _JUDGED and any(
        content is not None and path.endswith(".py") and layout.is_test(path) for path, content in changes.items()
    )


def measure_own_tests(
    store: RawStore, instance_context: InstanceContext, instance_key: str, changes: Overlay, recorder: Recorder
) -> TestQuality:
    """Measure the tests among an attempt's changes against the other changes, once per change, and record the key.

    Raises EnvironmentFault, WheelError and InfrastructureError.
    """
    key = quality_cache_key(instance_context.runtime, instance_key, changes, changes)
    kept = SupplementStore(store.engine)
    found = cached_quality(
        kept,
        instance_context.runtime,
        instance_context.package,
        instance_context.instance,
        instance_key,
        changes,
        changes,
    )
    recorder.decision(Stage.TEST_PLAN, key, MEASURED, found.sentence)
    return found
