"""The recipe: one for all back ends, what they change of it, and the id of what comes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from training.fit.recipe import LINEAR_LAYERS, applied, job_id, overrides, recipe_for

SFT = recipe_for(TrainingTarget.SCOPE, "sft", TrainingSettings())


def test_the_recipe_is_that_of_the_papers() -> None:
    assert (SFT.rank, SFT.alpha, SFT.dropout, SFT.learning_rate, SFT.optimizer) == (16, 32, 0.0, 2e-4, "adamw_8bit")
    assert (SFT.precision, SFT.quantisation, SFT.packing) == ("bf16", "nf4-double", True)
    assert len(LINEAR_LAYERS) == 7 and SFT.epochs <= 3
    code = recipe_for(TrainingTarget.CODE, "dpo", TrainingSettings())
    assert (code.rank, code.alpha, code.beta, code.epochs) == (32, 64, 0.1, 1)
    assert recipe_for(TrainingTarget.PRECISION, "sft", TrainingSettings()).curriculum


def test_what_a_processor_changes_is_named_with_its_reason() -> None:
    changes = overrides(SFT, "trl-cpu")
    assert {change.field for change in changes} == {
        "optimizer",
        "precision",
        "quantisation",
        "gradient_checkpointing",
        "packing",
        "micro_batch",
    }
    assert all(change.reason and change.recipe != change.used for change in changes)
    assert overrides(applied(SFT, "trl-cpu"), "trl-cpu") == ()
    assert [change.field for change in overrides(SFT, "trl-gpu")] == ["answer_logits"]
    fast = recipe_for(TrainingTarget.SCOPE, "sft", TrainingSettings(cpu_bf16=True))
    assert applied(fast, "trl-cpu").precision == "bf16"


@pytest.mark.parametrize("method", ["dpo", "full"])
def test_a_method_changes_what_it_cannot_use(method: str) -> None:
    recipe = recipe_for(TrainingTarget.PLANNING, method, TrainingSettings())  # type: ignore[arg-type]
    field = {"dpo": "packing", "full": "quantisation"}[method]
    assert [change.field for change in overrides(recipe, "trl-gpu")] == ["answer_logits", field]


@given(st.sampled_from(["dataset", "base", "start", "code", "seed", "backend"]))
def test_a_plan_is_another_when_anything_of_it_is(changed: str) -> None:
    same = {"dataset": "d", "base": "b", "start": None, "code": "c", "recipe": SFT, "backend": "trl-cpu"}
    other = {"seed": {"recipe": SFT.model_copy(update={"seed": 7})}, "backend": {"backend": "trl-gpu"}}
    assert job_id(**same) == job_id(**same)  # type: ignore[arg-type]
    assert job_id(**(same | other.get(changed, {changed: "x"}))) != job_id(**same)  # type: ignore[arg-type]
