"""The decisions in an answer: the characters at which it chooses, as against those that its schema or prompt forces.

A judge's answer repeats the paths that it was asked about, and under a JSON schema all of it but the classes is forced.
Where the classes differ in their first letter, the token with that letter decides and the rest of the word follows.
Two forms of answers are known: JSON with a class or its first letter as value, and lines with a letter after a number.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from models.protocols import Stage
from training.data.sources.reading import CLASSES

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?')
_RATIONALE = re.compile(r'"(?:rationale|reason)"\s*:\s*"((?:[^"\\]|\\.)*)"')
_NUMBERED = re.compile(r"(?<![\w.])\d+\s*[:.)=]?\s*([A-Z])(?!\w)")
_PLAIN = frozenset({Stage.CODE})
"""Stages whose answers are no JSON: nothing in them is forced."""

Span = tuple[int, int]


class Decision(NamedTuple):
    """A class in an answer, by the index of its first character; `label` is its whole name."""

    place: int
    label: str


def decisions_of(stage: Stage, answer: str) -> list[Decision]:
    """The decisions in an answer of a classifying stage, in order; none for other stages and for unknown forms."""
    if stage not in CLASSES:
        return []
    names = {each: each for each in CLASSES[stage]} | {each[0].upper(): each for each in CLASSES[stage]}
    if "{" in answer:
        values = [match for match in _STRING.finditer(answer) if match[2] is None and match[1] in names]
    else:
        values = [match for match in _NUMBERED.finditer(answer) if match[1] in names]
    return [Decision(match.start(1), names[match[1]]) for match in values]


def forced_spans(stage: Stage, answer: str) -> list[Span]:
    """The characters (from, to) of a JSON answer that its schema forces whatever is decided: names with their colons.

    Commas and closing brackets stay out of it, for they say whether a list goes on. A thinking trace is free text.
    """
    if stage in _PLAIN:
        return []
    begin = answer.find("</think>") + len("</think>") if "</think>" in answer else 0
    begin = answer.find("{", begin)
    if begin < 0:
        return []
    return [match.span() for match in _STRING.finditer(answer, begin) if match[2] is not None]


def reasoning_spans(stage: Stage, answer: str) -> list[Span]:
    """The characters (from, to) of the reasoning in a plan: its thinking trace, and the values of its rationales."""
    if stage in _PLAIN or stage in CLASSES:
        return []
    end = answer.find("</think>")
    begin = end + len("</think>") if end >= 0 else 0
    found = [match.span(1) for match in _RATIONALE.finditer(answer, begin)]
    return [(0, begin), *found] if begin else found


def token_at(offsets: Sequence[Span], place: int) -> int:
    """The index of the token with a character; `offsets` of each token, ascending. Raises ValueError if none has it."""
    index = bisect_right([start for start, _ in offsets], place) - 1
    while index >= 0 and offsets[index][1] <= place:
        index -= 1
    if index < 0 or not offsets[index][0] <= place < offsets[index][1]:
        raise ValueError(f"no token holds character {place} of the answer")
    return index


def tokens_within(offsets: Sequence[Span], spans: Sequence[Span]) -> set[int]:
    """Indices of the tokens that lie within one of the spans; a token across a border does not."""
    return {
        index
        for index, (start, end) in enumerate(offsets)
        if end > start and any(first <= start and end <= last for first, last in spans)
    }


def class_weights(counts: Mapping[str, float], balance: str, beta: float, cap: float) -> dict[str, float]:
    """The weight of each class, with a mean of 1 over all decisions.

    `effective`: by the inverse of the effective number of samples, (1 - beta^n) / (1 - beta) (Cui et al.,
    "Class-Balanced Loss Based on Effective Number of Samples", 2019); `inverse`: by 1/n; `none`: all 1. No weight
    exceeds `cap` times the smallest. A class that does not occur has no weight.
    """
    present = {label: count for label, count in counts.items() if count > 0}
    if balance == "none" or not present:
        return dict.fromkeys(present, 1.0)
    effective = present if balance == "inverse" else {c: (1 - beta**n) / (1 - beta) for c, n in present.items()}
    raw = {label: 1 / number for label, number in effective.items()}
    most = cap * min(raw.values())
    capped = {label: min(value, most) for label, value in raw.items()}
    mean = sum(present[label] * value for label, value in capped.items()) / sum(present.values())
    return {label: value / mean for label, value in sorted(capped.items())}
