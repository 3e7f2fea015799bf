"""From which probabilities on the relevance classifier puts files and symbols into a context, and in what form."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ContextThresholds:
    """How much of what a context shows where the relevance classifier judges alone.

    Chosen by `benchmarks/context_thresholds.py` on validation repositories; see `evals/retrieval.md`.
    """

    relevant: float = 0.1
    """Least probability of being relevant with which a file is shown in full; of one below it the heads are shown."""
    kept: float = 0.03
    """Least worth with which a file is in the context."""
    shown: int = 20
    """Most candidates shown, the likeliest; relevant ones and those that the task names are shown in any case."""
    primary: float = 0.15
    """Least worth of a symbol that counts as one that changes."""
    whole: float = 0.03
    """Least worth of a symbol that is shown whole."""
    head: float = 0.15
    """Least worth of a symbol of which the head is shown."""
    heads: int = 2
    """Fewest symbols of each file of which at least the head is shown, the likeliest: no file that is kept vanishes."""


IN_USE = ContextThresholds()
