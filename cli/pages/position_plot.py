"""Accuracy by depth, as a picture of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evals.positions.curves import ProbeResult


def draw_curves(results: "Sequence[ProbeResult]", target: Path) -> None:
    """Draw a panel for each form, a line for each model, to `target` (.svg or .png)."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "clean-room"
    from matplotlib.figure import Figure

    forms = results[0].settings.forms
    figure = Figure(figsize=(3.6 * len(forms), 3.4), layout="constrained")
    panels = figure.subplots(1, len(forms), sharey=True, squeeze=False)[0]
    for panel, form in zip(panels, forms, strict=True):
        for result in results:
            if (curve := result.curve(form)) is not None:
                places = [float(depth) for depth in curve.by_depth]
                panel.plot(places, list(curve.by_depth.values()), label=result.model, marker="o", linewidth=1.4)
        panel.set_title(form.value)
        panel.set_xlabel("depth")
        panel.set_ylim(-0.02, 1.02)
    panels[0].set_ylabel("accuracy")
    panels[-1].legend()
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
