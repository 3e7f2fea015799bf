"""Loss by position of the arms of an ablation, as a picture of its own."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.windows.ablation import AblationResult


def draw_losses(result: "AblationResult", target: Path) -> None:
    """Draw the mean loss in each bucket of positions, a panel for each window, to `target` (.svg or .png)."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "clean-room"
    from matplotlib.figure import Figure

    from training.windows.ablation import BASE
    from training.windows.verdicts import ARMS, by_position

    windows = result.settings.windows
    figure = Figure(figsize=(4.5 * len(windows), 3.8), layout="constrained")
    panels = figure.subplots(1, len(windows), sharey=True, squeeze=False)[0]
    places = [(number + 0.5) * result.bucket for number in range(result.length // result.bucket)]
    for panel, window in zip(panels, windows, strict=True):
        for name in (BASE, *ARMS):
            arms = [each for each in result.arms if each.name == name and each.window in (window, result.length)]
            panel.plot(places, by_position(arms), label=name, linewidth=1.4)
        panel.axvline(window, color="grey", linestyle="--", linewidth=1)
        panel.set_title(f"window {window}")
        panel.set_xlabel("position, tokens")
    panels[0].set_ylabel("loss, nats a token")
    panels[-1].legend()
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
