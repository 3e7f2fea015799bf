"""When a campaign's process stops early."""

import pytest

from flows.stopping import StopRule
from models.outcomes import OutcomeKind


@pytest.mark.parametrize("kind", [OutcomeKind.PROVIDER_ERROR, OutcomeKind.DISK_FULL, OutcomeKind.SANDBOX_ERROR])
def test_the_same_fault_again_and_again_stops(kind: OutcomeKind) -> None:
    stopping = StopRule(2)
    stopping.saw(kind, "first")
    assert stopping.reason == ""
    stopping.saw(kind, "second")
    assert stopping.reason.endswith("second")


@pytest.mark.parametrize("between", [OutcomeKind.PASSED, OutcomeKind.TESTS_FAILED, OutcomeKind.HARNESS_ERROR])
def test_another_outcome_in_between_starts_the_count_anew(between: OutcomeKind) -> None:
    stopping = StopRule(2)
    for kind in (OutcomeKind.DISK_FULL, between, OutcomeKind.DISK_FULL, between, OutcomeKind.PROVIDER_ERROR):
        stopping.saw(kind, "")
    assert stopping.reason == ""


def test_failures_of_planners_and_single_faults_of_the_harness_do_not_stop() -> None:
    stopping = StopRule(2)
    for kind in (OutcomeKind.TESTS_FAILED, OutcomeKind.HARNESS_ERROR, OutcomeKind.ENVIRONMENT_BROKEN):
        for _ in range(3):
            stopping.saw(kind, "")
    assert stopping.reason == ""


def test_a_reached_cap_stops_at_once() -> None:
    stopping = StopRule(2)
    stopping.saw(OutcomeKind.CAP_REACHED, "the cap of 1.00 is reached")
    assert stopping.reason == "the cap of 1.00 is reached"
