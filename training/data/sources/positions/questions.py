"""Questions about facts: their words, their answers, and the prompt that shows a context before them."""

from collections.abc import Sequence
from typing import NamedTuple

from models.chat import Message
from training.data.sources.positions.segments import Fact, FactKind

SYSTEM = (
    "You answer questions about the pieces of code that you are shown. "
    "Everything that is needed to answer is in them. Write the answer and nothing else."
)
_WORDS = {
    FactKind.LINE: "Which function holds this line: `{key}`? Give its name.",
    FactKind.CONSTANT: "Which value is `{key}` given? Write it as the code does.",
    FactKind.IMPORT: "From which module does the name `{key}` come? Write it as the import does.",
}


class Question(NamedTuple):
    """A question about one or several facts, and its only answer."""

    text: str
    answer: str


def single(fact: Fact) -> Question:
    """The question about one fact."""
    return Question(_WORDS[fact.kind].format(key=fact.key), fact.answer)


def several(facts: Sequence[Fact]) -> Question:
    """A question that takes all of these facts: which of two numbers is larger, or each answer on a line of its own."""
    values = [number_of(fact) for fact in facts]
    if len(facts) == 2 and None not in values and values[0] != values[1]:
        larger = max(zip(values, facts, strict=True), key=lambda each: each[0] or 0)[1]
        return Question(
            f"Which of `{facts[0].key}` and `{facts[1].key}` is given the larger value? Give its name.", larger.key
        )
    asked = "\n".join(f"{number}. {single(fact).text}" for number, fact in enumerate(facts, 1))
    return Question(f"Answer each on a line of its own, in this order:\n{asked}", "\n".join(f.answer for f in facts))


def number_of(fact: Fact) -> float | None:
    """The number that a constant is given; None for other facts."""
    try:
        return float(fact.answer) if fact.kind is FactKind.CONSTANT else None
    except ValueError:
        return None


def messages_of(pieces: Sequence[str], question: Question) -> tuple[Message, ...]:
    """The prompt: the pieces of code in their order, then the question."""
    context = "\n\n".join(pieces)
    return (
        Message(role="system", content=SYSTEM),
        Message(role="user", content=f"# Code\n\n{context}\n\n# Question\n\n{question.text}\n\n# Your answer"),
    )
