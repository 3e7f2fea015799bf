"""The trainers of TRL (or of Unsloth, which replaces them) with a fixed order of rows, atomic checkpoints, and
resumption of only the trained adapter."""

import errno
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from training.fit.objective_losses import objective_trainer
from training.fit.recipe import Recipe, TrainingBackend
from training.fit.weighted_loss import weighted_trainer

_KEPT = 2
_STAGING = ".staging"
_OPTIMIZERS = {"adamw_torch": "adamw_torch", "adamw_8bit": "adamw_8bit"}
_FULL = ("No space left", "File too large", "inline_container", "PytorchStreamWriter")
"""Texts of the libraries' errors for an incompletely written file."""
SaveCheckpoint = Callable[[Any, Path], None]


def arguments(
    recipe: Recipe, backend: TrainingBackend, folder: Path, steps: int, accumulation: int, evaluated: bool
) -> Any:
    """The recipe as arguments of the trainers' library. `steps`: of the whole training."""
    from trl import DPOConfig, SFTConfig

    common: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": recipe.micro_batch,
        "per_device_eval_batch_size": recipe.micro_batch,
        "gradient_accumulation_steps": accumulation,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": int(steps * recipe.warmup),
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_gradient,
        "optim": _OPTIMIZERS[recipe.optimizer],
        "bf16": recipe.precision == "bf16",
        "gradient_checkpointing": recipe.gradient_checkpointing != "no",
        "use_cpu": backend == "trl-cpu",
        "dataloader_pin_memory": backend != "trl-cpu",
        "max_length": recipe.max_tokens,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": recipe.checkpoint_steps,
        "eval_strategy": "steps" if evaluated else "no",
        "eval_steps": max(1, steps // (2 * recipe.epochs)) if evaluated else None,
        "report_to": "none",
        "disable_tqdm": True,
    }
    if recipe.method == "dpo":
        return DPOConfig(**common, beta=recipe.beta, **_preference_loss(recipe))
    common["loss_type"] = "nll"
    options = {"packing": recipe.packing, "eval_packing": False, "dataset_kwargs": {"skip_prepare_dataset": True}}
    return SFTConfig(**common, **options)


def _preference_loss(recipe: Recipe) -> dict[str, Any]:
    """DPO's loss, and with `rpo_alpha` the supervised loss of the chosen answer with that weight (RPO)."""
    if not recipe.rpo_alpha:
        return {"loss_type": [recipe.dpo_loss]}
    return {"loss_type": [recipe.dpo_loss, "sft"], "loss_weights": [1.0, recipe.rpo_alpha]}


def trainer_class(method: str, weighted: bool = False, mixed: bool = False) -> Any:
    """The trainer of a method, for data with weights of tokens if `weighted`, and with objectives if `mixed`; the
    library is imported here, after Unsloth where that is used."""
    import trl

    if method == "dpo":
        return _safe(trl.DPOTrainer)
    chosen = weighted_trainer(trl.SFTTrainer) if weighted else trl.SFTTrainer
    return _safe(objective_trainer(chosen) if mixed else chosen)


@cache
def _safe(parent: Any) -> Any:
    """`parent` with a fixed order of rows, and its own checkpoints and resumption."""
    from torch.utils.data import SequentialSampler

    class Safe(parent):  # type: ignore[misc]
        save: SaveCheckpoint
        load: SaveCheckpoint
        seen: Callable[[int], None]
        judge: Callable[[Any], dict[str, float]] | None = None
        """In place of the library's evaluation: the metrics of a model on the validation rows."""

        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            loss = super().training_step(model, inputs, *rest, **named)
            mask = inputs.get("attention_mask")
            self.seen(int(mask.sum()) if mask is not None else inputs["input_ids"].numel())
            return loss

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

        def evaluation_loop(self, *rest: Any, **named: Any) -> Any:
            if self.judge is None:
                return super().evaluation_loop(*rest, **named)
            from transformers.trainer_utils import EvalLoopOutput

            self.model.eval()
            with self.compute_loss_context_manager():
                metrics = {f"eval_{name}": value for name, value in self.judge(self.model).items()}
            return EvalLoopOutput(None, None, metrics, len(self.eval_dataset))

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset  # token ids already

        def create_model_card(self, *_: Any, **__: Any) -> None:
            """Does nothing: the dataset's card and the adapter's statement replace it."""

        def _get_output_dir(self, trial: Any) -> str:
            folder: str = super()._get_output_dir(trial)
            return str(Path(folder) / _STAGING) if self.saving else folder

        saving = False

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            folder = Path(self.args.output_dir)
            name = f"checkpoint-{self.state.global_step}"
            shutil.rmtree(folder / _STAGING, ignore_errors=True)
            self.saving = True
            try:
                super()._save_checkpoint(model, trial)
                shutil.rmtree(folder / name, ignore_errors=True)
                (folder / _STAGING / name).rename(folder / name)
            except Exception as error:
                raise unwritable(folder / name, error) from error
            finally:
                self.saving = False
                shutil.rmtree(folder / _STAGING, ignore_errors=True)
            for old in checkpoints(folder)[:-_KEPT]:
                shutil.rmtree(old)

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            self.save(self.model, Path(output_dir or self.args.output_dir))

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            self.load(self.model, Path(resume_from_checkpoint))

    return Safe


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(folder.glob("checkpoint-*"), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def unwritable(target: Path, error: Exception) -> Exception:
    """The error to raise for an error while writing `target`: a TrainingError if the disk is at fault.

    Each library wraps the system's error differently, so its text is checked as well.
    """
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(words in text for words in _FULL)
    if isinstance(error, OSError) or full:
        why = "no space left" if full else text.splitlines()[0]
        return TrainingError(
            f"{target} cannot be written ({why}); free some space and start again: "
            "it resumes from the checkpoint before"
        )
    return error
