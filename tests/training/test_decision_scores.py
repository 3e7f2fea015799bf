"""Early stopping by decisions: the metrics, and the step that they keep."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TrainingError
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import judged_dataset, tiny_base
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.fit.data import TrainingRow, supervised_rows
from training.fit.decision_scores import (
    DecisionScores,
    average_precision,
    class_tokens,
    macro_f1,
    metrics_of,
    score_decisions,
)
from training.fit.fitting import fit_sft
from training.fit.monitor import TrainingMonitor
from training.fit.recipe import Recipe, recipe_for


@given(st.lists(st.tuples(st.sampled_from([-3.0, -2.0, -1.0, -0.5]), st.booleans()), min_size=1))
def test_average_precision_is_the_area_under_the_steps_of_precision(pairs: list[tuple[float, bool]]) -> None:
    scores, positive = [score for score, _ in pairs], [hit for _, hit in pairs]
    if not any(positive):
        return
    area = before = 0.0
    for threshold in sorted(set(scores), reverse=True):
        above = [hit for score, hit in pairs if score >= threshold]
        recall = sum(above) / sum(positive)
        area += sum(above) / len(above) * (recall - before)
        before = recall
    assert average_precision(scores, positive) == pytest.approx(area)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_macro_f1_is_the_mean_of_harmonic_means_over_the_classes_that_occur(pairs: list[tuple[int, int]]) -> None:
    chosen, gold = [a for a, _ in pairs], [b for _, b in pairs]
    f1 = []
    for label in set(gold):
        right = pairs.count((label, label))
        precision, recall = right / max(1, chosen.count(label)), right / gold.count(label)
        f1.append(2 * precision * recall / (precision + recall) if right else 0.0)
    assert macro_f1(chosen, gold) == pytest.approx(sum(f1) / len(f1))


def test_a_certain_judge_has_no_loss_and_a_missing_class_no_precision() -> None:
    sure = DecisionScores(("irrelevant", "relevant"), [[0.0, -50.0], [0.0, -50.0]], [0, 0], 0.1)
    found = metrics_of(sure, {"irrelevant": 0.5}, "relevant")
    assert (found["decision_loss"], found["accuracy"], found["macro_f1"]) == (0.0, 1.0, 1.0)
    assert "average_precision" not in found


def test_a_token_that_begins_two_classes_is_an_error() -> None:
    rows = [TrainingRow("a", 1.0, [5, 6], [5, 6], None, ((0, "relevant"), (1, "irrelevant")))]
    assert class_tokens(rows) == {"irrelevant": (6,), "relevant": (5,)}
    with pytest.raises(TrainingError, match=r"token 5 .*'irrelevant' and 'relevant'"):
        class_tokens([rows[0]._replace(ids=[5, 5])])


@pytest.mark.parametrize("watched", ["loss", "decision_loss", "macro_f1"])
def test_the_best_step_is_by_what_is_watched(tmp_path: Path, watched: str) -> None:
    kept: list[int] = []
    watch = TrainingMonitor(tmp_path, lambda _: None, 2, lambda _, step: kept.append(step), watched=watched)
    rows = [(1, 3.0, 0.9, 0.3), (2, 2.0, 0.7, 0.5), (3, 2.5, 0.6, 0.4), (4, 1.0, 0.8, 0.45), (5, 4.0, 1.0, 0.2)]
    stops = [
        watch.evaluated(step, {"eval_loss": loss, "eval_decision_loss": deciding, "eval_macro_f1": f1}, None)
        for step, loss, deciding, f1 in rows
    ]
    best = {"loss": 4, "decision_loss": 3, "macro_f1": 2}[watched]
    assert watch.best_step() == best == kept[-1]
    assert [number for number, stop in enumerate(stops, 1) if stop] == list(range(best + 2, 6))
    again = TrainingMonitor(tmp_path, lambda _: None, 2, lambda _, step: None, watched=watched)
    again.begin(5)
    assert again.best_step() == best and again.evaluations == [(step, loss) for step, loss, _, _ in rows]


def test_a_metric_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    watch = TrainingMonitor(tmp_path, lambda _: None, 2, lambda _, step: None, watched="decision_loss")
    with pytest.raises(TrainingError, match="eval_decision_loss is nan"):
        watch.evaluated(1, {"eval_loss": 1.0, "eval_decision_loss": math.nan}, None)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("scores") / "base")


def a_recipe(**changes: Any) -> Recipe:
    settings = TrainingSettings(batch_size=2, epochs=2, max_tokens=512, learning_rate=5e-3, patience=5)
    plain = {"quantisation": "none", "precision": "fp32", "optimizer": "adamw_torch", "packing": False}
    plain |= {"gradient_checkpointing": "no", "micro_batch": 1}
    return recipe_for(TrainingTarget.SCOPE, "sft", settings).model_copy(update=plain | changes)


@pytest.mark.slow
def test_probabilities_are_the_models_own_over_the_classes(base: Base, tmp_path: Path) -> None:
    import torch

    from training.fit.backends import load_base

    rows = supervised_rows(judged_dataset(tmp_path / "d", rows=6), ChatFormat.load(base.path), a_recipe()).train
    model = load_base(base, a_recipe(), "trl-cpu").eval()
    tokens = class_tokens(rows)
    scores = score_decisions(model, rows, tokens)
    expected, losses = [], []
    for row in rows:
        with torch.no_grad():
            logs = model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
        learned = [index for index, label in enumerate(row.labels) if label >= 0]
        losses.append(-sum(float(logs[index - 1, row.ids[index]]) for index in learned) / len(learned))
        for index, label in row.decisions:
            by_class = {each: sum(float(logs[index - 1, token].exp()) for token in tokens[each]) for each in tokens}
            expected.append(math.log(by_class[label] / sum(by_class.values())))
    found = [row[gold] for row, gold in zip(scores.log_probs, scores.gold, strict=True)]
    assert found == pytest.approx(expected, abs=1e-4) and scores.loss == pytest.approx(sum(losses) / len(losses))


@pytest.mark.slow
def test_a_training_keeps_the_step_with_the_best_decisions(base: Base, tmp_path: Path) -> None:
    dataset = judged_dataset(tmp_path / "d", rows=12, validation=6)
    recipe = a_recipe()
    assert recipe.early_stopping == "decision_loss"
    fit = fit_sft(dataset, base, tmp_path / "o", recipe, lambda _: None)
    rows = [json.loads(line) for line in (tmp_path / "o" / "losses.jsonl").read_text().splitlines()]
    evaluations = [row for row in rows if "eval_loss" in row]
    assert all({"eval_decision_loss", "eval_macro_f1", "eval_average_precision"} <= set(row) for row in evaluations)
    best = min(evaluations, key=lambda row: row["eval_decision_loss"])
    assert fit.best_step == best["step"]
    plain = fit_sft(dataset, base, tmp_path / "plain", a_recipe(early_stopping="loss"), lambda _: None)
    assert plain.losses[0] == fit.losses[0]
    assert [loss for _, loss in plain.eval_losses] == pytest.approx([row["eval_loss"] for row in evaluations], abs=1e-4)


def test_chance_has_the_average_precision_of_its_prevalence() -> None:
    generator = random.Random(1)
    positive = [number % 5 == 0 for number in range(5000)]
    assert average_precision([generator.random() for _ in positive], positive) == pytest.approx(0.2, abs=0.02)
