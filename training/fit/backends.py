"""Training back ends: selection, and loading of a base."""

from importlib.util import find_spec
from typing import Any

from models.errors import TrainingError
from training.bases.bases import Base
from training.bases.bf16 import check_bf16
from training.fit.installed import CPU_TRL, install_command, needs_newer_trl
from training.fit.recipe import Recipe, TrainingBackend


def choose_backend(wanted: str = "auto") -> TrainingBackend:
    """The back end to train with: Unsloth on a GPU if installed, else TRL on a GPU or the CPU.

    Raises TrainingError if training is not installed, or the selected back end cannot run here.
    """
    if any(find_spec(name) is None for name in ("torch", "trl", "peft")):
        raise TrainingError(f"training is not installed: run `{install_command('trl-cpu')}`")
    import torch

    gpu = torch.cuda.is_available()
    # Looked for, not imported: without a GPU its import raises NotImplementedError.
    unsloth = gpu and find_spec("unsloth") is not None
    if wanted == "auto":
        chosen: TrainingBackend = "unsloth-gpu" if unsloth else "trl-gpu" if gpu else "trl-cpu"
    elif wanted in ("unsloth-gpu", "trl-gpu", "trl-cpu"):
        chosen = wanted  # type: ignore[assignment]
    else:
        raise TrainingError(f"training.backend {wanted!r}: auto, unsloth-gpu, trl-gpu or trl-cpu")
    if chosen != "trl-cpu" and not gpu:
        raise TrainingError(f"training.backend {chosen} needs a GPU and there is none; set it to auto or trl-cpu")
    if chosen == "unsloth-gpu" and not unsloth:
        raise TrainingError(f"training.backend {chosen}: not installed; run `{install_command(chosen)}`, or set auto")
    if chosen == "trl-gpu" and find_spec("bitsandbytes") is None:
        raise TrainingError(f"training on a GPU needs bitsandbytes: run `{install_command('trl-gpu')}`")
    if chosen == "trl-cpu" and (older := needs_newer_trl()):
        raise TrainingError(f"trl {older} trains on a GPU only; run `{install_command(chosen)}` for {CPU_TRL} or newer")
    return chosen


def load_base(base: Base, recipe: Recipe, backend: TrainingBackend) -> Any:
    """The base's model, ready to be given an adapter (or, for a full fine-tune, to be trained).

    Raises TrainingError as `check_bf16` does, for a recipe that computes in bf16 on the processor.
    """
    if recipe.precision == "bf16" and backend == "trl-cpu":
        check_bf16()
    if backend == "unsloth-gpu":
        from unsloth import FastLanguageModel

        model, _ = FastLanguageModel.from_pretrained(
            model_name=str(base.path),
            max_seq_length=recipe.max_tokens,
            load_in_4bit=recipe.quantisation == "nf4-double",
            full_finetuning=recipe.method == "full",
            float32_mixed_precision=recipe.masters == "fp32",
            local_files_only=True,
        )
        return model
    import torch
    from transformers import AutoModelForCausalLM

    half = recipe.precision == "bf16" and backend != "trl-cpu"  # on the CPU bf16 is for computing only
    if recipe.masters != "backend":  # a full fine-tune; with fp32 autocast computes in the recipe's precision
        half = recipe.masters == "bf16"
    options: dict[str, Any] = {"dtype": torch.bfloat16 if half else torch.float32}
    if recipe.quantisation == "nf4-double":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    if backend != "trl-cpu":
        options |= {"device_map": {"": 0}}
        if find_spec("flash_attn") is not None:
            options["attn_implementation"] = "flash_attention_2"
    return AutoModelForCausalLM.from_pretrained(
        str(base.path), local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
    )


def add_adapter(model: Any, recipe: Recipe, backend: TrainingBackend) -> Any:
    """The model with a new adapter on its linear layers, initialised with the recipe's seed."""
    from transformers import set_seed

    set_seed(recipe.seed)
    if backend == "unsloth-gpu":
        from unsloth import FastLanguageModel

        return FastLanguageModel.get_peft_model(
            model,
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=list(recipe.modules),
            bias="none",
            use_gradient_checkpointing="unsloth",
            random_state=recipe.seed,
            max_seq_length=recipe.max_tokens,
        )
    from peft import get_peft_model

    return get_peft_model(model, lora_config(recipe))


def lora_config(recipe: Recipe) -> Any:
    """The adapter's PEFT configuration."""
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.modules),
        bias="none",
        task_type="CAUSAL_LM",
    )
