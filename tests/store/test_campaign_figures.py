"""What a report counts besides rates: reasons of faults, replayed answers, latencies, and how far instances came."""

import pytest

from models.edits import CreateFile, EditResult, Rung
from models.manifest import InvalidReason
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage
from store.database import open_database
from store.runs import RawStore, StageLatency
from store.runs.faults import without_numbers
from tests.support.store_material import TASK, make_manifest

EDIT = CreateFile(path="lib.py", content="")


@pytest.fixture
def store(database_target: str) -> RawStore:
    return RawStore(open_database(database_target, "raw"))


def opened(store: RawStore, planner: str = "student", samples: int = 1) -> list[str]:
    """Trajectories of a planner on the valid ones of three instances, in a campaign of one package."""
    manifest = make_manifest(3)
    *valid, last = manifest.instances
    without = last.model_copy(update={"reason": InvalidReason.NO_TESTS, "fail_to_pass": ()})
    manifest = manifest.model_copy(update={"instances": (*valid, without)})
    keys = store.register_package(manifest)
    campaign = store.register_campaign({"packages": [manifest.identity()]})
    store.start_run(campaign, "c", "flow", [])
    return [
        store.open_trajectory(campaign, keys[each.instance_id], planner, "v1", 0.5, sample)
        for each in valid
        for sample in range(samples)
    ]


def ended(store: RawStore, key: str, kind: OutcomeKind, detail: str = "", edits: int = 0) -> None:
    number = store.begin_attempt(key)
    assert number is not None
    if edits:
        store.recorder(key, number).edits("p", "s", 0, [EditResult(edit=EDIT, rung=Rung.EXACT)] * edits)
    store.close_trajectory(key, number, kind, detail=detail)


def test_messages_that_differ_in_numbers_are_one_reason_the_most_frequent_first(store: RawStore) -> None:
    keys = opened(store, samples=3)
    busy = "endpoint 'far': its rate limit is exceeded (HTTP 429: retry in {}s, request req_{}ab12cd34ef56gh78)"
    refused = "endpoint 'far': the key was refused (HTTP 401: no)"
    for place, key in enumerate(keys[:3]):
        ended(store, key, OutcomeKind.PROVIDER_ERROR, busy.format(place, place))
    ended(store, keys[3], OutcomeKind.PROVIDER_ERROR, refused)
    ended(store, keys[4], OutcomeKind.PROVIDER_ERROR, refused)
    ended(store, keys[4], OutcomeKind.PASSED)  # asked again: no longer without a verdict
    store.begin_attempt(keys[3])  # begun again, and not ended: the last that is known counts
    found = [(each.kind, each.trajectories, each.reason) for each in store.report("c").faults]
    assert found == [
        (OutcomeKind.PROVIDER_ERROR, 3, busy.format(0, 0)),
        (OutcomeKind.PROVIDER_ERROR, 1, refused),
    ]
    assert sum(count for _, count, _ in found) == store.report("c").planners["student"].infrastructure


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("no whole answer within 30 s (3 tries)", "no whole answer within 600 s (2 tries)", True),
        ("text 0a1b2c3d4e is missing", "text 99aa11bb22 is missing", True),
        ("HTTP 500: it failed", "HTTP 503: it failed", False),
        ("endpoint 'student-1': down", "endpoint 'student-2': down", False),
        ("its model is qwen3-4b", "its model is qwen2-4b", False),
        ("http://10.0.0.1:8000/v1 is down", "http://10.0.0.2:8000/v1 is down", False),
    ],
)
def test_what_is_one_reason(one: str, other: str, same: bool) -> None:
    assert (without_numbers(one) == without_numbers(other)) is same


def test_latencies_are_of_calls_that_reached_a_model(store: RawStore) -> None:
    [key, _] = opened(store)
    recorder = store.recorder(key, store.begin_attempt(key) or 0)
    for seconds in range(1, 11):
        answer = Answer(text=str(seconds), model="m", latency=float(seconds))
        recorder.call(Request(stage=Stage.SCOPE, task=TASK, attempt=seconds), answer)
    reused = Answer(text="again", model="m", latency=0.0, reused=True)
    recorder.call(Request(stage=Stage.SCOPE, task=TASK, attempt=11), reused)
    assert store.usage("c").latencies == (
        StageLatency(planner="student", stage="scope", calls=10, median=5.0, p90=9.0, slowest=10.0),
    )
    assert store.report("c").replayed == 1


def test_the_funnel_counts_trajectories_and_the_instances_that_one_of_them_reached(store: RawStore) -> None:
    first, again, second, never = opened(store, samples=2)
    ended(store, first, OutcomeKind.PASSED, edits=2)
    ended(store, again, OutcomeKind.PASSED_UNCONFIRMED, edits=1)
    ended(store, second, OutcomeKind.TESTS_FAILED, edits=1)
    assert never
    funnel = store.usage("c").funnel
    [student] = funnel.planners
    assert (funnel.instances, funnel.valid) == (3, 2)
    points = (student.chosen, student.attempted, student.edited, student.tests_passed, student.confirmed)
    assert [(each.trajectories, each.instances) for each in points] == [(4, 2), (3, 2), (3, 2), (2, 1), (1, 1)]


def test_packages_that_are_not_stored_are_not_counted_as_empty(store: RawStore) -> None:
    campaign = store.register_campaign({"packages": ["f" * 64]})
    store.start_run(campaign, "c", "flow", [])
    assert (store.usage("c").funnel.instances, store.usage("c").funnel.planners) == (None, ())
