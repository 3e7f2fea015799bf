"""How far the fail-fast score ranks repositories as a person does.

    uv run python benchmarks/fail_fast.py CLONE... [--labels evals/fail_fast_labels.csv]

Scores each clone (a git repository whose name is the label's, with or without `.git`) at its HEAD, sets the scores
against the labels (1 swallows errors, 5 fails fast), and prints a Markdown table, Spearman's rank correlation with a
95% bootstrap interval over repositories, and that of each measure alone. Labels were given by reading samples of
handlers, raises and look-ups before any of the repositories was scored; weights and priors were not changed afterwards.
"""

import argparse
import csv
import random
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scipy.stats import ConstantInputWarning, spearmanr

from harness.mining.fail_fast import ScoredTree, score_place
from host.settings import load_settings
from repos.index.error_handling import Measure
from repos.index.fail_fast import STRONG, WEIGHTS, value

RESAMPLES = 4000
LABELS = Path(__file__).parent.parent / "evals" / "fail_fast_labels.csv"


class Row(NamedTuple):
    """A repository with its label and its score."""

    name: str
    label: int
    tree: ScoredTree


def correlation(labels: Sequence[float], scores: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Spearman's rho with the 2.5% and 97.5% quantiles of its bootstrap; resamples without any rank are left out."""
    chance = random.Random(seed)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        rho = float(spearmanr(labels, scores).statistic)
        for _ in range(RESAMPLES):
            drawn = [chance.randrange(len(labels)) for _ in labels]
            found.append(float(spearmanr([labels[n] for n in drawn], [scores[n] for n in drawn]).statistic))
    ranked = sorted(each for each in found if each == each)
    if not ranked:
        return rho, rho, rho
    return rho, ranked[int(0.025 * len(ranked))], ranked[int(0.975 * len(ranked)) - 1]


def told(rows: Sequence[Row], scores: Sequence[float]) -> str:
    """A correlation for people."""
    rho, low, high = correlation([row.label for row in rows], scores)
    return f"{rho:+.2f} [{low:+.2f}, {high:+.2f}]"


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or 2 if a clone has no label."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", nargs="+", type=Path)
    parser.add_argument("--labels", type=Path, default=LABELS)
    asked = parser.parse_args(arguments)
    with asked.labels.open(newline="", encoding="utf-8") as file:
        labels = {line["repository"]: int(line["label"]) for line in csv.DictReader(file)}
    rows: list[Row] = []
    cache = load_settings().cache_dir
    for clone in asked.clones:
        name = clone.name.removesuffix(".git")
        if name not in labels:
            print(f"{name} has no label and is left out", file=sys.stderr)
            continue
        rows.append(Row(name, labels[name], score_place(clone, cache)))
    if len(rows) < 3:
        print("fewer than three labelled clones: nothing to rank", file=sys.stderr)
        return 2
    print("| repository | label | score |", *(f"{measure.value} |" for measure in Measure))
    print("|---|---|---|" + "---|" * len(Measure))
    for row in sorted(rows, key=lambda row: -row.tree.score):
        handling = row.tree.handling
        cells = (f"{value(m, handling):.2f} ({handling.chances[m]})" for m in Measure)
        print(f"| {row.name} | {row.label} | {row.tree.score:.1f} |", *(f"{cell} |" for cell in cells))
    scores = [row.tree.score for row in rows]
    print(f"\nSpearman's rho over {len(rows)} repositories: {told(rows, scores)}")
    strong = [row for row in rows if row.tree.score >= STRONG]
    good = sum(row.label >= 4 for row in strong)
    print(f"Scores of {STRONG:.0f} and more: {len(strong)}, of them {good} labelled 4 or 5\n")
    print("| measure | weight | rho alone |\n|---|---|---|")
    for measure in Measure:
        alone = told(rows, [value(measure, row.tree.handling) for row in rows])
        print(f"| {measure.value} | {WEIGHTS[measure]} | {alone} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
