"""Examples of a dataset: a pair or a preference, with the data for the filters."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from llm.tokens import MESSAGE_FRAME, TextCounter
from models.protocols import Stage
from models.training import Pair, PairSource, Preference, Provenance, TrainingTarget

_PLANS = frozenset(TrainingTarget.PLANNING.stages)


@dataclass(frozen=True)
class Example:
    """A pair or a preference; tokens are of its prompt, and of the prompt with its longest answer."""

    item: Pair | Preference
    id: str
    prompt_tokens: int
    tokens: int

    @property
    def provenance(self) -> Provenance:
        """Its provenance; for a preference, that of the chosen answer."""
        return self.item.provenance if isinstance(self.item, Pair) else self.item.chosen_by

    @property
    def source(self) -> PairSource:
        """Where it comes from."""
        return self.item.source

    @property
    def campaigns(self) -> frozenset[str]:
        """The campaigns it comes from."""
        if isinstance(self.item, Pair):
            return frozenset((self.item.provenance.campaign,))
        return frozenset((self.item.chosen_by.campaign, self.item.rejected_by.campaign))

    @property
    def rank(self) -> tuple[float, str]:
        """Sort key, best first: by weight, then by id, which is effectively random but reproducible."""
        return (-self.item.weight, self.id)

    @cached_property
    def answers(self) -> tuple[str, ...]:
        """The answers in the form for training."""
        if isinstance(self.item, Pair):
            return (completion(self.item.stage, self.item.answer, self.item.reasoning),)
        return (self.item.chosen, self.item.rejected)


def is_comparison(example: Example) -> bool:
    """Whether an example asks a critic for a verdict on two changes."""
    return isinstance(example.item, Preference) and example.item.kind == "comparison"


def completion(stage: Stage, answer: str, reasoning: str | None) -> str:
    """An answer in the form for training: for plan stages preceded by its reasoning."""
    if reasoning and stage in _PLANS:
        return f"<think>\n{reasoning}\n</think>\n\n{answer}"
    return answer


def examples_of(items: Iterable[Pair | Preference], counter: TextCounter) -> list[Example]:
    """Items with their tokens, in the order of their ids."""
    found = []
    for item in items:
        bare = Example(item, item.id, 0, 0)
        prompt = counter.prompt(item.messages)
        longest = max(counter.text(answer) for answer in bare.answers) + MESSAGE_FRAME
        found.append(Example(item, bare.id, prompt, prompt + longest))
    return sorted(found, key=lambda example: example.id)
