"""Answers that are taken back, and what rests on them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from models.errors import DatabaseError
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage
from store.database import open_database
from store.rows import add, writing
from store.runs import RawStore
from store.runs.answers import answer_row
from store.runs.attempts import AttemptKey
from store.runs.voiding import AnswerChoice, attempts_with, forget_answers, known_endpoints, list_answers
from store.texts import Texts
from tests.support.store_material import TASK, make_manifest

BAD = AnswerChoice(endpoint="bad")


@pytest.fixture
def store(database_target: str) -> RawStore:
    return RawStore(open_database(database_target, "raw"))


def kept(store: RawStore, question: str, endpoint: str, stage: Stage = Stage.CODE, cost: float = 0.25) -> Answer:
    """The current answer to a question, given now if there is none."""
    slot = store.answer_slot(question)
    if slot.answer is not None:
        return slot.answer.model_copy(update={"reused": True, "cost": 0.0, "answer_id": slot.id})
    given = Answer(
        text=f"by {endpoint}", model="m", endpoint=endpoint, prompt_tokens=30, completion_tokens=4, cost=cost
    )
    store.keep_answer(slot, stage, given)
    return given.model_copy(update={"answer_id": slot.id})


def opened(store: RawStore, count: int = 4, name: str = "c") -> list[str]:
    keys = store.register_package(make_manifest(count))
    campaign = store.register_campaign({"name": name})
    store.start_run(campaign, name, f"flow {name}", [Path("lib")])
    return [store.open_trajectory(campaign, keys[f"lib-{n}"], "student", "v1") for n in range(count)]


def attempt(store: RawStore, trajectory: str, answers: list[Answer], kind: OutcomeKind | None) -> None:
    number = store.begin_attempt(trajectory)
    assert number is not None
    recorder = store.recorder(trajectory, number)
    for position, answer in enumerate(answers):
        recorder.call(Request(stage=Stage.CODE, task=TASK, attempt=position), answer)
    if kind is not None:
        store.close_trajectory(trajectory, number, kind, detail="first" if number == 1 else "later")


def state(store: RawStore, trajectory: str) -> OutcomeKind | None:
    return store.trace(trajectory).outcome


def test_trajectories_that_rest_on_a_void_answer_are_opened_again_and_no_others(store: RawStore) -> None:
    rests, replays, good, healed = opened(store)
    attempt(store, rests, [kept(store, "q1", "bad")], OutcomeKind.PLAN_MALFORMED)
    attempt(store, replays, [kept(store, "q1", "bad"), kept(store, "q2", "good")], OutcomeKind.TESTS_FAILED)
    attempt(store, good, [kept(store, "q2", "good")], OutcomeKind.PASSED)
    attempt(store, healed, [kept(store, "q3", "bad")], OutcomeKind.PROVIDER_ERROR)
    attempt(store, healed, [kept(store, "q4", "good")], OutcomeKind.PASSED)

    found = forget_answers(store.engine, BAD, "its template was wrong")

    assert (found.answers, found.void_before, found.cost, found.running) == (2, 0, 0.5, 0)
    assert [(campaign.name, campaign.trajectories) for campaign in found.campaigns] == [("c", 2)]
    assert [state(store, each) for each in (rests, replays, good, healed)] == [
        None, None, OutcomeKind.PASSED, OutcomeKind.PASSED,
    ]  # fmt: skip
    report = store.report("c").planners["student"]
    assert (report.passed, report.failed, report.open, report.infrastructure) == (2, 0, 2, 0)
    lines = {line.id: line for line in store.trajectories("c", 9)}
    assert (lines[rests].outcome, lines[rests].detail) == (None, "its template was wrong")
    assert (lines[healed].outcome, lines[healed].detail) == (OutcomeKind.PASSED, "later")


def test_the_next_attempt_asks_anew_and_both_are_traced(store: RawStore) -> None:
    trajectory, *_ = opened(store)
    attempt(store, trajectory, [kept(store, "q", "bad")], OutcomeKind.PLAN_MALFORMED)
    forget_answers(store.engine, BAD, "wrong template")
    attempt(store, trajectory, [kept(store, "q", "good")], OutcomeKind.PASSED)
    trace = store.trace(trajectory)
    assert [(each.attempt, each.kind) for each in trace.outcomes] == [
        (1, OutcomeKind.PLAN_MALFORMED),
        (2, OutcomeKind.PASSED),
    ]
    assert [(each.attempt, each.outcome, each.reason) for each in trace.reopenings] == [
        (1, OutcomeKind.PLAN_MALFORMED, "wrong template")
    ]
    assert [(event.response, event.void) for event in trace.events if event.event == "call"] == [
        ("by bad", True),
        ("by good", False),
    ]
    assert (trace.outcome, trace.closed_attempt) == (OutcomeKind.PASSED, 2)
    assert kept(store, "q", "unasked").text == "by good"


def test_what_is_forgotten_twice_is_void_once_and_what_closed_meanwhile_is_found(store: RawStore) -> None:
    first, late, *_ = opened(store)
    bad = kept(store, "q", "bad")
    attempt(store, first, [bad], OutcomeKind.PASSED)
    attempt(store, late, [bad], None)
    found = forget_answers(store.engine, BAD, "x")
    assert (found.answers, found.trajectories, found.running) == (1, 1, 1)
    store.close_trajectory(late, 1, OutcomeKind.TESTS_FAILED)
    again = forget_answers(store.engine, BAD, "x")
    assert (again.answers, again.void_before, again.trajectories, again.running) == (0, 1, 1, 0)
    assert state(store, late) is None
    assert forget_answers(store.engine, BAD, "x").trajectories == 0


def test_a_dry_run_counts_the_same_and_changes_nothing(store: RawStore) -> None:
    trajectory, *_ = opened(store)
    attempt(store, trajectory, [kept(store, "q", "bad")], OutcomeKind.PLAN_MALFORMED)
    tried = forget_answers(store.engine, BAD, "x", dry_run=True)
    assert state(store, trajectory) is OutcomeKind.PLAN_MALFORMED
    assert store.answer_slot("q").answer is not None
    assert forget_answers(store.engine, BAD, "x") == tried


def test_answers_are_chosen_by_endpoint_time_and_stage(store: RawStore) -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    given = [(Stage.CODE, "a"), (Stage.SCOPE, "a"), (Stage.CODE, "b"), (Stage.CODE, "a")]
    for number, (stage, endpoint) in enumerate(given):
        slot, texts = store.answer_slot(f"q{number}"), Texts()
        row = answer_row(slot, stage, Answer(text="", model="m", endpoint=endpoint), texts)
        row.created_at = start + timedelta(hours=8 * number)
        with writing(store.engine, texts) as connection:
            add(connection, row)

    def days(**choice: object) -> list[tuple[str, str, str, int]]:
        groups = list_answers(store.engine, AnswerChoice(**choice))
        return [(each.day, each.endpoint, each.stage, each.answers) for each in groups]

    assert days() == [
        ("2026-03-01", "a", "code", 1),
        ("2026-03-01", "a", "scope", 1),
        ("2026-03-02", "a", "code", 1),
        ("2026-03-02", "b", "code", 1),
    ]
    assert days(stages=(Stage.SCOPE,)) == [("2026-03-01", "a", "scope", 1)]
    east = start.astimezone() + timedelta(hours=8)
    assert days(since=east, until=start + timedelta(hours=16)) == [("2026-03-01", "a", "scope", 1)]
    assert known_endpoints(store.engine) == ["a", "b"]
    choice = AnswerChoice(endpoint="a", since=start + timedelta(hours=20))
    assert forget_answers(store.engine, choice, "x").answers == 1
    assert [(each.day, each.void) for each in list_answers(store.engine, AnswerChoice(endpoint="a"))] == [
        ("2026-03-01", 0),
        ("2026-03-01", 0),
        ("2026-03-02", 1),
    ]


def test_attempts_that_used_void_answers_are_known_whatever_became_of_them(store: RawStore) -> None:
    first, second, third, _ = opened(store)
    campaign = store.report("c").campaign_id
    attempt(store, first, [kept(store, "q", "bad")], OutcomeKind.PROVIDER_ERROR)
    attempt(store, second, [kept(store, "q", "bad")], OutcomeKind.PASSED)
    attempt(store, third, [kept(store, "r", "good")], OutcomeKind.PASSED)
    expected = {AttemptKey(campaign, first, 1), AttemptKey(campaign, second, 1)}
    assert attempts_with(store.engine, BAD) == expected
    assert forget_answers(store.engine, BAD, "x").used_in == (campaign,)
    assert attempts_with(store.engine, BAD) == expected


def test_rows_of_answers_stay(store: RawStore) -> None:
    trajectory, *_ = opened(store)
    attempt(store, trajectory, [kept(store, "q", "bad")], OutcomeKind.PASSED)
    forget_answers(store.engine, BAD, "x")
    for table in ("answers", "voided_answers", "reopenings", "outcomes"):
        with pytest.raises(DatabaseError, match="append-only"), writing(store.engine) as connection:
            connection.execute(text(f"DELETE FROM {table}"))
