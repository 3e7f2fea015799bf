"""VaL probing: questions about one element of a long context, at each of several depths, in three forms.

After An et al. 2024, "Make Your LLM Fully Utilize the Context" (arXiv 2404.16811): a sentence of a document from words
in its middle (what is around them, to both sides), a function from a line in it (its name, backward), and an entry of
data from its id (its content, forward).
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from pydantic import Field

from evals.positions.material import Element, entries_of, functions_shown, sentences_of
from evals.positions.placing import arranged, fill, place_at
from models.chat import Message
from models.plans import Frozen
from repos.git import Git

SYSTEM = "You find what you are asked for in a text. Write what is asked for and nothing else."


class Form(StrEnum):
    """The kind of context, and where from the asked place the answer lies: to both sides, before it, after it."""

    DOCUMENT = "document"
    CODE = "code"
    STRUCTURED = "structured"


RETRIEVAL = {Form.DOCUMENT: "bi-directional", Form.CODE: "backward", Form.STRUCTURED: "forward"}
ANSWER_TOKENS = {Form.DOCUMENT: 96, Form.CODE: 24, Form.STRUCTURED: 48}
_FILLED = 0.75
"""Least share of the window that a repository must fill."""
_MATERIAL: dict[Form, Callable[[Git, str], list[Element]]] = {
    Form.DOCUMENT: sentences_of,
    Form.CODE: functions_shown,
    Form.STRUCTURED: entries_of,
}
_ASKED = {
    Form.DOCUMENT: "Which sentence of the text has the words `{key}`? Write the whole sentence.",
    Form.CODE: "In which function is this line: `{key}`? Write the function's name.",
    Form.STRUCTURED: "What is the subject of the entry with the id {key}? Write the subject.",
}
_HEADS = {Form.DOCUMENT: "# Text", Form.CODE: "# Functions", Form.STRUCTURED: "# Entries"}
_JOINED = {Form.DOCUMENT: "\n", Form.CODE: "\n\n", Form.STRUCTURED: "\n"}


class ProbeSettings(Frozen):
    """window: tokens of a prompt with its answer. depths: how many, from the first place to the last. samples: of each
    form, depth and repository."""

    window: int = Field(ge=256)
    depths: int = Field(5, ge=2)
    samples: int = Field(1, ge=1)
    forms: tuple[Form, ...] = tuple(Form)
    seed: int = 0


class Probe(Frozen):
    """A question whose answer is at `depth` (0 first, 1 last) of its context. `others` are names that a wrong answer
    could give, of a form whose answers are names."""

    form: Form
    repository: str
    depth: float
    sample: int
    messages: tuple[Message, ...]
    answer: str
    others: tuple[str, ...] = ()


def probes_of(
    repository: str, git: Git, commit: str, asked: ProbeSettings, count: Callable[[Sequence[Message]], int]
) -> Iterator[Probe]:
    """The probes of a repository; none of a form for which it has too little to fill the window.

    `count` gives the tokens of a prompt. The sample's context is the same at every depth: only the place changes.
    """
    for form in asked.forms:
        material = _MATERIAL[form](git, commit)
        for sample in range(asked.samples):
            generator = random.Random(f"{asked.seed} {repository} {form} {sample}")
            context = _context(form, material, asked.window - ANSWER_TOKENS[form], count, generator)
            if context is None:
                continue
            target, others = context
            for step in range(asked.depths):
                depth = step / (asked.depths - 1)
                pieces = arranged([target.shown], [place_at(depth, len(others))], [each.shown for each in others])
                yield Probe(
                    form=form,
                    repository=repository,
                    depth=depth,
                    sample=sample,
                    messages=_messages(form, pieces, target.key),
                    answer=target.answer,
                    others=tuple(each.answer for each in others) if form is Form.CODE else (),
                )


def _context(
    form: Form,
    material: list[Element],
    budget: int,
    count: Callable[[Sequence[Message]], int],
    generator: random.Random,
) -> tuple[Element, list[Element]] | None:
    """An element to be asked for, and others that fill the budget and do not have its key; None if they do not."""
    if not material:
        return None
    pool = generator.sample(material, len(material))
    target, by_shown = pool[0], {each.shown: each for each in pool[1:]}
    bare = count(_messages(form, [], target.key))

    def tokens(piece: str) -> int:
        return max(1, count(_messages(form, [piece], target.key)) - bare)

    left = budget - bare - tokens(target.shown)
    found = fill(by_shown, left, tokens, lambda piece: target.key not in piece and target.answer not in piece)
    if sum(map(tokens, found)) < _FILLED * left:
        return None
    while found and count(_messages(form, [target.shown, *found], target.key)) > budget:
        found.pop()
    return target, [by_shown[piece] for piece in found]


def _messages(form: Form, pieces: Sequence[str], key: str) -> tuple[Message, ...]:
    text = _JOINED[form].join(pieces)
    asked = f"{_HEADS[form]}\n\n{text}\n\n# Question\n\n{_ASKED[form].format(key=key)}\n\n# Your answer"
    return (Message(role="system", content=SYSTEM), Message(role="user", content=asked))


def score(probe: Probe, answer: str) -> float:
    """How right an answer is, from 0 to 1: the share of a sentence's words that it has, or whether it has the subject,
    or whether the first of the context's functions that it names is the right one."""
    if probe.form is Form.DOCUMENT:
        wanted, given = _words(probe.answer), _words(answer)
        return sum((wanted & given).values()) / wanted.total()
    if probe.form is Form.STRUCTURED:
        return float(" ".join(probe.answer.lower().split()) in " ".join(answer.lower().split()))
    known = {probe.answer, *probe.others}
    return float(next((name for name in re.findall(r"\w+", answer) if name in known), None) == probe.answer)


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))
