"""Evaluation as data: frozen items, scores of one subject on them, and a gate's decision between two such results."""

import hashlib
from enum import StrEnum

from pydantic import Field

from models.chat import Message
from models.plans import Frozen
from models.protocols import Stage
from models.training import TrainingTarget


class EvaluationItem(Frozen):
    """One question to a stage with a known answer. `expected` is the gold planner's answer text.

    Code and the plan stages have one item per instance, without messages: the harness asks and judges.
    `answer_tokens` is the limit of an answer when the set was frozen; the limit in use applies when it is scored.
    """

    id: str
    stage: Stage
    repository: str
    instance: str
    commit: str
    messages: tuple[Message, ...]
    expected: str
    answer_tokens: int = Field(gt=0)


class EvaluationSet(Frozen):
    """Items of one target from reserved repositories, frozen."""

    target: TrainingTarget
    repositories: tuple[str, ...]
    items: tuple[EvaluationItem, ...]

    @property
    def id(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class ClassJudgement(Frozen):
    """One candidate's class: by gold, and as answered (`(none)` if the answer does not name it).

    `probability` is that of the class that must be found (relevant, primary), None where only the class is known.
    `place` is the candidate's place in the ranking that was shown, from 1.
    """

    expected: str
    given: str
    probability: float | None = Field(default=None, ge=0, le=1)
    place: int = Field(default=1, ge=1)


class ItemScore(Frozen):
    """Scores of one answer, each metric between 0 and 1. A metric that does not apply to an item is left out.

    `judgements` are those of a stage with classes, from which metrics over many items are computed.
    """

    item: str
    repository: str
    seed: int
    scores: dict[str, float]
    judgements: tuple[ClassJudgement, ...] = ()


class Subject(Frozen):
    """The model evaluated: a base by its hash, with or without an adapter by its content hash. `name` is for people.

    `class_bias` is the identity of the adapter's class bias, which its content hash does not cover; empty: none.
    """

    name: str
    base: str
    adapter: str | None = None
    class_bias: str = ""


class Evaluation(Frozen):
    """One subject's scores on one set. Two evaluations may be compared only if their `settings` match: decoding, seeds,
    inference back end, template revision."""

    set_id: str
    target: TrainingTarget
    subject: Subject
    settings: dict[str, str | int | float]
    scores: tuple[ItemScore, ...]
    seconds: float

    def mean(self, metric: str) -> float:
        """The metric's mean over items and seeds. Raises KeyError if no item has it."""
        values = [score.scores[metric] for score in self.scores if metric in score.scores]
        if not values:
            raise KeyError(metric)
        return sum(values) / len(values)


class GateVerdict(StrEnum):
    """A gate's decision about a challenger. Inconclusive keeps the champion."""

    PROMOTE = "promote"
    REJECT = "reject"
    INCONCLUSIVE = "inconclusive"


class MetricTest(Frozen):
    """One metric, champion against challenger, paired by item and seed.

    `p_repository` is of the sign-flip test over repositories (None: too few to mean anything), `p_item` of the test at
    item level (exact McNemar for yes-or-no metrics, sign-flip for others), `p_adjusted` after Holm's correction over
    the targets gated together. The interval is of the difference, by bootstrap clustered by repository (by item when
    there is one repository). `detectable` is the smallest difference that this set would find in four of five cases
    (None: it would find none). `power`, of a primary metric over repositories, is the probability that a difference of
    0.05 is found, and `needed` the repositories by which it would be 0.8 (None: more than 300, if `power` is known).
    """

    metric: str
    primary: bool
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    p_repository: float | None
    p_item: float
    p_adjusted: float
    detectable: float | None
    threshold: float | None
    items: int
    repositories: int
    power: float | None = None
    needed: int | None = None


class ClassifierContest(Frozen):
    """An adapter's answers against a classifier that asks no language model, by average precision over repositories.

    `alone` is the classifier's, `adapter` the adapter's, `together` that of both combined; p-values are of the adapter
    and of the combination against the classifier, after Holm's correction. `holds`: the adapter beats it or adds to it.
    None: too few repositories to compare.
    """

    classifier: str
    repositories: int
    reason: str
    alone: float | None = None
    adapter: float | None = None
    together: float | None = None
    p_beats: float | None = None
    p_adds: float | None = None
    holds: bool = False


TOKENS_APART = 0.1
"""Share by which a control may have fewer tokens than its adapter and still count as trained alike."""


class ControlReport(Frozen):
    """An adapter against its control: the same training on the student's own answers, whatever came of their runs.

    `examples` was the control trained on, the adapter on `matched`; so for optimizer steps and tokens, 0: unknown.
    `note`: why no control was run, if so. `tests` are those of a gate with the control as champion; `beaten`: that gate
    promotes the adapter. `lacks`: a stage of the adapter's training that the control has no counterpart of.
    """

    examples: int = 0
    matched: int = 0
    note: str = ""
    beaten: bool = False
    tests: tuple[MetricTest, ...] = ()
    lacks: str = ""
    steps: int = 0
    matched_steps: int = 0
    tokens: int = 0
    matched_tokens: int = 0

    @property
    def unmatched(self) -> str:
        """In what the control's training is less than the adapter's; empty if they are alike."""
        found = [f"{self.examples} of {self.matched} examples"] if self.examples < self.matched else []
        if self.steps < self.matched_steps:
            found.append(f"{self.steps} of {self.matched_steps} steps")
        if self.tokens < (1 - TOKENS_APART) * self.matched_tokens:
            found.append(f"{self.tokens:,} of {self.matched_tokens:,} tokens")
        return ", ".join([*found, *([f"without {self.lacks}"] if self.lacks else [])])

    @property
    def size(self) -> str:
        """Steps and tokens of both trainings; empty if they are unknown."""
        if not self.matched_steps:
            return ""
        return (
            f"{self.steps} steps and {self.tokens:,} tokens, the adapter's {self.matched_steps} steps and "
            f"{self.matched_tokens:,} tokens"
        )


class GateReport(Frozen):
    """A gate's verdict with the evidence for it; `contest` is with a classifier, if one took part, `control` with a
    training on unverified answers, if one was asked for. A control changes no verdict."""

    target: TrainingTarget
    champion: Subject
    challenger: Subject
    set_id: str
    verdict: GateVerdict
    reason: str
    tests: tuple[MetricTest, ...]
    contest: ClassifierContest | None = None
    control: ControlReport | None = None
