"""Deduplication: of examples with nearly equal prompts and answers, the best is kept.

MinHash with locality-sensitive hashing (Broder 1997; the datasketch library) finds candidates, which are verified by
the Jaccard similarity of the shingles of prompts and of answers. Both must be similar, because all steps of a task
share most of their prompt, and all empty plans their answer.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from training.data.curation.examples import Example
from training.data.sources.templates import own_text, task_of

_WORD = re.compile(r"\w+|[^\w\s]")
_RUN = 5
_PERMUTATIONS = 128
_SEED = 20
_REMEMBERED = 200
Shingles = frozenset[tuple[str, ...]]


def without_near_duplicates(examples: Sequence[Example], threshold: float) -> list[Example]:
    """Examples without near-duplicates, in their order; a threshold of 1 drops only equal ones."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=min(threshold, 0.99), num_perm=_PERMUTATIONS)
    kept: dict[str, Example] = {}
    read = lru_cache(maxsize=_REMEMBERED)(lambda key: _read(kept[key]))  # keeping all would exhaust memory
    for example in sorted(examples, key=lambda example: example.rank):
        prompt, answers = _read(example)
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update_batch([" ".join(run).encode(errors="surrogatepass") for run in sorted(prompt)])
        near = map(read, sorted(index.query(sketch)))
        if any(_alike(prompt, p) >= threshold and _alike(answers, a) >= threshold for p, a in near):
            continue
        index.insert(example.id, sketch)
        kept[example.id] = example
    return [example for example in examples if example.id in kept]


def _read(example: Example) -> tuple[Shingles, Shingles]:
    """The shingles of an example's prompt, and of its answers."""
    messages = example.item.messages
    answers = ((n, run) for n, answer in enumerate(example.answers) for run in _runs(answer))
    return _runs(f"{task_of(messages)}\n{own_text(messages)}"), frozenset((str(n), *run) for n, run in answers)


def _runs(text: str) -> Shingles:
    words = _WORD.findall(text)
    if len(words) <= _RUN:
        return frozenset((tuple(words),))
    return frozenset(zip(*(words[start:] for start in range(_RUN)), strict=False))


def _alike(one: Shingles, other: Shingles) -> float:
    return len(one & other) / len(one | other)
