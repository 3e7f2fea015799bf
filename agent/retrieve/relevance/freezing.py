"""A task's class probabilities as one value: for a gate's contenders, and to be frozen with an evaluation item."""

from collections.abc import Sequence

from agent.retrieve.query import parse_query
from agent.retrieve.ranking import propose
from agent.retrieve.relevance.classifier import RelevanceClassifier, in_force
from agent.retrieve.relevance.symbols import FileOfSymbols
from models.relevance import Estimates
from repos.index import RepositoryIndex


def frozen_estimates(
    task_text: str,
    index: RepositoryIndex,
    symbols_of: Sequence[str] = (),
    classifier: RelevanceClassifier | None = None,
) -> Estimates:
    """The probabilities of all candidates of a task, and of the symbols of some of these files.

    By the classifier in force unless another is given. Raises ClassifierError if that cannot be read.
    """
    chosen = classifier or in_force()
    evidence, candidates = propose(task_text, index)
    query = parse_query(task_text)
    wanted = set(symbols_of)
    symbols = {
        candidate.path: chosen.symbols(
            query, FileOfSymbols(index.file(candidate.path), candidate.rank, candidate.score)
        )
        for candidate in candidates
        if candidate.path in wanted
    }
    return Estimates(classifier=chosen.content, files=chosen.files(evidence, candidates), symbols=symbols)
