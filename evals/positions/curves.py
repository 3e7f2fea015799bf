"""Accuracy by depth of a model's answers to probes, and what changed between two models."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from evals.paired import interval, sign_flip_over_repositories
from evals.positions.probes import ANSWER_TOKENS, Form, Probe, ProbeSettings, score
from evals.scoring import Answerer, BatchAnswerer, Question
from models.chat import Message
from models.plans import Frozen


class Scored(Frozen):
    """The score of one answer, from 0 to 1. `prompt`: the hash of the messages that it answers."""

    form: Form
    repository: str
    depth: float
    sample: int
    prompt: str
    score: float


class Curve(Frozen):
    """Mean score at each depth, their average, and the gap between the best and the worst depth."""

    by_depth: dict[str, float]
    average: float
    gap: float
    probes: int


class ProbeResult(Frozen):
    """All scores of a model; curves are computed from them."""

    model: str
    settings: ProbeSettings
    scores: tuple[Scored, ...]

    def curve(self, form: Form | None = None) -> Curve | None:
        """The curve of a form, or over all forms, each of which counts the same; None without any score."""
        forms = [each for each in Form if form in (None, each)]
        depths: dict[float, list[float]] = {}
        count = 0
        for each in forms:
            mine = [found for found in self.scores if found.form is each]
            count += len(mine)
            for depth in sorted({found.depth for found in mine}):
                depths.setdefault(depth, []).append(fmean(s.score for s in mine if s.depth == depth))
        if not depths:
            return None
        means = {f"{depth:.2f}": fmean(values) for depth, values in sorted(depths.items())}
        values = means.values()
        return Curve(by_depth=means, average=fmean(values), gap=max(values) - min(values), probes=count)


class Comparison(Frozen):
    """Second less first model on the probes that both answered, to the letter: mean over repositories, its 95%
    interval, p by sign-flip over repositories, and the change of the gap (below 0: flatter). `left_out`: answers of
    either to prompts that the other was not asked."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    repositories: int
    gap: float
    probes: int
    left_out: int


def answered(answerer: Answerer, probes: Sequence[Probe]) -> list[Scored]:
    """The scores of a model's greedy answers."""
    size = answerer.batch if isinstance(answerer, BatchAnswerer) else 1
    found: list[Scored] = []
    for start in range(0, len(probes), size):
        part = probes[start : start + size]
        questions = [Question(each.messages, answerer.limit(ANSWER_TOKENS[each.form]), None) for each in part]
        if isinstance(answerer, BatchAnswerer):
            texts: Iterable[str] = answerer.answer_many(questions, 0, 0.0)
        else:
            texts = [answerer.answer(each.messages, each.max_tokens, 0, 0.0, None) for each in questions]
        found += [_scored(probe, text) for probe, text in zip(part, texts, strict=True)]
    return found


def _scored(probe: Probe, text: str) -> Scored:
    return Scored(
        form=probe.form,
        repository=probe.repository,
        depth=probe.depth,
        sample=probe.sample,
        prompt=prompt_hash(probe.messages),
        score=score(probe, text),
    )


def prompt_hash(messages: Sequence[Message]) -> str:
    """What distinguishes a prompt from all others."""
    return hashlib.sha256(json.dumps([[each.role, each.content] for each in messages]).encode()).hexdigest()[:24]


def compared(first: ProbeResult, second: ProbeResult) -> Comparison | None:
    """What the second model gets right more than the first; None if they have no probe in common. Models whose
    tokenizers count differently are asked with other contexts, which have no score in common."""
    before, after = _by_probe(first), _by_probe(second)
    common = sorted(before.keys() & after.keys())
    differences: dict[str, list[float]] = {}
    for key in common:
        differences.setdefault(before[key].repository, []).append(after[key].score - before[key].score)
    if not differences:
        return None
    means = {name: [fmean(values)] for name, values in differences.items()}
    low, high = interval(means)
    both = [
        result.model_copy(update={"scores": tuple(scores[key] for key in common)})
        for result, scores in ((first, before), (second, after))
    ]
    gaps = [curve.gap for result in both if (curve := result.curve()) is not None]
    return Comparison(
        first=first.model,
        second=second.model,
        difference=fmean(value for (value,) in means.values()),
        low=low,
        high=high,
        p=sign_flip_over_repositories(means),
        repositories=len(means),
        gap=gaps[1] - gaps[0],
        probes=len(common),
        left_out=len(before) + len(after) - 2 * len(common),
    )


def _by_probe(result: ProbeResult) -> Mapping[tuple[str, str, float, int, str], Scored]:
    return {(each.form, each.repository, each.depth, each.sample, each.prompt): each for each in result.scores}
