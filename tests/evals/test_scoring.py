"""Scores of answers, and evaluations that a kill does not set back."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from evals.metrics import class_counts, item_scores, macro_f1, schema_of
from evals.scoring import (
    Question,
    evaluation_id,
    find_evaluation,
    find_result,
    keep_evaluation,
    score,
    score_once,
    settings_of,
)
from evals.thresholds import REQUIREMENTS
from models.chat import Message
from models.context import Relevance, SymbolUse
from models.errors import EvaluationError
from models.evaluation import EvaluationItem, EvaluationSet, Subject
from models.protocols import Stage
from models.training import TrainingTarget
from store.database import open_database

NAMES = st.text("abc_/.é", min_size=1, max_size=8)
FILES = st.dictionaries(NAMES, st.sampled_from([each.value for each in Relevance]), min_size=1, max_size=8)
SYMBOLS = st.dictionaries(
    NAMES, st.dictionaries(NAMES, st.sampled_from([each.value for each in SymbolUse]), min_size=1, max_size=4),
    min_size=1, max_size=3,
)  # fmt: skip
ANALYSES = st.builds(lambda files: {"summary": "s", "files": files}, st.lists(NAMES, max_size=4, unique=True))
NUMBERED = {
    stage: st.lists(st.sampled_from([each.letter for each in kind]), min_size=1, max_size=8).map(
        lambda letters: {str(number): letter for number, letter in enumerate(letters, start=1)}
    )
    for stage, kind in ((Stage.SCOPE, Relevance), (Stage.PRECISION, SymbolUse))
}
GOLD = st.one_of(
    *(st.tuples(st.just(stage), answers) for stage, answers in NUMBERED.items()),
    st.tuples(st.just(Stage.SCOPE), FILES.map(lambda files: {"files": files})),
    st.tuples(st.just(Stage.PRECISION), SYMBOLS.map(lambda symbols: {"symbols": symbols})),
    st.tuples(st.just(Stage.TASK_ANALYSIS), ANALYSES),
)
SCOPE = {"a.py": "relevant", "b.py": "supporting", "c.py": "irrelevant", "d.py": "irrelevant"}
SUBJECT = Subject(name="base", base="b" * 64)


def item(stage: Stage, expected: Any, number: int = 0) -> EvaluationItem:
    return EvaluationItem(
        id=f"i{number}", stage=stage, repository=f"r{number % 3}", instance=f"n{number}", commit="c",
        messages=(Message(role="user", content=f"question {number}" + "!" * (number % 4)),),
        expected=json.dumps(expected), answer_tokens=99,
    )  # fmt: skip


def scope(number: int = 0, files: Mapping[str, str] = SCOPE) -> EvaluationItem:
    return item(Stage.SCOPE, {"files": files}, number)


def scope_set(count: int = 5) -> EvaluationSet:
    items = tuple(scope(number) for number in range(count))
    return EvaluationSet(target=TrainingTarget.SCOPE, repositories=("r0", "r1", "r2"), items=items)


@given(GOLD)
def test_gold_scores_one_on_everything(gold: tuple[Stage, Any]) -> None:
    stage, expected = gold
    scores = item_scores(item(stage, expected), json.dumps(expected))
    assert set(scores.values()) == {1.0}
    assert "well_formed" in scores


@given(GOLD, st.text())
def test_no_answer_raises_and_one_that_cannot_be_read_scores_nothing(gold: tuple[Stage, Any], answer: str) -> None:
    asked = item(*gold)
    scores = item_scores(asked, answer)
    assert set(scores) == set(item_scores(asked, asked.expected))
    if not scores["well_formed"]:
        assert set(scores.values()) == {0.0}


@given(FILES, st.randoms(use_true_random=False))
def test_the_order_of_an_answer_does_not_matter(files: dict[str, str], chance: random.Random) -> None:
    names = list(files)
    chance.shuffle(names)
    answer = json.dumps({"files": {name: files[name] for name in names}})
    assert item_scores(scope(0, files), answer)["accuracy"] == 1.0


@given(FILES, FILES)
def test_every_metric_lies_between_zero_and_one(expected: dict[str, str], given_: dict[str, str]) -> None:
    answer = json.dumps({"files": {name: given_.get(name, "irrelevant") for name in list(expected)[:3]}})
    scores = item_scores(scope(0, expected), answer)
    assert all(0.0 <= value <= 1.0 for value in scores.values())


def test_what_an_answer_leaves_out_is_wrong() -> None:
    scores = item_scores(scope(), '{"files": {"a.py": "relevant"}}')
    assert (scores["accuracy"], scores["relevant_recall"]) == (0.25, 1.0)
    assert item_scores(scope(), '{"files": {}}')["accuracy"] == 0.0


def test_an_answer_by_number_is_scored_by_number_and_its_schema_has_the_numbers() -> None:
    asked = item(Stage.SCOPE, {"1": "R", "2": "I", "3": "I", "4": "S"})
    scores = item_scores(asked, '{"1": "R", "2": "I", "3": "S"}')
    assert (scores["accuracy"], scores["relevant_recall"], scores["well_formed"]) == (0.5, 1.0, 1.0)
    assert item_scores(asked, '{"5": "R"}')["well_formed"] == 0.0
    schema = schema_of(asked, 99)
    assert schema is not None
    assert schema["required"] == ["1", "2", "3", "4"]
    assert {each for value in schema["properties"].values() for each in value["enum"]} == {"R", "S", "I"}


def test_naming_a_file_that_was_not_shown_makes_an_answer_unreadable_as_it_does_for_the_agent() -> None:
    scores = item_scores(scope(), json.dumps({"files": {**SCOPE, "e.py": "relevant"}}))
    assert set(scores.values()) == {0.0}


def test_calling_everything_irrelevant_does_not_look_good() -> None:
    asked = scope(0, {"a.py": "relevant"} | {f"{n}.py": "irrelevant" for n in range(9)})
    answer = json.dumps({"files": dict.fromkeys(["a.py", *(f"{n}.py" for n in range(9))], "irrelevant")})
    scores = item_scores(asked, answer)
    assert scores["accuracy"] == 0.9
    assert scores["relevant_recall"] == 0.0
    assert scores["macro_f1"] < 0.5
    counts = class_counts([(asked, answer), (asked, "rubbish")])
    assert (counts["irrelevant"].expected, counts["irrelevant"].given, counts["irrelevant"].agreed) == (18, 10, 9)
    assert (counts["relevant"].f1, counts["(none)"].given) == (0.0, 10)
    assert macro_f1(counts) == pytest.approx((2 * 9 / 28 + 0.0) / 2)


def test_task_analysis_is_judged_by_the_files_that_change() -> None:
    asked = item(Stage.TASK_ANALYSIS, {"summary": "s", "files": ["a.py", "b.py"]})
    scores = item_scores(asked, 'Well: {"summary": "t", "files": ["./a.py", "x.py", "y.py", "z.py"]}')
    assert scores == {"well_formed": 1.0, "recall": 0.5, "precision": 0.25}
    assert item_scores(asked, '{"summary": "t"}') == {"well_formed": 1.0, "recall": 0.0, "precision": 0.0}
    nothing = item(Stage.TASK_ANALYSIS, {"summary": "s"})
    assert item_scores(nothing, '{"summary": "t", "files": ["a.py"]}') == {"well_formed": 1.0, "precision": 0.0}


def test_each_target_has_the_primary_metrics_that_its_gate_asks_for() -> None:
    golds = {
        TrainingTarget.TASK_ANALYSIS: {"summary": "s", "files": ["a.py"]},
        TrainingTarget.SCOPE: {"files": SCOPE},
        TrainingTarget.PRECISION: {"symbols": {"a.py": {"f": "primary"}}},
    }
    for target, gold in golds.items():
        asked = item(Stage(target.value), gold)
        assert {metric.name for metric in REQUIREMENTS[target].metrics} <= set(item_scores(asked, asked.expected))


def test_the_schema_of_an_item_names_what_was_shown() -> None:
    found = schema_of(scope(), 2048)
    assert found is not None
    assert list(found["properties"]["files"]["properties"]) == list(SCOPE)
    found = schema_of(item(Stage.PRECISION, {"symbols": {"a.py": {"f": "primary"}}}), 2048)
    assert found is not None
    assert list(found["properties"]["symbols"]["properties"]["a.py"]["properties"]) == ["f"]


class Student:
    """Answers that follow from the question; dies at a set call."""

    settings: Mapping[str, str | int | float] = {"backend": "table", "constrained": 0}

    def __init__(self, dies_at: int | None = None) -> None:
        self.asked: list[str] = []
        self.dies_at = dies_at

    def limit(self, wanted: int) -> int:
        return wanted

    def answer(
        self, messages: Sequence[Message], max_tokens: int, seed: int, temperature: float, schema: dict[str, Any] | None
    ) -> str:
        if len(self.asked) == self.dies_at:
            raise KeyboardInterrupt
        text = messages[0].content
        self.asked.append(text)
        return json.dumps({"files": SCOPE}) if len(text) % 2 else f"{seed} \udc80"


class Class(Student):
    """Answers three questions together."""

    batch = 3

    def answer_many(self, questions: Sequence[Question], seed: int, temperature: float) -> list[str]:
        return [self.answer(each.messages, each.max_tokens, seed, temperature, each.schema) for each in questions]


@pytest.fixture
def raw(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "raw.sqlite", "raw")


@pytest.mark.parametrize(("kind", "again"), [(Student, 3), (Class, 4)])
def test_a_killed_evaluation_goes_on_where_it_was(tmp_path: Path, kind: type[Student], again: int) -> None:
    asked, settings = scope_set(7), settings_of(Student())
    whole = score(asked, kind(), SUBJECT, settings, tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        score(asked, kind(dies_at=4), SUBJECT, settings, tmp_path)
    [journal] = tmp_path.glob("*.jsonl")
    journal.write_bytes(journal.read_bytes() + b'{"item": "i6", "se')  # cut off in the middle of a write
    student = kind()
    resumed = score(asked, student, SUBJECT, settings, tmp_path)
    assert len(student.asked) == again
    assert resumed.evaluation.scores == whole.evaluation.scores
    assert [(a.item, a.text) for a in resumed.answers] == [(a.item, a.text) for a in whole.answers]


def test_progress_counts_every_answer(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    score(
        scope_set(4), Class(), SUBJECT, settings_of(Class()), tmp_path, lambda done, total: seen.append((done, total))
    )
    assert seen == [(0, 4), (3, 4), (4, 4)]


def test_several_seeds_need_a_temperature(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="2 seeds at temperature 0"):
        settings_of(Student(), seeds=2)
    settings = settings_of(Student(), seeds=2, temperature=0.5)
    found = score(scope_set(3), Class(), SUBJECT, settings, tmp_path).evaluation
    assert {(each.item, each.seed) for each in found.scores} == {(f"i{n}", seed) for n in range(3) for seed in (0, 1)}


def test_a_finished_evaluation_is_found_and_not_done_again(tmp_path: Path, raw: Engine) -> None:
    asked, settings = scope_set(), settings_of(Student())
    assert find_evaluation(raw, asked.id, SUBJECT, settings) is None
    first = score_once(raw, asked, Student(), SUBJECT, settings, tmp_path)
    renamed = SUBJECT.model_copy(update={"name": "another label"})
    student = Student(dies_at=0)
    assert score_once(raw, asked, student, renamed, settings, tmp_path / "new").scores == first.scores
    kept = find_result(raw, asked.id, renamed, settings)
    assert kept is not None
    assert (kept.evaluation.subject, len(kept.answers)) == (renamed, 5)
    assert keep_evaluation(raw, kept, asked).scores == first.scores


def test_another_adapter_set_or_setting_is_another_evaluation() -> None:
    settings = settings_of(Student())
    ids = {
        evaluation_id("set", SUBJECT, settings),
        evaluation_id("other", SUBJECT, settings),
        evaluation_id("set", SUBJECT.model_copy(update={"adapter": "a"}), settings),
        evaluation_id("set", SUBJECT, settings | {"constrained": 1}),
    }
    assert len(ids) == 4
    assert evaluation_id("set", SUBJECT.model_copy(update={"name": "x"}), dict(settings)) in ids


def test_code_and_plans_are_refused(tmp_path: Path) -> None:
    empty = EvaluationSet(target=TrainingTarget.CODE, repositories=(), items=())
    with pytest.raises(EvaluationError, match="a code set is judged by the harness"):
        score(empty, Student(), SUBJECT, settings_of(Student()), tmp_path)
    with pytest.raises(EvaluationError, match="is judged by the harness"):
        item_scores(item(Stage.META_PLAN, {}), "x")
