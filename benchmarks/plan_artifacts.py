"""How well the labels of `cra plans find` agree with those given by hand, per label, and how precise the finding is.

    uv run python benchmarks/plan_artifacts.py CLONE...

A clone's folder is named after its repository, `OWNER+NAME` or `OWNER+NAME.git`; `evals/plan_labels.csv` holds the
labels by hand. Cohen's kappa is given for all labels at once and for each against the rest.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

from repos.git import Git
from training.data.sources.plan_artifacts.history import History
from training.data.sources.plan_artifacts.labels import Label, Labelled, label_all

BY_HAND = Path(__file__).parents[1] / "evals" / "plan_labels.csv"
NOT_FOUND = "not found"


def main() -> None:
    """Print the tables."""
    found: dict[tuple[str, str, str], Labelled] = {}
    counts: list[tuple[str, Counter[str]]] = []
    for place in map(Path, sys.argv[1:]):
        repository = place.name.removesuffix(".git").replace("+", "/", 1)
        labelled, _ = label_all(History(Git(place)))
        counts.append((repository, Counter(each.label.value for each in labelled)))
        found |= {(repository, each.plan.path, each.plan.introduced.commit): each for each in labelled}
    with BY_HAND.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["repository"] in dict(counts)]
    pairs = []
    for row in rows:
        each = found.get((row["repository"], row["plan"], row["commit"]))
        pairs.append((row["label"], NOT_FOUND if each is None else each.label.value))
        if each is None or each.label.value != row["label"]:
            why = NOT_FOUND if each is None else f"{each.label.value}: {each.reason}"
            print(f"{row['repository']} {row['plan'].rpartition('/')[2]} by hand {row['label']}; {why}")
    _print_counts(counts)
    _print_agreement(pairs)


def _print_counts(counts: list[tuple[str, Counter[str]]]) -> None:
    names = [each.value for each in Label]
    print(f"\n| repository | plans | {' | '.join(names)} |\n|---|" + "---:|" * (len(names) + 1))
    for repository, labels in counts:
        print(f"| {repository} | {labels.total()} | " + " | ".join(str(labels[name]) for name in names) + " |")


def _print_agreement(pairs: list[tuple[str, str]]) -> None:
    names = [each.value for each in Label]
    print(f"\n{len(pairs)} labelled by hand; rows by hand, columns by rule")
    columns = [*names, NOT_FOUND]
    print(f"| | {' | '.join(columns)} | kappa |\n|---|" + "---:|" * (len(columns) + 1))
    table = Counter(pairs)
    for name in names:
        cells = " | ".join(str(table[name, other]) for other in columns)
        one = kappa([(str(a == name), str(b == name)) for a, b in pairs])
        print(f"| {name} | {cells} | {one:.2f} |")
    right = sum(a == b for a, b in pairs)
    print(f"agreement {right} of {len(pairs)}, kappa {kappa(pairs):.2f}")
    clear = [(a, b) for a, b in pairs if b not in (Label.UNCLEAR.value, NOT_FOUND) and a != Label.UNCLEAR.value]
    right = sum(a == b for a, b in clear)
    print(f"where both say something: {right} of {len(clear)}, kappa {kappa(clear):.2f}")


def kappa(pairs: list[tuple[str, str]]) -> float:
    """Cohen's kappa of two raters; 0 where chance alone explains everything."""
    total = max(1, len(pairs))
    agreed = sum(a == b for a, b in pairs) / total
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[name] * second[name] for name in first) / total**2
    return (agreed - chance) / (1 - chance) if chance < 1 else 0.0


if __name__ == "__main__":
    main()
