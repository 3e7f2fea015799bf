"""Fitting: trains an adapter (or, by a full fine-tune, a base) on a dataset, from a frozen base.

The data flow is the same for all methods: check the card, rows as token ids in a fixed order, trainer, checkpoints. An
interrupted training resumes from its last checkpoint, with the same losses; a finished one is not repeated.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.data.sources.reading import SOUGHT
from training.fit.adapter import read_adapter, require_effect, write_adapter
from training.fit.answer_head import score_answers_only
from training.fit.backends import add_adapter, choose_backend, load_base, lora_config
from training.fit.changed import changed_share, stored_dtype
from training.fit.class_bias import bias_after
from training.fit.columns import columns, packed
from training.fit.curve import draw_curve
from training.fit.data import (
    PreferenceRow,
    TrainingRow,
    TrainingRows,
    preference_rows,
    read_card,
    supervised_rows,
    training_order,
    weights_of_classes,
)
from training.fit.decision_scores import class_tokens, metrics_of, score_decisions
from training.fit.lock import target_lock
from training.fit.margins import SAMPLE, margins_of, summarised, taught
from training.fit.memory import free_memory, out_of_memory
from training.fit.mixing import judge_objectives, objective_results
from training.fit.monitor import ReportProgress, TrainingMonitor, TrainingProgress, callback
from training.fit.recipe import BackendOverride, Recipe, TrainingBackend, applied, overrides
from training.fit.result import Fit, adapter_hash, open_place, write_fit
from training.fit.schedule import accumulated
from training.fit.trainers import arguments, checkpoints, step_of, trainer_class, unwritable
from training.quiet import quiet_libraries

__all__ = ["Fit", "ReportProgress", "TrainingProgress", "fit_dpo", "fit_full", "fit_sft"]

_BEST = "best"


def fit_sft(
    dataset: Path, base: Base, out: Path, recipe: Recipe, report: ReportProgress, *, backend: str = "auto"
) -> Fit:
    """Train an adapter on the pairs of a dataset into `out/adapter`, with its losses in `out/losses.jsonl`.

    Raises TrainingError if the data cannot be used, the target is already being trained, the loss is not finite, memory
    or disk do not suffice, or the adapter has no effect. Called again with the same arguments, it resumes.
    """
    return _fit(dataset, base, out, recipe, report, backend, None)


def fit_dpo(
    dataset: Path,
    base: Base,
    out: Path,
    recipe: Recipe,
    start: Path | None,
    report: ReportProgress,
    *,
    backend: str = "auto",
) -> Fit:
    """Train an adapter on the preferences of a dataset, from the adapter in `start` or a new one; else as `fit_sft`.

    The reference model of DPO is the starting point: the frozen `start`, or the base with the adapter off.
    """
    return _fit(dataset, base, out, recipe, report, backend, start)


def fit_full(
    dataset: Path, base: Base, out: Path, recipe: Recipe, report: ReportProgress, *, backend: str = "auto"
) -> Fit:
    """Train all parameters of a base on the pairs of a dataset; `out/adapter` then holds a whole base.

    The loss is on the answers' tokens. A smaller window must be set in the base's configuration before its weights are
    loaded (`load_base`); long-context questions belong in the dataset.
    """
    return _fit(dataset, base, out, recipe, report, backend, None)


def _fit(
    dataset: Path, base: Base, out: Path, recipe: Recipe, report: ReportProgress, backend: str, start: Path | None
) -> Fit:
    chosen = choose_backend(backend)
    card = read_card(dataset)
    changes = overrides(recipe, chosen)
    used = applied(recipe, chosen)
    with target_lock(dataset.parent, card["target"]):
        job = {"dataset": card["id"], "base": base.id, "recipe": used.id, "start": adapter_hash(start)}
        done = open_place(out, job | {"backend": chosen})
        if done is not None:
            return done
        chat = ChatFormat.load(base.path, used.thinking)
        rows = (preference_rows if used.method == "dpo" else supervised_rows)(dataset, chat, used)
        with quiet_libraries():
            return Fitting(base, out, used, report, chosen, start, chat, rows, changes).run()


@dataclass
class Fitting:
    """A running training, with the recipe as applied by its back end."""

    base: Base
    out: Path
    recipe: Recipe
    report: ReportProgress
    backend: TrainingBackend
    start: Path | None
    chat: ChatFormat
    rows: TrainingRows
    changes: tuple[BackendOverride, ...]
    margins: dict[str, dict[str, float]] = field(default_factory=dict)
    margin_weighted: bool = False

    def run(self) -> Fit:
        """Train to the end, with smaller micro-batches whenever memory runs out; the effective batch size stays."""
        recipe = self.recipe
        while True:
            try:
                return self._train(recipe)
            except OSError as error:
                raise unwritable(self.out, error) from error
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                if recipe.micro_batch == 1:
                    raise TrainingError(
                        f"a single row of up to {recipe.max_tokens} tokens does not fit into memory; lower "
                        "training.max_tokens or use a smaller base"
                    ) from error
            recipe = recipe.model_copy(update={"micro_batch": recipe.micro_batch // 2})
            free_memory()

    def _train(self, recipe: Recipe) -> Fit:
        trainer, watch = self._trainer(recipe)
        known = checkpoints(self.out / "checkpoints")
        last = step_of(known[-1]) if known else 0
        if known and watch.ended(last, trainer.args.max_steps):
            self._load(trainer.model, known[-1])  # the trainers' library would take one more step
        else:
            trainer.train(resume_from_checkpoint=str(known[-1]) if known else None)
            last = trainer.state.global_step
        best = watch.best_step()
        if best is not None and best != last:
            self._load(trainer.model, self.out / _BEST)
        return self._finish(trainer.model, watch, recipe, last if best is None else best)

    def _trainer(self, recipe: Recipe) -> tuple[Any, TrainingMonitor]:
        """The trainer and its monitor."""
        from datasets import Dataset
        from transformers import PrinterCallback

        model = load_base(self.base, recipe, self.backend)
        options: dict[str, Any] = {}
        if recipe.method == "dpo" and self.start is None and self.backend != "unsloth-gpu":
            options["peft_config"] = lora_config(recipe)
        elif recipe.method != "full":
            model = self._adapted(model, recipe)
        if recipe.method == "dpo":
            self._measure_margins(model, recipe)
        data, rows_each = self._data(recipe)
        accumulation, steps = accumulated(len(data), rows_each, recipe)
        watch = TrainingMonitor(self.out, self.report, recipe.patience, self._keep_best, watched=recipe.early_stopping)
        trainer = trainer_class(recipe.method, recipe.weighs, bool(recipe.mixture))(
            model=model,
            args=arguments(
                recipe, self.backend, self.out / "checkpoints", steps, accumulation, bool(self.rows.validation)
            ),
            train_dataset=data,
            eval_dataset=Dataset.from_list(columns(self.rows.validation)) if self.rows.validation else None,
            processing_class=self.chat.tokenizer,
            callbacks=[callback(watch)],
            **options,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.save, trainer.load = self._save, self._load
        if recipe.answer_logits:
            score_answers_only(trainer.model if recipe.method == "full" else trainer.model.get_base_model())
        trainer.judge = self._judge(recipe)
        trainer.note_objective = watch.note_objective
        trainer.seen = lambda tokens: setattr(watch, "tokens", watch.tokens + tokens)
        return trainer, watch

    def _measure_margins(self, model: Any, recipe: Recipe) -> None:
        """Measure the preferences' margins before the first step; weigh the rows by them if the recipe asks for it."""
        rows: list[PreferenceRow] = self.rows.train if recipe.margin_weights else self.rows.train[:SAMPLE]
        margins = margins_of(model, rows)
        self.margins = summarised(rows, margins)
        if recipe.margin_weights and not self.margin_weighted:
            self.rows, self.margin_weighted = self.rows._replace(train=taught(rows, margins)), True

    def _adapted(self, model: Any, recipe: Recipe) -> Any:
        if self.start is None:
            return add_adapter(model, recipe, self.backend)
        from peft import PeftModel

        return PeftModel.from_pretrained(model, str(self.start), is_trainable=True)

    def _data(self, recipe: Recipe) -> tuple[Any, float]:
        """The training data in order, and the average number of rows per entry."""
        from datasets import Dataset

        order = training_order(self.rows.train, recipe)
        if recipe.packing:
            packs = packed(self.rows.train, order, recipe.max_tokens)
            return Dataset.from_list(packs), len(order) / len(packs)
        return Dataset.from_list(columns(self.rows.train)).select(order), 1.0

    def _judge(self, recipe: Recipe) -> Callable[[Any], dict[str, float]] | None:
        """The metrics of a model's decisions on the validation rows, or their losses by objective; None: only their
        loss is watched."""
        if recipe.mixture and self.rows.validation:
            return judge_objectives(self.rows, recipe)
        if recipe.early_stopping == "loss" or not any(row.decisions for row in self.rows.validation):
            return None
        tokens = class_tokens([*self.rows.train, *self.rows.validation])
        classes = weights_of_classes(self.rows.train, recipe)
        rarest = max(classes, key=classes.__getitem__, default="")
        sought = next((label for label in SOUGHT.values() if label in tokens), rarest)

        def judge(model: Any) -> dict[str, float]:
            scores = score_decisions(model, self.rows.validation, tokens)
            return {"loss": scores.loss} | metrics_of(scores, classes, sought)

        return judge

    def _save(self, model: Any, target: Path) -> None:
        if self.recipe.method == "full":
            model.save_pretrained(str(target))
        else:
            write_adapter(model, target, self.base.name)

    def _load(self, model: Any, source: Path) -> None:
        if self.recipe.method != "full":
            read_adapter(model, source)
            return
        from safetensors.torch import load_file

        for file in sorted(source.glob("*.safetensors")):
            model.load_state_dict(load_file(str(file)), strict=False)

    def _keep_best(self, model: Any, step: int) -> None:
        self._write(model, self.out / _BEST)

    def _write(self, model: Any, target: Path) -> None:
        try:
            self._save(model, target)
        except Exception as error:
            raise unwritable(target, error) from error

    def _finish(self, model: Any, watch: TrainingMonitor, recipe: Recipe, best: int) -> Fit:
        """Write and verify the result, then delete the checkpoints."""
        adapter = self.out / "adapter"
        if recipe.method != "full":
            example = self.rows.train[0]
            require_effect(model, example.ids if isinstance(example, TrainingRow) else example.prompt, adapter)
        if recipe.method == "full":
            model = model.to(stored_dtype(self.base.path))  # checkpoints keep the precision that was trained in
        self._write(model, adapter)
        if recipe.method == "full":
            self.chat.tokenizer.save_pretrained(str(adapter))
        draw_curve(watch, self.out / "loss.svg")
        last = next(row for row in reversed(watch.rows) if "loss" in row)
        fit = Fit(
            adapter_dir=adapter,
            backend=self.backend,
            steps=len(watch.losses),
            best_step=best,
            tokens=last["tokens"],
            seconds=last["seconds"],
            rows=len(self.rows.train),
            too_long=self.rows.too_long,
            too_long_by_stage=self.rows.too_long_by_stage,
            micro_batch=recipe.micro_batch,
            losses=watch.losses,
            eval_losses=watch.evaluations,
            overrides=self.changes,
            margins=self.margins,
            class_bias=bias_after(model, self.rows, self.chat) if recipe.method == "sft" else None,
            changed=changed_share(self.base, adapter, recipe.masters) if recipe.method == "full" else None,
            objectives=objective_results(self.rows, recipe, watch, best),
        )
        write_fit(self.out, fit)
        for folder in ("checkpoints", _BEST):
            shutil.rmtree(self.out / folder, ignore_errors=True)
        return fit
