"""Losses by objective: noted from the trainer's own numbers, or measured apart where a model's forward keeps them."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
import torch
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from models.objectives import Objective
from tests.support.tiny import make_tiny_base
from training.fit.columns import OBJECTIVES, PLACES
from training.fit.data import IGNORED
from training.fit.objective_losses import MEASURED_EVERY, objective_trainer

pytestmark = pytest.mark.slow

Noted = dict[Objective, tuple[float, int]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("objectives") / "base")


def batch() -> dict[str, Any]:
    """Two rows: style and role in the first, role in the second, each with a prompt that is not learned."""
    ids = torch.arange(40).reshape(2, 20) % 200 + 5
    labels = ids.clone()
    labels[:, :6] = IGNORED
    places = torch.full_like(ids, PLACES[Objective.ROLE])
    places[0, :13] = PLACES[Objective.STYLE]
    return {"input_ids": ids, "labels": labels, "attention_mask": torch.ones_like(ids), OBJECTIVES: places}


def expected(model: Any) -> Noted:
    """The sums of nats of each objective's learned tokens, from the logits."""
    given = batch()
    with torch.no_grad():
        logits = model(input_ids=given["input_ids"]).logits[:, :-1].float()
    nats = -logits.log_softmax(-1).gather(2, given["input_ids"][:, 1:, None])[..., 0]
    learned, places = given["labels"][:, 1:] != IGNORED, given[OBJECTIVES][:, 1:]
    own = {each: learned & (places == PLACES[each]) for each in (Objective.STYLE, Objective.ROLE)}
    return {each: (float(nats[mask].sum()), int(mask.sum())) for each, mask in own.items()}


def opened(parent: Any, config: Any, base: Path, folder: Path) -> tuple[Any, Noted]:
    """A trainer by objective on the tiny base, and what it notes."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    arguments = config(output_dir=str(folder), use_cpu=True, bf16=False, report_to="none")
    options: dict[str, Any] = {}
    if parent is SFTTrainer:
        from datasets import Dataset

        rows = Dataset.from_list([{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}])
        arguments.dataset_kwargs = {"skip_prepare_dataset": True}
        options = {"train_dataset": rows}
    trainer = objective_trainer(parent)(model=model, args=arguments, **options)
    noted: Noted = {}
    trainer.note_objective = lambda objective, nats, tokens: noted.update({objective: (nats, tokens)})
    return trainer, noted


@pytest.mark.parametrize(("parent", "config"), [(SFTTrainer, SFTConfig), (Trainer, TrainingArguments)])
def test_both_ways_give_the_losses_of_the_logits(parent: Any, config: Any, base: Path, tmp_path: Path) -> None:
    """The plain trainer's forward returns a mean loss and no log-probabilities, as that of Unsloth does."""
    trainer, noted = opened(parent, config, base, tmp_path)
    loss = trainer.compute_loss(trainer.model, batch())
    wanted = expected(trainer.model)
    assert noted.keys() == wanted.keys()
    for objective, (nats, tokens) in wanted.items():
        assert noted[objective][0] == pytest.approx(nats, rel=1e-4)
        assert noted[objective][1] == tokens
    total = sum(nats for nats, _ in wanted.values()) / sum(tokens for _, tokens in wanted.values())
    assert float(loss) == pytest.approx(total, rel=1e-4)
    assert loss.requires_grad


def test_measuring_apart_is_of_some_steps_and_draws_no_random_number(base: Path, tmp_path: Path) -> None:
    trainer, noted = opened(Trainer, TrainingArguments, base, tmp_path)
    trainer.state.global_step = MEASURED_EVERY + 1
    trainer.compute_loss(trainer.model, batch())
    assert not noted
    trainer.state.global_step = 2 * MEASURED_EVERY
    before = torch.random.get_rng_state()
    trainer.compute_loss(trainer.model, batch())
    assert noted and torch.equal(torch.random.get_rng_state(), before)
