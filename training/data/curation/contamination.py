"""Decontamination: overlaps with frozen evaluation sets that are removed from a dataset.

An example is refused if it is of an item's commit or instance, if its task shares an `ngram`-word shingle with an
item's task (as for GPT-3, with 13 words; shorter tasks from 8 words on are compared whole, still shorter ones line by
line: see `short`), or if its prompt contains a set share of the shingles of an item's prompt outside its task. A single
shared shingle is not enough there: licences and such occur in every repository. Text of the templates does not count.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from models.chat import Message
from models.curation_settings import CurationSettings
from models.evaluation import EvaluationSet
from models.training import Provenance
from training.data.curation.short import SHORTEST, ShortTasks
from training.data.sources.templates import own_text, task_of

_WORD = re.compile(r"\w+")
COMMIT, INSTANCE, TASK, PROMPT = (
    "commit of an evaluation item",
    "instance of an evaluation item",
    "words of an evaluation task",
    "text of an evaluation prompt",
)
REASONS = (COMMIT, INSTANCE, TASK, PROMPT)


class HeldOut:
    """The contents of frozen evaluation sets, for comparison."""

    def __init__(self, sets: Sequence[EvaluationSet], settings: CurationSettings) -> None:
        self._n, self._share = settings.ngram, settings.overlap
        items = [item for each in sets for item in each.items]
        self._commits = {item.commit for item in items}
        self._instances = {item.instance for item in items}
        asked = {item.messages for item in items if item.messages}
        self._tasks = {run for messages in asked for run in self._task_runs(messages)}
        self._short = ShortTasks(task_of(messages) for messages in asked)
        self._shown: dict[int, list[int]] = {}
        self._sizes: list[int] = []
        for number, messages in enumerate(sorted(asked, key=str)):
            runs = set(self._runs(own_text(messages)))
            self._sizes.append(len(runs))
            for run in runs:
                self._shown.setdefault(run, []).append(number)

    def why(self, provenance: Provenance, messages: Sequence[Message]) -> str | None:
        """Why an example must not be trained on, or None."""
        if provenance.commit in self._commits:
            return COMMIT
        if provenance.instance in self._instances:
            return INSTANCE
        if not self._tasks.isdisjoint(self._task_runs(messages)) or self._short.know(task_of(messages)):
            return TASK
        if not self._shown:
            return None
        shared: Counter[int] = Counter()
        for run in set(self._runs(own_text(messages))):
            shared.update(self._shown.get(run, ()))
        return PROMPT if any(n >= self._share * self._sizes[item] for item, n in shared.items()) else None

    def _task_runs(self, messages: Sequence[Message]) -> set[int]:
        words = _words(task_of(messages))
        if SHORTEST <= len(words) < self._n:
            return {hash(tuple(words))}
        return set(self._runs(" ".join(words)))

    def _runs(self, text: str) -> Iterator[int]:
        """Hashes of a text's shingles, since they are many and only compared for equality."""
        words = _words(text)
        return map(hash, zip(*(words[start:] for start in range(self._n)), strict=False))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
