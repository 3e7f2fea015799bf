"""Monitoring of a training: losses, progress, divergence and early stopping."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import TrainingError
from models.objectives import Objective

LOSSES = "losses.jsonl"
METRICS = ("loss", "decision_loss", "accuracy", "macro_f1", "average_precision")
"""Metrics of the validation rows; all but the loss need decisions in them."""


class TrainingProgress(NamedTuple):
    """Progress of a training: `loss` of the step, `eval_loss` of the last evaluation (None: none yet), tokens trained
    on so far, and estimated seconds left."""

    step: int
    steps: int
    loss: float
    eval_loss: float | None
    tokens: int
    tokens_per_second: float
    remaining_seconds: float


ReportProgress = Callable[[TrainingProgress], None]


@dataclass
class TrainingMonitor:
    """The monitor of a running training; its rows are in `losses.jsonl` in `folder`.

    A row is {"step", "loss", "learning_rate", "gradient", "tokens", "seconds"} or {"step", "eval_loss"} with the other
    metrics of the validation rows; in a mixture with the losses of its objectives, `loss_style` and `eval_loss_style`.
    `watched` is the one that decides which step is the best, a loss by the least, a
    metric by the highest; where an evaluation lacks it, its loss decides. keep_best is called with the step whenever an
    evaluation is the best so far.
    """

    folder: Path
    report: ReportProgress
    patience: int
    keep_best: Callable[[Any, int], None]
    rows: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    earlier: tuple[int, float] = (0, 0.0)
    tokens: int = 0
    begun_at: int = 0
    watched: str = "loss"
    objectives: dict[Objective, tuple[float, int]] = field(default_factory=dict)

    def note_objective(self, objective: Objective, nats: float, tokens: int) -> None:
        """Add what a batch of the current step has of an objective."""
        known = self.objectives.get(objective, (0.0, 0))
        self.objectives[objective] = (known[0] + nats, known[1] + tokens)

    def begin(self, step: int) -> None:
        """Resume after `step`: rows of later steps are dropped, as those are repeated."""
        file = self.folder / LOSSES
        known = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        self.rows = [row for row in known if row["step"] <= step]
        file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        last = next((row for row in reversed(self.rows) if "loss" in row), None)
        self.earlier = (last["tokens"], last["seconds"]) if last else (0, 0.0)
        self.begun_at, self.tokens, self.started = step, 0, time.monotonic()

    def ended(self, step: int, steps: int) -> bool:
        """Whether a training that resumes after `step` has nothing left: it was the last of `steps`, or stopped there,
        and was killed before its result was written. Its rows are read if so."""
        self.begin(step)
        stopped = any(at == step for at, _ in self.evaluations) and self.stale() >= self.patience
        return step >= steps or stopped

    def trained(self, step: int, steps: int, logs: dict[str, float]) -> None:
        """Record a step. Raises TrainingError if its loss is not finite."""
        loss = logs["loss"]
        seconds = time.monotonic() - self.started
        if not math.isfinite(loss) or not math.isfinite(logs.get("grad_norm", 0.0)):
            raise TrainingError(
                f"step {step} of {steps}: the loss is {loss}, its gradient {logs.get('grad_norm')}; "
                f"the checkpoint before it is kept in {self.folder}; lower the learning rate"
            )
        self._note(
            {
                "step": step,
                "loss": loss,
                "learning_rate": logs.get("learning_rate"),
                "gradient": logs.get("grad_norm"),
                "tokens": self.earlier[0] + self.tokens,
                "seconds": round(self.earlier[1] + seconds, 3),
                **{f"loss_{each.value}": nats / tokens for each, (nats, tokens) in sorted(self.objectives.items())},
            }
        )
        self.objectives.clear()
        evaluations = self.evaluations
        done = max(1, step - self.begun_at)
        self.report(
            TrainingProgress(
                step,
                steps,
                loss,
                evaluations[-1][1] if evaluations else None,
                self.earlier[0] + self.tokens,
                self.tokens / seconds if seconds else 0.0,
                (steps - step) * seconds / done,
            )
        )

    def evaluated(self, step: int, metrics: dict[str, float], model: Any) -> bool:
        """Record an evaluation, its metrics by their names with `eval_`; keep the weights if it is the best. Returns
        whether to stop early."""
        names = (*METRICS, *(f"loss_{each.value}" for each in Objective))
        found = {name: metrics[name] for name in (f"eval_{each}" for each in names) if name in metrics}
        for name, value in found.items():
            if not math.isfinite(value):
                raise TrainingError(f"step {step}: the validation's {name} is {value}; lower the learning rate")
        before = min((value for _, value in self._costs), default=math.inf)
        self._note({"step": step, **found})
        if self._costs[-1][1] < before:
            self.keep_best(model, step)
        return self.stale() >= self.patience

    @property
    def evaluations(self) -> list[tuple[int, float]]:
        """(step, validation loss) so far."""
        return [(row["step"], row["eval_loss"]) for row in self.rows if "eval_loss" in row]

    def objective_losses(self, prefix: str) -> dict[Objective, list[tuple[int, float]]]:
        """(step, loss) of each objective so far: `loss` of training, `eval_loss` of the validation rows."""
        names = {each: f"{prefix}_{each.value}" for each in Objective}
        found = {each: [(row["step"], row[name]) for row in self.rows if name in row] for each, name in names.items()}
        return {each: losses for each, losses in found.items() if losses}

    @property
    def losses(self) -> list[float]:
        """Training loss of each step."""
        return [row["loss"] for row in self.rows if "loss" in row]

    @property
    def _costs(self) -> list[tuple[int, float]]:
        """(step, what is watched, the lower the better) of each evaluation."""
        name, sign = f"eval_{self.watched}", 1.0 if self.watched.endswith("loss") else -1.0
        return [
            (row["step"], sign * row[name] if name in row else row["eval_loss"])
            for row in self.rows
            if "eval_loss" in row
        ]

    def best_step(self) -> int | None:
        """The step of the best evaluation by what is watched, the first if tied; None without evaluations."""
        return min(self._costs, key=lambda pair: (pair[1], pair[0]))[0] if self._costs else None

    def stale(self) -> int:
        """Evaluations since the best."""
        best = self.best_step()
        return sum(step > best for step, _ in self.evaluations) if best is not None else 0

    def _note(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        with (self.folder / LOSSES).open("a") as file:
            file.write(json.dumps(row) + "\n")


def callback(watch: TrainingMonitor) -> Any:
    """`watch` as a callback of the trainers' library."""
    from transformers import TrainerCallback

    class Watching(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch.begin(state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" in logs:
                watch.trained(state.global_step, state.max_steps, logs)

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **known: Any) -> None:
            if watch.evaluated(state.global_step, metrics, known["model"]):
                control.should_training_stop = True  # never False: the last step has already set it

    return Watching()
