"""The loss curve as an image."""

import json
from pathlib import Path

from training.fit.monitor import TrainingMonitor


def draw_losses(losses: Path, target: Path) -> None:
    """Draw the curve of a finished training from its `losses.jsonl`."""
    rows = [json.loads(line) for line in losses.read_text(encoding="utf-8").splitlines()]
    draw_curve(TrainingMonitor(losses.parent, lambda progress: None, 0, lambda model, step: None, rows), target)


def draw_curve(watch: TrainingMonitor, target: Path) -> None:
    """Draw the losses of a training over its steps to `target` (.svg or .png)."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "clean-room"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    rows = [row for row in watch.rows if "loss" in row]
    axes.plot([row["step"] for row in rows], [row["loss"] for row in rows], label="training", linewidth=1)
    if watch.evaluations:
        axes.plot(*zip(*watch.evaluations, strict=True), label="validation", marker="o", linewidth=1.5)
    for colour, (objective, losses) in enumerate(watch.objective_losses("loss").items(), 2):
        axes.plot(*zip(*losses, strict=True), label=objective.value, linewidth=0.8, alpha=0.5, color=f"C{colour}")
    for colour, (objective, losses) in enumerate(watch.objective_losses("eval_loss").items(), 2):
        label = f"{objective.value}, validation"
        axes.plot(*zip(*losses, strict=True), label=label, linestyle="--", marker=".", color=f"C{colour}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend()
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
