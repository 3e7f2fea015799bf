"""Does a classifier refitted on a repository's own past commits find more in its later ones?

    uv run python benchmarks/relevance_refit.py REPOSITORY_PATH... [--questions N] [--share 0.7]

The oldest `--share` of each repository's latest N commits are what a refit may learn from and is cross-validated on,
forward in time (`evals/relevance/refit.py`); the others, later than all of these, are judged by the classifier and by
the refitted one. A repository that the shipped classifier was fitted on is judged beside a classifier of the other
repositories of that kind that are named (a quarter of them left out at a time), so that neither has seen it. Held-out
repositories are refused, by name and by first commit. The features are kept in cache_dir.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from agent.retrieve.relevance.classifier import SHIPPED, read_classifier
from evals.paired import sign_flip
from evals.relevance.fitting import FOLDS, file_models
from evals.relevance.questions import LabelledQuestion, questions
from evals.relevance.refit import LEAST, average_precisions, has_relevant, judged, refit
from evals.study.plan import default_split, held_out_name
from host.settings import load_settings
from models.errors import UsageError
from models.relevance import ClassifierFile
from repos.clones import cached_clone
from repos.index import IndexCache

Groups = Mapping[str, Sequence[LabelledQuestion]]
FOLDER = "relevance"
PENALTY = 40.0
"""Of the classifiers that have not seen a repository: the middle one of those that `cra relevance fit` compares."""


def gathered(paths: Sequence[Path], most: int) -> dict[str, list[LabelledQuestion]]:
    """Each repository's questions, the oldest first. Ends the program at one that is held out."""
    cache, found = load_settings().cache_dir, dict[str, list[LabelledQuestion]]()
    for path in paths:
        name = path.resolve().name.removesuffix(".git")
        with cached_clone(path, cache) as git:
            if name in default_split().held_out or held_out_name(git):
                raise SystemExit(f"{name} is held out (evals/study/split.toml); name others")
            made = questions(name, git, most, cache / FOLDER / name, IndexCache(cache / "index"), lambda done, of: None)
            found[name] = list(made)[::-1]
    return found


def unseen(shipped: ClassifierFile, groups: Groups) -> dict[str, ClassifierFile]:
    """For each repository a classifier that was not fitted on it."""
    seen = sorted(name for name in groups if name in shipped.trained_on)
    found = {name: shipped for name in groups if name not in seen}
    for fold in range(FOLDS):
        held = seen[fold::FOLDS]
        others = {name: groups[name] for name in seen if name not in held}
        if held and others:
            production, other = file_models(others, PENALTY)
            found |= dict.fromkeys(held, shipped.model_copy(update={"production": production, "other": other}))
    return found


def main() -> None:
    """Print a row for each repository, then means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.7)
    options = parser.parse_args()
    groups = gathered(options.repositories, options.questions)
    classifiers = unseen(read_classifier(SHIPPED).file, groups)
    print("repository            commits  judged   AP  refitted   p     chosen   later   AP  refitted  change")
    changes: dict[bool, list[float]] = {True: [], False: []}
    for name, asked in groups.items():
        cut = round(len(asked) * options.share)
        try:
            found = refit(classifiers[name], asked[:cut])
        except UsageError:
            print(f"{name:22} {cut:6} fewer than {LEAST} can be learned from")
            continue
        later = [question for question in asked[cut:] if has_relevant(question)]
        before = fmean(average_precisions(judged(classifiers[name], later)))
        after = fmean(average_precisions(judged(found.file, later)))
        changes[found.chosen].append(after - before)
        print(
            f"{name:22} {found.questions:6} {found.judged:7} {found.before:.3f} {found.after:7.3f} {found.p:8.3f} "
            f"{'yes' if found.chosen else 'no':>6} {len(later):7} {before:.3f} {after:7.3f} {after - before:+10.3f}"
        )
    every = [*changes[True], *changes[False]]
    in_use = [*changes[True], *(0.0 for _ in changes[False])]
    for what, values in (("always refitted", every), ("only where chosen", in_use), ("the chosen", changes[True])):
        if values:
            print(
                f"{what}: {len(values)} repositories, mean change {fmean(values):+.4f}, median "
                f"{np.median(values):+.4f}, {sum(value > 0 for value in values)} up, p {sign_flip(values):.4f}"
            )


if __name__ == "__main__":
    main()
