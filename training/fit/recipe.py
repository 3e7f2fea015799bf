"""The training recipe and each back end's overrides, as data that is recorded and shown.

LoRA as in Hu et al. 2021, quantised as in QLoRA (Dettmers et al. 2023): all seven linear layers, alpha twice the rank,
NF4 with double quantisation, bf16, 8-bit AdamW, cosine. Preferences by DPO (Rafailov et al. 2023).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from models.objectives import Objective
from models.plans import Frozen
from models.training import TrainingTarget
from models.training_settings import TrainingSettings

TrainingBackend = Literal["unsloth-gpu", "trl-gpu", "trl-cpu"]
Method = Literal["sft", "dpo", "full"]
Masters = Literal["backend", "fp32", "bf16"]

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Recipe(Frozen):
    """Everything that determines the result of a training, given data, base and start.

    curriculum: the first epoch follows the order of the file. optimizer: a name of the trainers' library. cpu_bf16: a
    CPU may compute in bf16; the base's weights stay unchanged. forced_weight and class_balance: weights of tokens in
    the loss (`training.fit.decisions`); early_stopping: what it watches. Fields with a default came later: at that
    default the training is the one that it was before there was such a field, and has the same id. dpo_loss and
    rpo_alpha: the loss of preferences (`training.fit.trainers`). max_too_long: the most that may be left out. pacing:
    share of the training after which all rows are available, in the order of the file (`training_order`).
    reasoning_weight: of the tokens of reasoning in a plan, in the loss. masters: precision of the weights that the
    optimizer changes in a full fine-tune (backend: bf16 on a GPU, fp32 elsewhere). mixture: (objective, share) of each.
    watch: the validation rows that may stop the training (`training.fit.watched`).
    """

    method: Method
    rank: int
    modules: tuple[str, ...] = LINEAR_LAYERS
    dropout: float = 0.0
    learning_rate: float
    warmup: float
    weight_decay: float = 0.01
    max_gradient: float = 1.0
    beta: float
    optimizer: str = "adamw_8bit"
    precision: Literal["bf16", "fp32"] = "bf16"
    quantisation: Literal["nf4-double", "none"] = "nf4-double"
    gradient_checkpointing: Literal["yes", "unsloth", "no"] = "yes"
    packing: bool
    epochs: int
    patience: int
    batch_size: int
    micro_batch: int
    max_tokens: int
    max_steps: int | None
    cpu_bf16: bool
    thinking: bool | None
    curriculum: bool
    validation_rows: int
    checkpoint_steps: int
    seed: int
    forced_weight: float = 1.0
    class_balance: Literal["none", "effective", "inverse"] = "none"
    class_beta: float = 0.0
    class_cap: float = 1.0
    early_stopping: Literal["loss", "decision_loss", "macro_f1", "average_precision"] = "loss"
    answer_logits: bool = False
    dpo_loss: Literal["sigmoid", "sigmoid_norm"] = "sigmoid"
    rpo_alpha: float = 0.0
    margin_weights: bool = False
    max_too_long: float = 1.0
    pacing: float = 0.0
    reasoning_weight: float = 1.0
    masters: Masters = "backend"
    mixture: tuple[tuple[Objective, float], ...] = ()
    watch: Literal["all", "half"] = "all"

    @property
    def alpha(self) -> int:
        """LoRA's scale, twice the rank."""
        return 2 * self.rank

    @property
    def id(self) -> str:
        """Hash of all its values."""
        return _digest(self.values)

    @property
    def values(self) -> dict[str, Any]:
        """Its values for an identity: all but the later fields that are at their defaults."""
        return self.model_dump(mode="json", exclude={*_REFUSES, *filter(self._is_default, _LATER)})

    @property
    def weighs(self) -> bool:
        """Whether tokens of an answer have different weights in the loss."""
        return self.forced_weight != 1.0 or self.reasoning_weight != 1.0 or self.class_balance != "none"

    def _is_default(self, name: str) -> bool:
        return bool(getattr(self, name) == type(self).model_fields[name].default)


_LATER = (
    "forced_weight",
    "class_balance",
    "class_beta",
    "class_cap",
    "early_stopping",
    "answer_logits",
    "dpo_loss",
    "rpo_alpha",
    "margin_weights",
    "pacing",
    "reasoning_weight",
    "masters",
    "mixture",
    "watch",
)
"""Fields that came after the first trainings."""
_REFUSES = frozenset({"max_too_long"})
"""Fields that may refuse a training, but change nothing of its result."""


class BackendOverride(NamedTuple):
    """A back end's deviation from the recipe, and the reason."""

    field: str
    recipe: Any
    used: Any
    reason: str


_OVERRIDES: dict[TrainingBackend, dict[str, tuple[Any, str]]] = {
    "unsloth-gpu": {
        "gradient_checkpointing": ("unsloth", "its own checkpointing takes less memory"),
        "answer_logits": (False, "its fused loss needs no logits"),
        "forced_weight": (1.0, "its fused loss takes no weights of tokens"),
        "class_balance": ("none", "its fused loss takes no weights of tokens"),
        "class_beta": (0.0, "without class_balance"),
        "class_cap": (1.0, "without class_balance"),
        "reasoning_weight": (1.0, "its fused loss takes no weights of tokens"),
    },
    "trl-gpu": {"answer_logits": (False, "on a GPU the trainer's own head leaves the others out")},
    "trl-cpu": {
        "optimizer": ("adamw_torch", "8-bit optimizers need a GPU"),
        "precision": ("fp32", "few processors compute bf16; training.cpu_bf16 is for those that do"),
        "quantisation": ("none", "NF4 needs a GPU"),
        "gradient_checkpointing": ("no", "saves memory that is not short, for a third more time"),
        "packing": (False, "without kernels for packed rows it gains nothing over one row at a time"),
        "micro_batch": (1, "one row fills the cores, and nothing is padded"),
    },
}
_DPO: dict[str, tuple[Any, str]] = {"packing": (False, "preferences come in pairs, which are not packed")}
_FULL: dict[str, tuple[Any, str]] = {"quantisation": ("none", "all parameters are trained, none can stay quantised")}


def recipe_for(target: TrainingTarget, method: Method, settings: TrainingSettings) -> Recipe:
    """The recipe of a target, from the settings, the target and the method."""
    rates = {
        "sft": settings.learning_rate,
        "dpo": settings.dpo_learning_rate,
        "full": settings.full_learning_rate,
    }
    return Recipe(
        method=method,
        rank=settings.code_rank if target is TrainingTarget.CODE else settings.rank,
        learning_rate=rates[method],
        warmup=settings.warmup,
        beta=settings.dpo_beta,
        packing=settings.packing,
        epochs=settings.dpo_epochs if method == "dpo" else settings.epochs,
        patience=settings.patience,
        batch_size=settings.batch_size,
        micro_batch=settings.micro_batch,
        max_tokens=settings.max_tokens,
        max_steps=settings.max_steps,
        cpu_bf16=settings.cpu_bf16,
        thinking=settings.thinking,
        curriculum=target is TrainingTarget.PRECISION,
        validation_rows=settings.validation_rows,
        checkpoint_steps=settings.checkpoint_steps,
        seed=settings.seed,
        answer_logits=settings.answer_logits,
        dpo_loss=settings.dpo_loss if method == "dpo" else "sigmoid",
        rpo_alpha=settings.dpo_rpo_alpha if method == "dpo" else 0.0,
        margin_weights=settings.dpo_margin_weights and method == "dpo",
        max_too_long=settings.max_too_long,
        pacing=settings.pacing,
        masters=settings.full_masters if method == "full" else "backend",
        watch="half" if method == "full" else "all",
        **_weighting(target, method, settings),
    )


def _weighting(target: TrainingTarget, method: Method, settings: TrainingSettings) -> dict[str, Any]:
    """Weights of tokens, for the supervised adapters whose answers are JSON; classes, for those that judge. A critic's
    answer is one letter, and each letter is right as often."""
    if method != "sft" or target in (TrainingTarget.CODE, TrainingTarget.CRITIC):
        return {}
    chosen: dict[str, Any] = {"forced_weight": settings.forced_weight}
    if target is TrainingTarget.PLANNING:
        chosen["reasoning_weight"] = settings.reasoning_weight
    if target not in (TrainingTarget.SCOPE, TrainingTarget.PRECISION):
        return chosen
    if settings.class_balance != "none":
        chosen |= {"class_balance": settings.class_balance, "class_cap": settings.class_cap}
    if settings.class_balance == "effective":
        chosen["class_beta"] = settings.class_beta
    return chosen | {"early_stopping": settings.early_stopping}


def overrides(recipe: Recipe, backend: TrainingBackend) -> tuple[BackendOverride, ...]:
    """The changes that `backend` makes to the recipe, in the order of the fields."""
    changes = (
        _OVERRIDES[backend] | (_DPO if recipe.method == "dpo" else {}) | (_FULL if recipe.method == "full" else {})
    )
    return tuple(
        BackendOverride(field, getattr(recipe, field), value, reason)
        for field, (value, reason) in changes.items()
        if getattr(recipe, field) != value and not (field == "precision" and recipe.cpu_bf16)
    )


def applied(recipe: Recipe, backend: TrainingBackend) -> Recipe:
    """The recipe with the overrides of `backend`."""
    return recipe.model_copy(update={change.field: change.used for change in overrides(recipe, backend)})


def job_id(*, dataset: str, base: str, recipe: Recipe, backend: TrainingBackend, start: str | None, code: str) -> str:
    """The id of a training: hash of the ids of dataset, base and start adapter, of the recipe as applied, and of the
    revision of the code. Trainings with one id give the same adapter."""
    return _digest(
        {
            "dataset": dataset,
            "base": base,
            "recipe": applied(recipe, backend).values,
            "start": start,
            "code": code,
        }
    )


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
