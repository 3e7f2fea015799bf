"""Evaluating a base, with an adapter or alone, on a frozen set; stored evaluations are reused.

Retrieval stages answer frozen prompts; code and planning are judged by whole runs of the pipeline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evals.scoring import (
    SCORING,
    AnsweringTerms,
    EvaluationSettings,
    ScoredEvaluation,
    evaluation_id,
    find_evaluation,
    keep_evaluation,
    score_once,
    settings_of,
)
from models.class_bias import ClassBias
from models.evaluation import Evaluation, EvaluationSet, Subject
from models.outcomes import Blame
from models.protocols import Stage
from models.training import TrainingTarget
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.bases.thinking import base_thinks
from training.cycle.context import TrainingContext
from training.cycle.served import evaluation_endpoint, served_answerer, served_terms
from training.cycle.steps import TrainingSteps
from training.cycle.student_runs import (
    NO_ADAPTER,
    SAMPLES,
    TEMPERATURE,
    active_adapters,
    load_on_student,
    require_base,
    run_student,
    student_campaign_key,
    student_identity,
)

if TYPE_CHECKING:
    from evals.scoring import Answerer

BY_WHOLE_RUNS = (TrainingTarget.CODE, TrainingTarget.PLANNING)


@dataclass(frozen=True)
class EvaluationKey:
    """The identity of an evaluation: the set, the weights, and the settings that comparable evaluations share.

    `answered` holds, for whole runs, the adapter of each stage of the student when the base alone is evaluated.
    """

    set_id: str
    subject: Subject
    settings: EvaluationSettings
    answered: Mapping[Stage, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id under which it is stored."""
        return evaluation_id(self.set_id, self.subject, self.settings)

    def find(self, context: TrainingContext, label: str) -> Evaluation | None:
        """The finished evaluation, reported as progress, or None."""
        found = find_evaluation(context.raw_engine, self.set_id, self.subject, self.settings)
        if found is not None:
            context.notify(f"evaluate {label}: done before", 1, 1)
        return found


def evaluation_key(
    context: TrainingContext,
    evaluation_set: EvaluationSet,
    base: Base,
    adapter: AdapterVersion | None,
) -> EvaluationKey:
    """The identity of an evaluation; loads no weights and asks a server only for its facts.

    For whole runs it contains the campaign's key, and the student's identity with the base alone at the target's stages
    and the active adapters at the others: subjects are comparable only if both are equal. Raises EvaluationError if the
    endpoint is not configured to serve the base, or a package of the set's repositories is unknown.
    """
    target, subject = evaluation_set.target, context.subject(base, adapter)
    if target not in BY_WHOLE_RUNS:
        return EvaluationKey(evaluation_set.id, subject, settings_of(_terms(context, target, base)))
    require_base(context, target, base)
    answered = active_adapters(context) | dict.fromkeys(target.stages, NO_ADAPTER)
    settings: EvaluationSettings = {
        "backend": "harness",
        "scoring": SCORING,
        "seeds": SAMPLES,
        "temperature": TEMPERATURE,
        "campaign": student_campaign_key(context, context.packages_of(evaluation_set.repositories))[:16],
        "student": student_identity(context, answered),
    }
    return EvaluationKey(evaluation_set.id, subject, settings, answered)


def evaluation_ids(baseline: Evaluation, adapter: str, bias: ClassBias | None = None) -> list[str]:
    """The ids of a baseline and of the challenger's evaluation with the same settings, which need not exist yet;
    `adapter` is the challenger's hash, `bias` its class bias."""
    offsets = "" if bias is None else bias.identity
    challenger = Subject(name="", base=baseline.subject.base, adapter=adapter, class_bias=offsets)
    return [evaluation_id(baseline.set_id, each, dict(baseline.settings)) for each in (baseline.subject, challenger)]


def evaluate(
    context: TrainingContext,
    steps: TrainingSteps,
    evaluation_set: EvaluationSet,
    base: Base,
    adapter: AdapterVersion | None,
) -> Evaluation:
    """A subject's scores on a frozen set, reused or computed. Raises as `evaluation_key` does, and ProviderError."""
    target = evaluation_set.target
    label = f"{target.value} {context.subject(base, adapter).name}"
    if target not in BY_WHOLE_RUNS:
        return steps.answer(label, context, evaluation_set, base, adapter)
    key = evaluation_key(context, evaluation_set, base, adapter)
    if (found := key.find(context, label)) is not None:
        return found
    if adapter is not None:
        load_on_student(context, target, base, adapter)
    judged = run_student(
        context,
        steps,
        f"evaluate {target.value} {evaluation_set.id[:8]}",
        context.packages_of(evaluation_set.repositories),
        evaluation_set,
        {**key.answered, **dict.fromkeys(target.stages, adapter.served if adapter else NO_ADAPTER)},
    )
    evaluation = Evaluation(
        set_id=evaluation_set.id,
        target=target,
        subject=key.subject,
        settings=key.settings,
        scores=judged.scores,
        seconds=0.0,
    )
    if any(each.kind.blame is Blame.INFRASTRUCTURE for each in judged.excluded):
        return evaluation  # not stored: a rerun of the campaign may have verdicts on those samples
    return keep_evaluation(context.raw_engine, ScoredEvaluation(evaluation=evaluation, answers=()))


def answer_set(
    label: str, context: TrainingContext, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None
) -> Evaluation:
    """Have a base, with an adapter or alone, answer a frozen set; a finished evaluation is reused."""
    key = evaluation_key(context, evaluation_set, base, adapter)
    if (found := key.find(context, label)) is not None:
        return found
    with context.device():
        context.notify(f"evaluate {label}", 0, None)
        return score_once(
            context.raw_engine,
            evaluation_set,
            _answerer(context, evaluation_set.target, base, adapter),
            key.subject,
            key.settings,
            context.settings.data_dir / "evaluations",
            lambda done, total: context.notify(f"evaluate {label}", done, total),
        )


def _endpoint(context: TrainingContext, base: Base, target: TrainingTarget) -> str:
    return "" if context.in_process else evaluation_endpoint(context.settings, base, target)


def _terms(context: TrainingContext, target: TrainingTarget, base: Base) -> AnsweringTerms:
    """The settings with which a target's stage is answered: by an endpoint, or by weights in this process."""
    if name := _endpoint(context, base, target):
        [stage] = target.stages
        return served_terms(context.settings, name, base, stage)
    from training.cycle.local_answers import local_terms

    return local_terms(base.path, base_thinks(context.settings, base, target))


def _answerer(
    context: TrainingContext, target: TrainingTarget, base: Base, adapter: AdapterVersion | None
) -> "Answerer":
    """The answerer with those settings; loads the weights, or the adapter at the endpoint."""
    if name := _endpoint(context, base, target):
        [stage] = target.stages
        return served_answerer(context.settings, name, context.curated, base, adapter, stage)
    from training.cycle.local_answers import LocalAnswerer

    directory = adapter.path if adapter else None
    thinking, bias = base_thinks(context.settings, base, target), adapter.class_bias if adapter else None
    return LocalAnswerer(base.path, base.name, directory, thinking=thinking, bias=bias)
