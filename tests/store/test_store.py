"""The raw store on both kinds of database: what goes in comes out, once, and stays."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.errors import DatabaseError, UsageError
from models.outcomes import OracleKind, OutcomeKind, Validation
from models.protocols import Answer, Request, SourceFile, Stage
from store.database import open_database
from store.runs import RawStore, digest, instance_key, sha256, trajectory_key, validation_key
from tests.support.store_material import SUITE, TASK, make_manifest, open_one, record_all


@pytest.fixture
def engine(database_target: str) -> Engine:
    return open_database(database_target, "raw")


@pytest.fixture
def store(engine: Engine) -> RawStore:
    return RawStore(engine)


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.mark.parametrize("content", ["", "short", "long " * 10_000, "nul \0 surrogate \udc80 ünïcödé 🙂\r\n"])
def test_a_text_comes_back_as_it_was_and_is_stored_once(store: RawStore, engine: Engine, content: str) -> None:
    assert store.put_text(content) == store.put_text(content) == sha256(content)
    assert store.get_text(sha256(content)) == content
    assert count(engine, "blobs") == 1


def test_a_text_that_is_missing_is_an_error(store: RawStore) -> None:
    with pytest.raises(DatabaseError, match="is not in the database"):
        store.get_text("0" * 64)


def test_repeating_every_registration_changes_nothing(store: RawStore, engine: Engine) -> None:
    for _ in range(2):
        trajectory = open_one(store)
        campaign = store.register_campaign({"planners": ["gold", "null"]})
        store.start_run(campaign, "smoke", "flow-1", [Path("corpus/lib")])
        if store.begin_attempt(trajectory) == 1:
            record_all(store.recorder(trajectory, 1))
    record_all(store.recorder(trajectory, 1))
    expected = {"repo_packages": 1, "instances": 2, "campaigns": 1, "campaign_runs": 1, "task_runs": 1}
    expected |= {"retrieval_decisions": 1, "retrieval_llm_calls": 2, "plans": 2, "edits": 2, "test_runs": 1}
    assert {table: count(engine, table) for table in expected} == expected


def test_an_unchanged_instance_keeps_its_key_when_its_package_is_made_again(store: RawStore) -> None:
    before = store.register_package(make_manifest(2))
    after = store.register_package(make_manifest(3, head="d" * 40))
    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == 3


def test_recording_something_else_at_a_used_position_is_refused(store: RawStore) -> None:
    trajectory = open_one(store)
    store.begin_attempt(trajectory)
    first, second = store.recorder(trajectory, 1), store.recorder(trajectory, 1)
    first.decision(Stage.SCOPE, "a.py", "include", "named")
    assert not store.trace(trajectory).events, "it is stored with the next event"
    first.flush()
    second.decision(Stage.SCOPE, "b.py", "include", "named")
    with pytest.raises(DatabaseError, match="subject"):
        second.flush()


def test_hostile_text_in_a_row_is_stored_escaped_and_recognised_again(store: RawStore) -> None:
    trajectory = open_one(store)
    store.begin_attempt(trajectory)
    for _ in range(2):
        recorder = store.recorder(trajectory, 1)
        recorder.decision(Stage.SCOPE, "a\0\udcff.py", "include", "ü")
        recorder.tests("hidden", SUITE.model_copy(update={"output": "\0\udcff"}))
        file = SourceFile(path="a\udcff.py", text="\0\udcff")
        recorder.call(Request(stage=Stage.CODE, task=TASK, files=(file,)), Answer(text="\0\udcff", model="m"))
    decision, _, call = store.trace(trajectory).events
    assert (decision.event, call.event) == ("decision", "call")
    assert decision.event == "decision"
    assert (decision.subject, decision.reason) == ("a\\x00\\udcff.py", "ü")
    assert call.event == "call"
    assert call.response == "\0\udcff"


def test_attempts_are_numbered_and_must_be_begun(store: RawStore) -> None:
    trajectory = open_one(store)
    with pytest.raises(DatabaseError, match="was never begun"):
        store.recorder(trajectory, 1)
    assert [store.begin_attempt(trajectory) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(DatabaseError, match="was never begun"):
        store.close_trajectory(trajectory, 4, OutcomeKind.PASSED)
    with pytest.raises(UsageError, match="no trajectory"):
        store.begin_attempt("0" * 32)


def test_a_final_outcome_closes_a_trajectory_once_and_for_all(store: RawStore, engine: Engine) -> None:
    trajectory = open_one(store)
    other = open_one(store, "null")
    assert (store.begin_attempt(trajectory), store.begin_attempt(trajectory)) == (1, 2)
    assert store.close_trajectory(trajectory, 2, OutcomeKind.PASSED, patch="diff")
    assert store.close_trajectory(trajectory, 2, OutcomeKind.PASSED, patch="diff")
    assert not store.close_trajectory(trajectory, 1, OutcomeKind.TESTS_FAILED)
    with pytest.raises(DatabaseError, match="already holds"):
        store.close_trajectory(trajectory, 2, OutcomeKind.REGRESSION, patch="diff")
    assert store.begin_attempt(trajectory) is None
    assert store.closed([trajectory, other, "0" * 32]) == {trajectory}
    assert count(engine, "outcomes") == 1


def test_a_fault_of_infrastructure_is_kept_and_leaves_the_trajectory_open(store: RawStore) -> None:
    trajectory = open_one(store)
    store.begin_attempt(trajectory)
    assert store.close_trajectory(trajectory, 1, OutcomeKind.SANDBOX_ERROR, detail="no bwrap")
    assert store.closed([trajectory]) == set()
    assert store.begin_attempt(trajectory) == 2
    assert store.close_trajectory(trajectory, 2, OutcomeKind.PASSED, patch="diff")
    trace = store.trace(trajectory)
    assert [outcome.kind for outcome in trace.outcomes] == [OutcomeKind.SANDBOX_ERROR, OutcomeKind.PASSED]
    assert (trace.closed_attempt, trace.outcome) == (2, OutcomeKind.PASSED)


def test_the_first_verdict_on_a_patch_is_kept(store: RawStore) -> None:
    instance = store.register_package(make_manifest())["lib-0"]
    key = validation_key(instance, sha256("diff"), "env", {})
    assert store.find_validation(key) is None
    first = Validation(key=key, oracle=OracleKind.F2P_P2P, kind=OutcomeKind.PASSED, seconds=1.0)
    assert store.store_validation(instance, first, SUITE) == first
    assert store.store_validation(instance, first.model_copy(update={"seconds": 2.0}), SUITE) == first
    assert store.find_validation(key) == first
    with pytest.raises(ValueError, match="no verdict"):
        store.store_validation(instance, first.model_copy(update={"kind": OutcomeKind.FLAKY}), SUITE)


TABLES = [
    "blobs", "repo_packages", "instances", "campaigns", "campaign_runs", "task_runs", "validations",
    "outcomes", "retrieval_llm_calls", "retrieval_decisions", "plans", "edits", "test_runs",
]  # fmt: skip


@pytest.mark.parametrize("change", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_nothing_of_a_closed_trajectory_can_be_changed_or_deleted(store: RawStore, engine: Engine, change: str) -> None:
    trajectory = open_one(store)
    store.start_run(store.register_campaign({"planners": ["gold", "null"]}), "smoke", "flow", [])
    store.begin_attempt(trajectory)
    record_all(store.recorder(trajectory, 1))
    instance = store.register_package(make_manifest())["lib-0"]
    verdict = Validation(key="v", oracle=OracleKind.F2P_P2P, kind=OutcomeKind.PASSED)
    store.store_validation(instance, verdict, SUITE)
    store.close_trajectory(trajectory, 1, OutcomeKind.PASSED, validation="v")
    before = {table: count(engine, table) for table in TABLES}
    assert min(before.values()) > 0
    for table in TABLES:
        column = "sha256" if table == "blobs" else "created_at" if table == "edits" else "id"
        column = "task_run_id" if table in TABLES[-6:] else column
        with pytest.raises(DatabaseError, match=f"{table} is append-only"), engine.begin() as connection:
            connection.execute(text(change.format(table, column)))
    assert {table: count(engine, table) for table in TABLES} == before


def test_a_trajectory_that_belongs_to_nothing_is_refused(store: RawStore) -> None:
    with pytest.raises(DatabaseError, match=r"(?i)foreign key"):
        store.open_trajectory("no-campaign", "no-instance", "gold", "gold v1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_a_digest_is_the_same_for_the_same_data_only(one: object, other: object) -> None:
    same = repr(one) == repr(other) or (one == other and type(one) is type(other) is dict)
    if same:
        assert digest(one) == digest(other)
    if one != other:
        assert digest(one) != digest(other)
    assert digest(one, other) != digest([one, other])


def test_each_part_of_a_trajectory_changes_its_key() -> None:
    base = ("campaign", "instance", "gold", "v1", 0.0, 0)
    changed = [("c2", *base[1:]), (base[0], "i2", *base[2:]), (*base[:2], "null", *base[3:])]
    changed += [(*base[:3], "v2", 0.0, 0), (*base[:4], 0.5, 0), (*base[:5], 1)]
    keys = {trajectory_key(*parts) for parts in [base, *changed]}
    assert len(keys) == 7
    assert trajectory_key("campaign", "instance", "gold", "v1", 0, 0) == trajectory_key(*base)


def test_an_instance_changes_its_key_with_its_tests_and_environment() -> None:
    instance = make_manifest(1).instances[0]
    others = [
        instance.model_copy(update={"fail_to_pass": ("t.py::other",)}),
        instance.model_copy(update={"environment": "other"}),
        instance.model_copy(update={"task": "Other"}),
    ]
    assert len({instance_key("lib", one) for one in [instance, *others]} | {instance_key("fork", instance)}) == 5
