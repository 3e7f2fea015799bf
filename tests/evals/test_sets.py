"""Evaluation sets: built from gold runs, frozen with their repositories, kept apart from training."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from evals.sets import (
    all_sets,
    build_set,
    contamination,
    freeze,
    in_common,
    latest_set,
    reserve,
    reserved,
    scores_from_campaign,
    trained_repositories,
)
from models.errors import DatabaseError, EvaluationError, GuardrailError, TrainingError, UsageError
from models.evaluation import Evaluation, EvaluationSet, Subject
from models.outcomes import OutcomeKind
from models.protocols import Stage
from models.tokens import ANSWER_TOKENS
from models.training import TrainingTarget
from store.database import open_database
from store.rows import add, writing
from store.runs import RawStore
from store.tables import EvaluationSetRow
from tests.support.evaluation_runs import GOLD, prompt, run, train_on


@pytest.fixture
def raw(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "raw.sqlite", "raw")


@pytest.fixture
def store(raw: Engine) -> RawStore:
    return RawStore(raw)


@pytest.fixture
def curated(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "curated.sqlite", "curated")


def test_items_are_the_prompts_and_answers_of_gold_runs_that_passed(raw: Engine, store: RawStore) -> None:
    run(store, "one")
    run(store, "one", planner="student")
    run(store, "other")
    built = build_set(raw, TrainingTarget.SCOPE, ["one"])
    assert built.repositories == ("one",)
    assert {item.messages for item in built.items} == {prompt("one", n, Stage.SCOPE) for n in range(2)}
    assert {item.expected for item in built.items} == {GOLD[Stage.SCOPE]}
    assert {item.instance for item in built.items} == {"one-0", "one-1"}


def test_gold_that_did_not_pass_makes_no_item(raw: Engine, store: RawStore) -> None:
    run(store, "one", outcome=OutcomeKind.TESTS_FAILED)
    with pytest.raises(EvaluationError, match="no scope item of repository 'one'"):
        build_set(raw, TrainingTarget.SCOPE, ["one"])


def test_a_commit_is_asked_as_its_newest_gold_run_was(raw: Engine, store: RawStore) -> None:
    run(store, "one", 1)
    run(store, "one", 1, identity="v2", more=" in new words")
    [item] = build_set(raw, TrainingTarget.SCOPE, ["one"]).items
    assert item.messages == prompt("one", 0, Stage.SCOPE, " in new words")


def test_sampling_takes_turns_and_is_the_same_each_time(raw: Engine, store: RawStore) -> None:
    run(store, "big", 9)
    run(store, "small", 2)
    built = build_set(raw, TrainingTarget.TASK_ANALYSIS, ["small", "big"], limit=5)
    counts = {name: sum(item.repository == name for item in built.items) for name in built.repositories}
    assert counts == {"big": 3, "small": 2}
    assert build_set(raw, TrainingTarget.TASK_ANALYSIS, ["big", "small"], limit=5) == built
    assert build_set(raw, TrainingTarget.TASK_ANALYSIS, ["big", "small"], limit=5, seed=1).id != built.id


def test_an_answer_may_be_as_long_as_in_use_whatever_gold_said(raw: Engine, store: RawStore) -> None:
    run(store, "one", 3)
    for target in (TrainingTarget.TASK_ANALYSIS, TrainingTarget.SCOPE):
        items = build_set(raw, target, ["one"]).items
        assert {item.answer_tokens for item in items} == {ANSWER_TOKENS[Stage(target.value)]}


def test_prompts_that_are_too_long_are_left_out(raw: Engine, store: RawStore) -> None:
    run(store, "one", 1)
    with pytest.raises(EvaluationError, match="with a prompt of at most 3 tokens"):
        build_set(raw, TrainingTarget.SCOPE, ["one"], max_prompt_tokens=3)


def test_code_and_plans_are_asked_by_the_harness(raw: Engine, store: RawStore) -> None:
    run(store, "one", 2)
    stages = {item.instance: item.stage for item in build_set(raw, TrainingTarget.PLANNING, ["one"]).items}
    assert stages == {"one-0": Stage.META_PLAN, "one-1": Stage.PART_PLAN}
    assert all(item.messages == () for item in build_set(raw, TrainingTarget.CODE, ["one"]).items)


def test_a_frozen_set_comes_back_and_its_repositories_are_reserved(
    raw: Engine, store: RawStore, curated: Engine
) -> None:
    run(store, "one")
    built = build_set(raw, TrainingTarget.SCOPE, ["one"])
    assert freeze(curated, raw, built) == freeze(curated, raw, built) == built.id
    assert latest_set(curated, TrainingTarget.SCOPE) == built
    assert all_sets(curated) == [built]
    assert reserved(curated) == {"one": "evaluation of scope"}
    with pytest.raises(EvaluationError, match="no evaluation set of code is frozen"):
        latest_set(curated, TrainingTarget.CODE)


@pytest.mark.parametrize("table", ["reservations", "evaluation_sets"])
def test_what_is_frozen_or_reserved_stays(raw: Engine, store: RawStore, curated: Engine, table: str) -> None:
    run(store, "one")
    freeze(curated, raw, build_set(raw, TrainingTarget.SCOPE, ["one"]))
    with pytest.raises(DatabaseError, match="append-only"), curated.begin() as connection:
        connection.execute(text(f"DELETE FROM {table}"))


def test_a_changed_content_is_refused(raw: Engine, store: RawStore, curated: Engine) -> None:
    run(store, "one")
    built = build_set(raw, TrainingTarget.SCOPE, ["one"])
    changed = built.model_dump_json().replace("irrelevant", "supporting")
    with writing(curated) as connection:
        row = EvaluationSetRow(id=built.id, target="scope", items=2, repositories=["one"], content=changed)
        add(connection, row)
    with pytest.raises(EvaluationError, match="was changed after it was frozen"):
        latest_set(curated, TrainingTarget.SCOPE)


def test_a_repository_that_was_trained_on_cannot_be_held_out(raw: Engine, store: RawStore, curated: Engine) -> None:
    run(store, "one")
    run(store, "other")
    train_on(raw, "one")
    assert list(trained_repositories(raw)) == ["one"]
    with pytest.raises(GuardrailError, match=r"held-out: repository 'one' was trained on \(dataset dddd"):
        freeze(curated, raw, build_set(raw, TrainingTarget.SCOPE, ["one", "other"]))
    with pytest.raises(GuardrailError, match="held-out"):
        reserve(curated, raw, ["a", "one"], "why")
    assert reserved(curated) == {}
    assert all_sets(curated) == []


def test_a_dataset_that_nothing_was_trained_on_reserves_nothing(raw: Engine, curated: Engine) -> None:
    train_on(raw, "one", planned=False)
    assert reserve(curated, raw, ["one"], "why") == ["one"]
    assert reserve(curated, raw, ["one"], "again") == []
    assert reserved(curated) == {"one": "why"}


def test_an_empty_set_is_refused(raw: Engine, curated: Engine) -> None:
    with pytest.raises(EvaluationError, match="has no items"):
        freeze(curated, raw, EvaluationSet(target=TrainingTarget.SCOPE, repositories=(), items=()))


def test_contamination_finds_repositories_commits_and_prompts(tmp_path: Path, raw: Engine, store: RawStore) -> None:
    run(store, "one", 1)
    built = build_set(raw, TrainingTarget.SCOPE, ["one"])
    [item] = built.items
    plain = [{"role": "user", "content": "something else"}]
    asked = [message.model_dump() for message in item.messages]
    clean = {"repository": "two", "commit": "f" * 40}
    lines = [
        {"id": "1", "prompt": plain, "provenance": clean},
        {"id": "2", "prompt": plain, "provenance": clean | {"repository": "one"}},
        {"id": "3", "prompt": asked, "provenance": clean},
    ]
    (tmp_path / "sft.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pair = {"id": "4", "prompt": plain, "chosen_by": clean, "rejected_by": clean | {"commit": item.commit}}
    (tmp_path / "dpo.jsonl").write_text(json.dumps(pair) + "\n")
    found = [(hit.file, hit.line, hit.example, hit.what, hit.item) for hit in contamination(tmp_path, [built])]
    assert found == [
        ("sft.jsonl", 2, "2", "repository", "one"),
        ("sft.jsonl", 3, "3", "prompt", "one-0"),
        ("dpo.jsonl", 1, "4", "commit", "one-0"),
    ]
    assert contamination(tmp_path, []) == []
    (tmp_path / "dpo.jsonl").write_text("{\n")
    with pytest.raises(TrainingError, match=r"dpo\.jsonl, line 1: not JSON"):
        contamination(tmp_path, [built])


def test_scores_of_a_campaign_leave_out_what_says_nothing_about_the_subject(raw: Engine, store: RawStore) -> None:
    run(store, "one")
    built = build_set(raw, TrainingTarget.CODE, ["one"])
    with pytest.raises(EvaluationError, match="was not run by student"):
        scores_from_campaign(raw, "c", built)
    run(store, "one", planner="student")
    run(store, "one", planner="student", outcome=OutcomeKind.TESTS_FAILED, sample=1)
    run(store, "one", planner="student", outcome=OutcomeKind.PROVIDER_ERROR, sample=2)
    found = scores_from_campaign(raw, store.register_campaign({"n": 1}), built)
    assert {(score.item, score.seed, score.scores["pass@1"]) for score in found.scores} == {
        (item.id, seed, float(seed == 0)) for item in built.items for seed in (0, 1)
    }
    assert {(each.seed, each.kind) for each in found.excluded} == {(2, OutcomeKind.PROVIDER_ERROR)}
    with pytest.raises(UsageError, match="no campaign was run under the name"):
        scores_from_campaign(raw, "unknown", built)


def test_a_campaign_with_open_or_unjudged_trajectories_gives_no_scores(raw: Engine, store: RawStore) -> None:
    run(store, "one", 1)
    built = build_set(raw, TrainingTarget.CODE, ["one"])
    run(store, "one", 1, planner="student", outcome=None)
    with pytest.raises(EvaluationError, match="was not finished"):
        scores_from_campaign(raw, "c", built)
    run(store, "one", 1, planner="teacher", outcome=OutcomeKind.DISK_FULL)
    with pytest.raises(EvaluationError, match=r"has no verdict \(disk-full\)"):
        scores_from_campaign(raw, "c", built, "teacher")


def test_an_instance_that_is_broken_for_everybody_is_left_out(raw: Engine, store: RawStore) -> None:
    run(store, "one", 1)
    built = build_set(raw, TrainingTarget.CODE, ["one"])
    run(store, "one", 1, planner="student", outcome=OutcomeKind.FLAKY)
    came = scores_from_campaign(raw, "c", built)
    assert (came.scores, [each.kind for each in came.excluded]) == ((), [OutcomeKind.FLAKY])


def test_plans_have_a_rate_for_each_kind(raw: Engine, store: RawStore) -> None:
    run(store, "one", 2)
    built = build_set(raw, TrainingTarget.PLANNING, ["one"])
    run(store, "one", 2, planner="student")
    stages = {item.id: item.stage.value for item in built.items}
    for score in scores_from_campaign(raw, "c", built).scores:
        assert score.scores.items() >= {"pass@1": 1.0, f"pass@1 {stages[score.item]}": 1.0}.items()


def test_two_models_under_one_name_are_told_apart_by_identity(raw: Engine, store: RawStore) -> None:
    run(store, "one", 1)
    built = build_set(raw, TrainingTarget.CODE, ["one"])
    run(store, "one", 1, planner="student", identity="base")
    run(store, "one", 1, planner="student", identity="adapter", outcome=OutcomeKind.TESTS_FAILED)
    with pytest.raises(EvaluationError, match="several models or adapters answered as student"):
        scores_from_campaign(raw, "c", built)
    [base] = scores_from_campaign(raw, "c", built, identity="base").scores
    [adapter] = scores_from_campaign(raw, "c", built, identity="adapter").scores
    assert (base.scores, adapter.scores) == ({"pass@1": 1.0}, {"pass@1": 0.0})
    first, second = (
        Evaluation(
            set_id=built.id, target=TrainingTarget.CODE, subject=Subject(name="s", base="b"), settings={}, seconds=0.0,
            scores=scores,
        )
        for scores in ((base, base.model_copy(update={"seed": 1})), (adapter,))
    )  # fmt: skip
    assert [len(each.scores) for each in in_common(first, second)] == [1, 1]
