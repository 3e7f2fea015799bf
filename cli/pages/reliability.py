"""A reliability plot: predicted probabilities beside the share that came true."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evals.relevance.metrics import Bin


def draw_reliability(curves: "Mapping[str, Sequence[Bin]]", path: Path) -> None:
    """Write a PNG with a curve per name; points are as large as the logarithm of their rows."""
    import math

    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="calibrated")
    for (name, bins), marker in zip(curves.items(), "osD^", strict=False):
        predicted, observed = [each.predicted for each in bins], [each.observed for each in bins]
        [line] = axes.plot(predicted, observed, label=name)
        sizes = [10 + 12 * math.log1p(each.rows) for each in bins]
        axes.scatter(predicted, observed, s=sizes, marker=marker, color=line.get_color())
    axes.set(xlabel="predicted probability", ylabel="share that came true", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
