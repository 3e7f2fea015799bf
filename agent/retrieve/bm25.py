"""BM25 over one field of many files."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

K1 = 1.2


class Field:
    """Term counts of documents, which are identified by their number.

    Okapi BM25 with the variant of inverse document frequency that is never negative; `length` (`b`) is the strength of
    the normalisation by document length.
    """

    def __init__(self, documents: Sequence[Mapping[str, float]], length: float = 0.75) -> None:
        self.size = len(documents)
        lengths = [sum(document.values()) for document in documents]
        average = sum(lengths) / len(lengths) if any(lengths) else 1.0
        self._norms = [K1 * (1 - length + length * each / average) for each in lengths]
        self._documents = documents
        self._postings: dict[str, list[tuple[int, float]]] = {}
        """Built on demand: a revision is seldom asked more than a few questions."""

    def weight(self, term: str) -> float:
        """Inverse document frequency."""
        holding = len(self.holding(term))
        return math.log(1 + (self.size - holding + 0.5) / (holding + 0.5))

    def holding(self, term: str) -> list[tuple[int, float]]:
        """Postings of a term: documents that contain it, with its count."""
        if term not in self._postings:
            self._postings[term] = [
                (number, document[term]) for number, document in enumerate(self._documents) if term in document
            ]
        return self._postings[term]

    def scores(self, terms: Mapping[str, float]) -> list[float]:
        """A score of each document for weighted terms."""
        scores = [0.0] * self.size
        for term, weight in terms.items():
            if found := self.holding(term):
                gain = weight * self.weight(term) * (K1 + 1)
                for number, count in found:
                    scores[number] += gain * count / (count + self._norms[number])
        return scores


def total(parts: Sequence[tuple[Mapping[str, int], float]]) -> Counter[str]:
    """The sum of counts, each times its weight, as whole numbers where the weights are."""
    counts: Counter[str] = Counter()
    for part, weight in parts:
        for term, count in part.items():
            counts[term] += count * weight  # type: ignore[assignment]
    return counts
