"""What of a training decides its memory and time, taken from the recipe as its back end applies it."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from models.targets import Role, TrainingTarget
from models.training_settings import TrainingSettings
from training.fit.recipe import Recipe, TrainingBackend, applied, recipe_for
from training.resources.shapes import Shape

PlanMethod = Literal["full", "lora", "qlora", "dpo"]
METHODS: tuple[PlanMethod, ...] = get_args(PlanMethod)
Attention = Literal["sdpa", "flash", "eager"]
ANSWER_SHARE = 0.1
"""Of a row's tokens, those of its answer, where no dataset says it: a judge's prompt is ten times as long."""


@dataclass(frozen=True)
class Rows:
    """The data of a training: tokens of one pass over it, of the longest row, and of the longest answer; `count` of
    rows. `measured`: how they were counted."""

    tokens: int
    longest: int
    answer: int
    count: int
    measured: str


@dataclass(frozen=True)
class TrainingSetup:
    """A training as memory and arithmetic see it.

    weight_bytes: of a weight that is not quantised; adapter_bytes: of an adapter's. bf16: matrix products are computed
    in bf16 (autocast). length: tokens of one entry of a batch, a row or (`packed`) a sequence of several; answer: those
    of it that have a loss. scored: where logits are computed, in tiles (answers, all) or at once (whole).
    """

    shape: Shape
    method: PlanMethod
    backend: TrainingBackend
    quantised: bool
    weight_bytes: int
    adapter_bytes: int
    bf16: bool
    rank: int
    optimizer: str
    batch: int
    micro_batch: int
    length: int
    answer: int
    packed: bool
    attention: Attention
    checkpointing: bool
    scored: Literal["answers", "all", "whole"]
    row_tokens: int
    epochs: int

    @property
    def full(self) -> bool:
        """Whether all weights are trained."""
        return self.method == "full"

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on an accelerator."""
        return self.backend != "trl-cpu"

    @property
    def compute_bytes(self) -> int:
        """Bytes of a number in a matrix product."""
        return 2 if self.bf16 else 4

    @property
    def entries(self) -> int:
        """Sequences of a forward pass: preferences have two answers each."""
        return self.micro_batch * (2 if self.method == "dpo" else 1)

    @property
    def tokens(self) -> int:
        """Tokens of a forward pass."""
        return self.entries * self.length

    @property
    def sequence(self) -> int:
        """Tokens that attention works on at once: without a kernel for packed rows, all of a micro-batch."""
        return self.tokens if self.packed and self.attention != "flash" else self.length

    @property
    def masked(self) -> bool:
        """Whether attention is given a mask of sequence x sequence: for padding, or for several rows in a sequence."""
        return self.attention == "sdpa" and (self.packed or self.entries > 1)

    @property
    def rows_each(self) -> float:
        """Rows in an entry of a batch, on average."""
        return max(1.0, self.length / self.row_tokens) if self.packed else 1.0

    @property
    def accumulation(self) -> int:
        """Micro-batches per step, as the trainer rounds them."""
        return max(1, round(self.batch / (self.micro_batch * self.rows_each)))

    @property
    def trained(self) -> int:
        """Parameters that are trained."""
        return self.shape.parameters if self.full else self.shape.adapter(self.rank)

    @property
    def trained_bytes(self) -> int:
        """Bytes of a parameter that is trained, and of its gradient."""
        return self.weight_bytes if self.full else self.adapter_bytes

    def but(self, **changes: object) -> "TrainingSetup":
        """The same with other values."""
        return replace(self, **changes)  # type: ignore[arg-type]


def recipe_of(role: Role, method: PlanMethod, settings: TrainingSettings, backend: TrainingBackend) -> Recipe:
    """The recipe that trains a role's base or adapter, as the back end applies it; `lora` is that of `qlora` without
    quantisation, which a GPU's recipe has by itself only for a full fine-tune."""
    target = TrainingTarget.CODE if role == "coding" else TrainingTarget.SCOPE
    recipe = recipe_for(target, method if method in ("full", "dpo") else "sft", settings)
    used = applied(recipe, backend)
    return used.model_copy(update={"quantisation": "none"}) if method == "lora" else used


def setup_of(
    shape: Shape, method: PlanMethod, recipe: Recipe, backend: TrainingBackend, rows: Rows, attention: Attention
) -> TrainingSetup:
    """The setup of a training by a recipe as applied, on rows of which those over its limit are left out."""
    gpu = backend != "trl-cpu"
    quantised = recipe.quantisation != "none"
    longest = min(rows.longest, recipe.max_tokens)
    length = recipe.max_tokens if recipe.packing else longest
    share = rows.answer / rows.longest
    return TrainingSetup(
        shape=shape,
        method=method,
        backend=backend,
        quantised=quantised,
        weight_bytes=_weight_bytes(recipe, gpu),
        adapter_bytes=2 if quantised else 4,  # the trainers keep the adapter of a quantised base in bf16, else in fp32
        bf16=recipe.precision == "bf16",
        rank=recipe.rank,
        optimizer=recipe.optimizer,
        batch=recipe.batch_size,
        micro_batch=recipe.micro_batch,
        length=length,
        answer=max(1, min(length, round(length * share))),
        packed=recipe.packing,
        attention=attention,
        checkpointing=recipe.gradient_checkpointing != "no",
        scored="answers" if gpu or recipe.answer_logits else "all",
        row_tokens=min(length, rows.tokens // rows.count) if rows.tokens else length,
        epochs=recipe.epochs,
    )


def _weight_bytes(recipe: Recipe, gpu: bool) -> int:
    """Bytes of a weight as it is loaded: on a GPU in the recipe's precision, but where it asks for fp32 masters."""
    masters = recipe.masters
    if masters != "backend":
        return 2 if masters == "bf16" else 4
    return 2 if recipe.precision == "bf16" and gpu else 4
