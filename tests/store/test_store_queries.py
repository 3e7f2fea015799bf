"""Questions to the raw store: how a campaign stands, and what lies behind a trajectory."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from models.errors import UsageError
from models.outcomes import OracleKind, OutcomeKind, Validation
from models.protocols import Answer, Request, Stage
from models.suite import SuiteReport
from store.runs import RawStore, open_raw_store
from tests.support.store_material import EDIT, META, SUITE, TASK, make_manifest, open_one, record_all


@pytest.fixture
def store(database_target: str) -> RawStore:
    return open_raw_store(database_target)


def run(store: RawStore, planner: str, *kinds: OutcomeKind, instance: str = "lib-0") -> str:
    trajectory = open_one(store, planner, instance)
    for kind in kinds:
        attempt = store.begin_attempt(trajectory)
        assert attempt is not None
        store.close_trajectory(trajectory, attempt, kind, seconds=1.5)
    return trajectory


def test_a_report_counts_trajectories_by_planner_and_by_whose_fault_it_was(store: RawStore) -> None:
    campaign = store.register_campaign({"planners": ["gold", "null"]})
    store.start_run(campaign, "smoke", "flow", [Path("corpus/lib")])
    run(store, "gold", OutcomeKind.SANDBOX_ERROR, OutcomeKind.PASSED)
    run(store, "gold", OutcomeKind.DISK_FULL, OutcomeKind.FLAKY, instance="lib-1")
    failed = run(store, "null", OutcomeKind.EMPTY_PATCH)
    run(store, "null", instance="lib-1")
    report = json.loads(store.report("smoke").to_json())
    assert report.pop("seconds") >= 0
    assert (report.pop("example"), report.pop("stopped")) == (failed, "")
    [fault] = report.pop("faults")
    assert (fault["kind"], fault["trajectories"]) == ("flaky", 1)
    assert report == {
        "name": "smoke",
        "campaign_id": campaign,
        "instances": 2,
        "replayed": 0,
        "planners": {
            "gold": {
                "passed": 1, "unconfirmed": 0, "failed": 0, "infrastructure": 1, "open": 0,
                "outcomes": {"flaky": 1, "passed": 1}, "seconds": 6.0, "questions": 0, "replayed": 0,
            },
            "null": {
                "passed": 0, "unconfirmed": 0, "failed": 1, "infrastructure": 0, "open": 1,
                "outcomes": {"empty-patch": 1}, "seconds": 1.5, "questions": 0, "replayed": 0,
            },
        },
    }  # fmt: skip


def test_a_report_names_the_reasons_of_faults_the_most_frequent_first(store: RawStore) -> None:
    keys = store.register_package(make_manifest(4))
    campaign = store.register_campaign({"planners": ["student"]})
    store.start_run(campaign, "c", "flow", [Path("lib")])
    away, refused = "endpoint 'a': no connection", "endpoint 'b': the key was refused"
    endings: list[list[tuple[OutcomeKind, str]]] = [
        [(OutcomeKind.PROVIDER_ERROR, away), (OutcomeKind.PROVIDER_ERROR, refused)],
        [(OutcomeKind.PROVIDER_ERROR, refused)],
        [(OutcomeKind.CAP_REACHED, "the cap of 1")],
        [(OutcomeKind.PROVIDER_ERROR, refused), (OutcomeKind.PASSED, "")],
    ]
    opened = [store.open_trajectory(campaign, keys[f"lib-{n}"], "student", "v1") for n in range(4)]
    for trajectory, ended in zip(opened, endings, strict=True):
        for kind, detail in ended:
            attempt = store.begin_attempt(trajectory)
            assert attempt is not None
            store.close_trajectory(trajectory, attempt, kind, detail=detail)
    assert [(fault.kind, fault.reason, fault.trajectories) for fault in store.report("c").faults] == [
        (OutcomeKind.PROVIDER_ERROR, refused, 2),
        (OutcomeKind.CAP_REACHED, "the cap of 1", 1),
    ]


def test_a_report_says_how_many_answers_were_replayed(store: RawStore) -> None:
    campaign = store.register_campaign({"planners": ["gold", "null"]})
    store.start_run(campaign, "smoke", "flow", [Path("corpus/lib")])
    trajectory = open_one(store)
    assert store.begin_attempt(trajectory) == 1
    recorder = store.recorder(trajectory, 1)
    for number, reused in enumerate((True, False, True)):
        recorder.call(Request(stage=Stage.CODE, task=TASK, attempt=number), Answer(text="", model="m", reused=reused))
    gold = store.report("smoke").planners["gold"]
    assert (gold.questions, gold.replayed) == (3, 2)


def test_trajectories_are_listed_with_their_last_outcome_those_that_did_not_pass_first(store: RawStore) -> None:
    campaign = store.register_campaign({"planners": ["gold", "null"]})
    store.start_run(campaign, "smoke", "flow", [Path("corpus/lib")])
    run(store, "gold", OutcomeKind.SANDBOX_ERROR, OutcomeKind.PASSED)
    run(store, "gold", OutcomeKind.DISK_FULL, OutcomeKind.FLAKY, instance="lib-1")
    run(store, "null", instance="lib-1")
    listed = [(line.planner, line.instance, line.outcome) for line in store.trajectories("smoke", 10)]
    assert listed == [
        ("gold", "lib-1", OutcomeKind.FLAKY),
        ("null", "lib-1", None),
        ("gold", "lib-0", OutcomeKind.PASSED),
    ]
    assert len(store.trajectories("smoke", 1)) == 1


def test_a_label_means_the_campaign_that_last_ran_under_it(store: RawStore) -> None:
    first, second = store.register_campaign({"n": 1}), store.register_campaign({"n": 2})
    store.start_run(first, "smoke", "flow-1", [Path("a")])
    store.start_run(second, "smoke", "flow-2", [Path("b"), Path("c")])
    assert store.report("smoke").campaign_id == second
    assert store.package_directories("smoke") == [Path("b"), Path("c")]


def test_a_label_never_used_is_an_error_that_names_the_known_ones(store: RawStore) -> None:
    with pytest.raises(UsageError, match="'smoke'; no campaign was run yet"):
        store.report("smoke")
    store.start_run(store.register_campaign({}), "nightly", "flow", [])
    with pytest.raises(UsageError, match="known: nightly"):
        store.report("smoke")


def test_a_trace_holds_everything_behind_an_outcome_in_order(store: RawStore) -> None:
    trajectory = open_one(store)
    store.begin_attempt(trajectory)
    record_all(store.recorder(trajectory, 1))
    verdict = Validation(key="v", oracle=OracleKind.F2P_P2P, kind=OutcomeKind.PASSED, f2p_passed=("t",))
    store.store_validation(store.register_package(make_manifest())["lib-0"], verdict, SUITE)
    store.close_trajectory(
        trajectory,
        1,
        OutcomeKind.PASSED,
        patch="diff",
        alignment={"files": 0.5},
        validation="v",
        detail="fine",
    )
    trace = store.trace(trajectory[:8])
    assert (trace.id, trace.instance, trace.planner, trace.planner_identity) == (
        trajectory, "lib-0", "gold", "gold v1",
    )  # fmt: skip
    assert [e.event for e in trace.events] == [
        "decision",
        "call",
        "plan",
        "plan",
        "call",
        "edit",
        "edit",
        "tests",
    ]
    assert [e.seq for e in trace.events] == list(range(8))
    (outcome,) = trace.outcomes
    assert (outcome.validation, outcome.patch, outcome.alignment) == (verdict, "diff", {"files": 0.5})
    assert outcome.report_hash is not None
    assert SuiteReport.model_validate_json(store.get_text(outcome.report_hash)) == SUITE
    calls = [e for e in trace.events if e.event == "call"]
    assert calls[0].reasoning == "because"
    assert calls[1].prompt_hash is not None
    assert store.get_text(calls[1].prompt_hash) == "the prompt"
    question = json.loads(store.get_text(calls[1].request_hash))
    assert [file["path"] for file in question["files"]] == ["lib.py", "new.py"]
    assert store.get_text(question["files"][0]["sha256"]) == "x = 1\n"
    plan = next(e for e in trace.events if e.event == "plan")
    assert json.loads(plan.plan) == META.model_dump(mode="json")
    edits = [e for e in trace.events if e.event == "edit"]
    assert json.loads(edits[0].edit) == EDIT.model_dump(mode="json")
    assert [(e.rung, e.error) for e in edits] == [("exact", None), (None, "exists")]
    assert type(trace).model_validate_json(trace.model_dump_json()) == trace


def test_an_unknown_or_ambiguous_prefix_is_an_error_that_names_candidates(store: RawStore) -> None:
    with pytest.raises(UsageError, match="the database holds none yet"):
        store.trace("abc")
    keys = sorted(open_one(store, n=n) for n in range(17))  # of 17 keys two share their first digit
    first = next(a[0] for a, b in pairwise(keys) if a[0] == b[0])
    with pytest.raises(UsageError, match=f"{first!r} is ambiguous; it begins {first}"):
        store.trace(first)
    with pytest.raises(UsageError, match="no trajectory begins with"):
        store.trace("0" * 32)
    with pytest.raises(UsageError, match="trajectory id"):
        store.trace("smoke%")
    assert store.trace(keys[3].upper()).id == keys[3]


def test_triples_cover_what_was_asked_planned_and_made_and_nothing_measured(store: RawStore) -> None:
    def triple(tag: str, patch: str, record: bool = True) -> tuple[str, str, str, str]:
        trajectory = open_one(store, tag=tag)
        store.begin_attempt(trajectory)  # an attempt that died: what it left does not count
        store.recorder(trajectory, 1).plan(Stage.META_PLAN, META)
        store.begin_attempt(trajectory)
        if record:
            record_all(store.recorder(trajectory, 2))
        store.close_trajectory(trajectory, 2, OutcomeKind.PASSED, patch=patch, seconds=len(tag))
        (found,) = store.triples(store.register_campaign({"planners": ["gold", "null"], "tag": tag}))
        return found.context, found.plan, found.patch, found.outcome

    one = triple("a", "diff")
    assert triple("bb", "diff") == one
    assert triple("c", "other")[2] != one[2]
    bare = triple("d", "diff", record=False)
    assert bare[0] != one[0]
    assert bare[1] != one[1]


def test_what_an_earlier_model_left_open_does_not_count_and_what_it_closed_is_told_apart(store: RawStore) -> None:
    keys = store.register_package(make_manifest(2))
    campaign = store.register_campaign({"planners": ["student"]})
    store.start_run(campaign, "nightly", "flow", [Path("lib")])
    for identity, endings in (("old model", [OutcomeKind.TESTS_FAILED, None]), ("new model", [OutcomeKind.PASSED] * 2)):
        for number, kind in enumerate(endings):
            trajectory = store.open_trajectory(campaign, keys[f"lib-{number}"], "student", identity)
            attempt = store.begin_attempt(trajectory)
            assert attempt is not None
            if kind is not None:
                store.close_trajectory(trajectory, attempt, kind)
    planners = store.report("nightly").planners
    earlier = next(name for name in planners if name != "student")
    assert {name: (each.passed, each.failed, each.open) for name, each in planners.items()} == {
        "student": (2, 0, 0),
        earlier: (0, 1, 0),
    }
    assert earlier.startswith("student (earlier: ")
    assert {line.planner: line.open for line in store.progress(campaign)} == {"student": 0, earlier: 0}
    again = store.open_trajectory(campaign, keys["lib-1"], "student", "old model")  # the earlier model is back
    attempt = store.begin_attempt(again)
    assert attempt is not None
    store.close_trajectory(again, attempt, OutcomeKind.PASSED)
    assert store.report("nightly").planners["student"].failed == 1


def test_a_planner_with_an_identity_for_each_instance_has_one_line(store: RawStore) -> None:
    keys = store.register_package(make_manifest(3))
    campaign = store.register_campaign({"planners": ["gold"]})
    store.start_run(campaign, "demo", "flow", [Path("lib")])
    for number in range(3):
        trajectory = store.open_trajectory(campaign, keys[f"lib-{number}"], "gold", f"patch {number}")
        attempt = store.begin_attempt(trajectory)
        assert attempt is not None
        if number:
            store.close_trajectory(trajectory, attempt, OutcomeKind.PASSED)
    planners = store.report("demo").planners
    assert {name: (each.passed, each.open) for name, each in planners.items()} == {"gold": (2, 1)}
