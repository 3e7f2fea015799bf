"""Settings of training, shared by all back ends; `training.fit.recipe` holds what a back end changes."""

from typing import Literal

from pydantic import Field

from models.plans import Frozen


class TrainingSettings(Frozen):
    """How adapters are trained. The defaults follow the authors of QLoRA and Unsloth for models below 7B."""

    backend: Literal["auto", "unsloth-gpu", "trl-gpu", "trl-cpu"] = Field(
        "auto", description="auto: Unsloth where a GPU and Unsloth are available, else TRL"
    )
    endpoint: str = Field(
        "",
        description="endpoint that evaluations ask, with JSON schemas as in use; empty: the embedded model if it is "
        "the student and its `base` is the one trained on, else the base in this process, without schemas",
    )
    rank: int = Field(
        16, ge=1, le=256, description="LoRA rank of the retrieval stages and of planning; alpha is twice it"
    )
    code_rank: int = Field(32, ge=1, le=256, description="LoRA rank of the code stage")
    learning_rate: float = Field(2e-4, gt=0, lt=1, description="peak of the cosine schedule, for supervised adapters")
    dpo_learning_rate: float = Field(5e-6, gt=0, lt=1, description="peak of the cosine schedule, for preferences")
    full_learning_rate: float = Field(1e-5, gt=0, lt=1, description="peak of the cosine schedule, for full fine-tuning")
    full_masters: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="precision of the weights that the optimizer changes in a full fine-tune: bf16 takes half the "
        "memory, and at small rates rounds most changes away",
    )
    dpo_beta: float = Field(0.1, gt=0, description="strength of the pull towards the reference model")
    dpo_loss: Literal["sigmoid", "sigmoid_norm"] = Field(
        "sigmoid",
        description="loss of preferences: sigmoid of DPO's margin, or (sigmoid_norm) of the margin per token, so that "
        "length does not count",
    )
    dpo_margin_weights: bool = Field(
        False,
        description="weigh before-and-after pairs less, the more the start prefers their chosen answer already",
    )
    dpo_rpo_alpha: float = Field(
        0.0,
        ge=0,
        description="weight of the supervised loss of the chosen answer beside DPO's (`rpo_alpha`, Pang et al. 2024, "
        "arXiv 2404.19733); 0: none",
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps with a rising learning rate")
    epochs: int = Field(3, ge=1, le=3, description="passes over the data at most; early stopping may end it sooner")
    dpo_epochs: int = Field(1, ge=1, le=3, description="passes over the preferences")
    patience: int = Field(3, ge=1, description="evaluations without a better validation loss before it stops")
    batch_size: int = Field(16, ge=1, description="rows per optimizer step")
    micro_batch: int = Field(4, ge=1, description="rows in memory at a time; halved when memory runs out")
    max_tokens: int = Field(8192, ge=16, description="longer rows are left out and counted, never cut")
    max_too_long: float = Field(
        0.5, ge=0, le=1, description="largest share of rows over max_tokens; above it the training is refused"
    )
    max_steps: int | None = Field(None, ge=1, description="steps at most; unset: as many as the epochs have")
    packing: bool = Field(True, description="several rows in one sequence, with attention kept within each")
    cpu_bf16: bool = Field(
        False, description="bf16 on a processor: half the time with AVX512-BF16 or AMX, refused without AVX512"
    )
    thinking: bool | None = Field(None, description="as the serving endpoint's `thinking`; unset: template's default")
    validation_rows: int = Field(128, ge=0, description="most validation rows for the loss")
    checkpoint_steps: int = Field(20, ge=1, description="steps between checkpoints")
    seed: int = Field(42, ge=0, description="for the order of the rows and the initial weights")
    pacing: float = Field(
        0.0,
        ge=0,
        le=1,
        description="curriculum: the share of a training over which rows become available in the order of the dataset "
        "(competence-based, Platanios et al. 2019), each row as often as without; 0: every epoch is shuffled",
    )
    reasoning_weight: float = Field(
        1.0,
        ge=0,
        le=1,
        description="weight in the loss of reasoning in plans (traces and rationales); the plan itself weighs 1",
    )
    control_arm: bool = Field(
        False,
        description="train and evaluate a control beside each adapter, on as many of the student's own answers, "
        "whatever tests said of them; it doubles the time of a training",
    )
    answer_logits: bool = Field(
        True,
        description="on a processor, compute logits of the answers' tokens only: the same but for rounding, and faster",
    )
    forced_weight: float = Field(
        0.1,
        ge=0,
        le=1,
        description="weight in the loss of answer tokens that the schema or the prompt forces; decisions weigh 1. At 0 "
        "the form is not learned: only for endpoints that enforce the schema",
    )
    class_balance: Literal["none", "effective", "inverse"] = Field(
        "effective",
        description="weights of the classes of scope and precision: by effective number of samples (Cui et al. 2019), "
        "or by inverse frequency",
    )
    class_beta: float = Field(0.9999, ge=0, lt=1, description="beta of the effective number of samples")
    class_cap: float = Field(8.0, ge=1, description="most that one class may weigh, as a multiple of the least")
    early_stopping: Literal["loss", "decision_loss", "macro_f1", "average_precision"] = Field(
        "decision_loss",
        description="what early stopping watches on the validation rows; without decisions in them, the loss",
    )
