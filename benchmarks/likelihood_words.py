"""What the words say by which prompts tell how likely a candidate is to change.

    uv run python benchmarks/likelihood_words.py STUDY [--stage precision] [--part validation] [--json]

STUDY is the folder of `cra study scope` or `precision`, whose questions are read; --part is training or validation
repositories of the default split (the classifier was fitted on the former, and held-out ones are not for tuning). For
files the words are of the classifier's P(relevant), for symbols of its P(primary) and of P(primary) divided by the
file's P(relevant). Two tables: of the candidates that each word is said of, how many there are and the share that
changes; and the average precision of sorting by the word, by the probability, by the rank, and by the word and then
the rank, means over repositories.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

from agent.prompts.render import chance
from agent.retrieve.relevance.estimates import chance_if_changed
from evals.classification import average_precision
from evals.study.files import read_rows
from evals.study.kinds import KINDS
from evals.study.plan import default_split
from evals.study.questions import StudyCandidate, StudyQuestion
from evals.study.symbol_questions import SymbolCandidate, SymbolQuestion
from models.context import Relevance
from models.errors import EvaluationError

Likelihood = Callable[[StudyQuestion, StudyCandidate], float]
_WORDS = [chance(value) for value in (0.0, 0.05, 0.2, 0.5, 0.9)]


def estimated(question: StudyQuestion, candidate: StudyCandidate) -> float:
    """The classifier's P(relevant) of a file, P(primary) of a symbol."""
    return candidate.estimate.relevant if candidate.estimate else 0.0


def if_changed(question: StudyQuestion, candidate: StudyCandidate) -> float:
    """P(primary) of a symbol given that its file changes."""
    assert isinstance(question, SymbolQuestion)
    return chance_if_changed(estimated(question, candidate), question.file.estimate) or 0.0


def kept(study: Path, stage: str, names: Sequence[str]) -> Iterator[tuple[str, list[StudyQuestion]]]:
    """The questions that a study kept of each repository. Ends the program where there are none, or other ones."""
    folder = study / "questions"
    files = [(name, file) for name in names for file in sorted(folder.glob(f"{name}-*.jsonl"))]
    if not files:
        raise SystemExit(f"{folder}: no question of these repositories; run `cra study {stage}` first")
    if twice := [name for name, count in Counter(name for name, _ in files).items() if count > 1]:
        raise SystemExit(f"{folder}: questions of {twice[0]} at two commits; give the folder of one study")
    for name, file in files:
        try:
            yield name, list(read_rows(file, KINDS[stage].question))
        except EvaluationError as error:
            raise SystemExit(f"{error} (or is it of another stage than {stage}?)") from error


def measured(repositories: Sequence[tuple[str, list[StudyQuestion]]], likelihood: Likelihood) -> dict[str, object]:
    """Share of changes by word, and average precision by what candidates are sorted by."""
    said: Counter[tuple[str, bool]] = Counter()
    found: dict[str, list[float]] = defaultdict(list)
    for _, questions in repositories:
        pairs = [(question, each) for question in questions for each in question.candidates]
        positive = [each.relevance is Relevance.RELEVANT for _, each in pairs]
        chances = [likelihood(question, each) for question, each in pairs]
        words = [_WORDS.index(chance(value)) for value in chances]
        ranks = [each.place if isinstance(each, SymbolCandidate) else each.rank for _, each in pairs]
        said.update(zip([_WORDS[word] for word in words], positive, strict=True))
        sortings = {
            "word": [float(word) for word in words],
            "probability": chances,
            "rank": [-float(rank) for rank in ranks],
            "word, then rank": [word - rank / 1e6 for word, rank in zip(words, ranks, strict=True)],
        }
        for name, scores in sortings.items():
            if (value := average_precision(scores, positive)) is not None:
                found[name].append(value)
    counts = {word: said[word, True] + said[word, False] for word in _WORDS}
    return {
        "words": {word: {"candidates": n, "change": said[word, True] / n if n else None} for word, n in counts.items()},
        "average precision": {name: fmean(values) for name, values in found.items()},
    }


def show(name: str, found: dict[str, object]) -> None:
    """Print both tables."""
    words, sorted_by = found["words"], found["average precision"]
    assert isinstance(words, dict) and isinstance(sorted_by, dict)
    print(f"\n{name}\n\n{'words':20}{'candidates':>12}{'change':>9}")
    for word, row in words.items():
        print(f"{word:20}{row['candidates']:12,}" + (f"{row['change']:9.1%}" if row["candidates"] else f"{'-':>9}"))
    print(f"\n{'sorted by':20}{'average precision':>21}")
    for order, value in sorted_by.items():
        print(f"{order:20}{value:21.3f}")


def main() -> None:
    """Read a study's questions and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--stage", choices=sorted(KINDS), default="precision")
    parser.add_argument("--part", choices=("training", "validation"), default="validation")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    repositories = list(kept(options.study, options.stage, getattr(default_split(), options.part)))
    likelihoods: dict[str, Likelihood] = {"by the classifier's estimate": estimated}
    if options.stage == "precision":
        likelihoods["by the estimate if the file changes"] = if_changed
    found = {name: measured(repositories, each) for name, each in likelihoods.items()}
    if options.as_json:
        print(json.dumps(found, indent=1))
        return
    for name, each in found.items():
        show(name, each)


if __name__ == "__main__":
    main()
