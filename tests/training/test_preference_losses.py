"""Preferences: the losses that settings choose, the margins before the first step, and rows that are too long."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from models.errors import TrainingError
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import judged_dataset, tiny_base, write_dataset
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.fit.data import PreferenceRow, supervised_rows
from training.fit.fitting import Fit, fit_dpo
from training.fit.margins import summarised, taught
from training.fit.recipe import Recipe, recipe_for


def a_row(name: str, kind: str, weight: float = 1.0) -> PreferenceRow:
    return PreferenceRow(name, weight, [1, 2], [3], [4], kind)


def test_a_pair_that_is_preferred_already_weighs_less_unless_an_experiment_attributed_it() -> None:
    rows = [a_row("a", "before-after"), a_row("b", "before-after", 0.5), a_row("c", "attributed")]
    low, same, other = (row.weight for row in taught(rows, [math.log(3), -2.0, 5.0]))
    assert low == pytest.approx(0.5) and (same, other) == (0.5, 1.0)
    assert taught(rows, [1e4, 0.0, 0.0])[0].weight > 0


def test_margins_are_told_by_kind() -> None:
    rows = [a_row("a", "before-after"), a_row("b", "before-after"), a_row("c", "attributed")]
    assert summarised(rows, [1.0, -2.0, 3.0]) == {
        "attributed": {"pairs": 1, "margin": 3.0, "preferred": 1.0},
        "before-after": {"pairs": 2, "margin": -0.5, "preferred": 0.5},
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("preferences") / "base")


def a_recipe(**settings: Any) -> Recipe:
    chosen = TrainingSettings(batch_size=2, checkpoint_steps=50, max_tokens=512, dpo_learning_rate=2e-3, **settings)
    return recipe_for(TrainingTarget.CODE, "dpo", chosen)


def trained(base: Base, folder: Path, **settings: Any) -> Fit:
    dataset = write_dataset(folder / "d", rows=4, pairs=6)
    return fit_dpo(dataset, base, folder / "o", a_recipe(**settings), None, lambda progress: None)


@pytest.mark.slow
def test_the_supervised_term_and_margins_per_token_change_the_loss_as_their_papers_say(
    base: Base, tmp_path: Path
) -> None:
    plain = trained(base, tmp_path / "plain")
    per_token = trained(base, tmp_path / "per token", dpo_loss="sigmoid_norm")
    with_sft = trained(base, tmp_path / "sft", dpo_rpo_alpha=0.5)
    assert plain.losses[0] == pytest.approx(math.log(2), abs=1e-3) == per_token.losses[0]
    assert per_token.losses[1:] != plain.losses[1:]
    # beside log 2, half the mean loss of the chosen answers' tokens: about log of the vocabulary, for a random base
    assert with_sft.losses[0] - plain.losses[0] == pytest.approx(0.5 * math.log(1024), rel=0.1)
    assert plain.margins.keys() == {"attributed"} and plain.margins["attributed"]["pairs"] == 6
    assert json.loads((tmp_path / "plain" / "o" / "fit.json").read_text())["margins"] == plain.margins


@pytest.mark.slow
def test_margins_are_what_the_model_says_of_whole_rows(base: Base, tmp_path: Path) -> None:
    import torch

    from training.fit.backends import load_base
    from training.fit.margins import margins_of

    model = load_base(base, a_recipe().model_copy(update={"quantisation": "none", "precision": "fp32"}), "trl-cpu")
    row = PreferenceRow("a", 1.0, [5, 6, 7], [8, 9], [10, 11, 12])

    def mean(answer: list[int]) -> float:
        with torch.no_grad():
            logs = model(input_ids=torch.tensor([row.prompt + answer])).logits[0].log_softmax(-1)
        return sum(float(logs[2 + place, token]) for place, token in enumerate(answer)) / len(answer)

    assert margins_of(model, [row]) == pytest.approx([mean(row.chosen) - mean(row.rejected)], abs=1e-5)


@pytest.mark.slow
def test_a_dataset_of_mostly_too_long_rows_is_refused_with_its_stages(base: Base, tmp_path: Path) -> None:
    chat = ChatFormat.load(base.path)
    dataset = judged_dataset(tmp_path / "d", rows=10)
    recipe = recipe_for(TrainingTarget.SCOPE, "sft", TrainingSettings(max_too_long=0.3))
    lengths = sorted(len(row.ids) for row in supervised_rows(dataset, chat, recipe).train)
    shorter = recipe.model_copy(update={"max_tokens": lengths[2]})
    left_out = sum(length > lengths[2] for length in lengths)
    with pytest.raises(TrainingError, match=rf"{left_out} of 10 rows .*\(scope {left_out}\).*max_too_long = 30%"):
        supervised_rows(dataset, chat, shorter)
    rows = supervised_rows(dataset, chat, shorter.model_copy(update={"max_too_long": 1.0}))
    assert rows.too_long_by_stage == {"scope": left_out} and rows.too_long == left_out


def test_what_only_refuses_changes_no_identity() -> None:
    assert a_recipe(max_too_long=0.1).id == a_recipe().id != a_recipe(dpo_rpo_alpha=1.0).id
