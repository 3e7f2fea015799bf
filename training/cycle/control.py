"""The control of a claim of self-improvement: the same training on as many of the student's own unverified answers.

If an adapter that was trained on answers which tests or gold vouch for is no better than its control, it has learned
the form of answers, or from more training, and nothing from the verification. A control has the adapter's base, recipe
and seed, as many optimizer steps, and answers as long as its examples, as far as the student's allow. It is no version
of the registry: nothing can promote it, and no round, dataset or reservation knows of it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from evals.gates import decide
from evals.sets import in_common
from evals.thresholds import Rules
from models.class_bias import CLASS_BIAS
from models.curation_settings import CurationRequest
from models.errors import CleanRoomError, GuardrailError, RegistryError, TrainingError
from models.evaluation import ControlReport, Evaluation, GateReport, GateVerdict
from store.learning.adapters import AdapterVersion
from store.learning.trainings import FinishedTraining
from training.adapters.registry.weights import check_adapter, content_hash
from training.bases.thinking import training_settings
from training.cycle.context import TrainingContext
from training.cycle.evaluation import evaluate
from training.cycle.matching import lengths_of, of_steps
from training.cycle.orders import Control, TrainingInputs
from training.cycle.rules import check_training_data
from training.cycle.steps import TrainingSteps
from training.data.curation import UnverifiedDraw, curate_unverified
from training.data.datasets import read_dataset
from training.fit.job import job_for
from training.fit.recipe import Method

CONTROLS = "controls"
"""Folder under the data directory: a folder for each training, with the dataset and the result of its control."""

PREFERENCES = "the preferences stage"


class ControlAdapter(AdapterVersion):
    """A control as what is evaluated; its names are those of no version."""

    @property
    def name(self) -> str:
        """The display name."""
        return f"{self.target.value}-control"

    @property
    def served(self) -> str:
        """The name under which it is served, which contains its hash."""
        return f"{self.name}-{self.id[:12]}"


def run_control(
    context: TrainingContext,
    steps: TrainingSteps,
    inputs: TrainingInputs,
    trained: Mapping[Method, FinishedTraining],
) -> Control | None:
    """Train and evaluate the control of a finished training, unless that is done; None if settings ask for none.

    `trained`: the trainings of the adapter by method, in their order. What prevents the control's training is part of
    the result. Raises as `evaluate` does.
    """
    if not context.settings.training.control_arm:
        return None
    if "sft" not in trained:
        return _none(inputs, "the adapter was trained on preferences, which have no unverified counterpart")
    place = context.settings.data_dir / CONTROLS / list(trained.values())[-1].job
    supervised = trained["sft"]
    try:
        made = _trained(context, inputs, place, supervised.steps)
    except (TrainingError, GuardrailError, RegistryError) as error:
        return _none(inputs, str(error))
    evaluation = evaluate(context, steps, inputs.evaluation_set, inputs.base, made.adapter)
    sizes = ControlReport(
        examples=made.examples,
        matched=inputs.card.examples["sft"],
        steps=made.steps,
        matched_steps=supervised.steps,
        tokens=made.tokens,
        matched_tokens=supervised.tokens,
        lacks=PREFERENCES if "dpo" in trained else "",
    )
    return Control(evaluation, sizes)


def _none(inputs: TrainingInputs, note: str) -> Control:
    """No control, and why."""
    return Control(None, ControlReport(matched=inputs.card.examples["sft"], note=note))


class _Made(NamedTuple):
    """A trained control, with the examples of its dataset and what it was trained for."""

    adapter: ControlAdapter
    examples: int
    steps: int
    tokens: int


def _trained(context: TrainingContext, inputs: TrainingInputs, place: Path, steps: int) -> _Made:
    """The control after so many optimizer steps."""
    target, base, label = inputs.card.target, inputs.base, f"control of {inputs.card.target.value}"
    dataset = _dataset(context, inputs, place)
    card = read_dataset(dataset)
    job = of_steps(job_for(card, dataset, base, "sft", training_settings(context.settings, base, target)), steps)
    with context.device():
        fit = job.fit(place / job.id, lambda done: context.notify(f"train {label}", done.step, done.steps))
    check_adapter(fit.adapter_dir, base)
    now = datetime.now(UTC)
    adapter = ControlAdapter(
        id=content_hash(fit.adapter_dir),
        target=target,
        version=0,
        base=base.id,
        base_name=base.name,
        path=fit.adapter_dir,
        dataset_id=card.id,
        plan_id=job.id,
        metrics={CLASS_BIAS: fit.class_bias.model_dump(mode="json")} if fit.class_bias else {},
        active=False,
        trained_at=now,
        created_at=now,
    )
    return _Made(adapter, card.examples["sft"], fit.steps, fit.tokens)


def _dataset(context: TrainingContext, inputs: TrainingInputs, place: Path) -> Path:
    """The directory of the control's dataset; what was drawn once stays, though the student has answered more since.

    It is drawn again if a repository or an item of it has been held out since. Raises GuardrailError if what is drawn
    then breaks that rule too.
    """
    card, settings = inputs.card, context.settings
    for drawn in sorted((place / "datasets").glob(f"{card.target.value}-*")):
        try:
            check_training_data(context, drawn, read_dataset(drawn), inputs.evaluation_set)
        except GuardrailError:
            continue
        return drawn
    request = CurationRequest(
        target=card.target,
        data_dir=str(place),
        settings=settings.curation,
        base=inputs.base.name,
        max_prompt_tokens=card.config.get("max_prompt_tokens"),
        windows=settings.models.windows,
    )
    lengths = lengths_of(inputs.dataset, context.curated, inputs.base.name)
    draw = UnverifiedDraw(card.examples["sft"], settings.training.seed, _mean_weight(inputs.dataset), lengths)
    made = curate_unverified(
        context.raw,
        context.curated,
        request,
        draw,
        lambda step: context.notify(f"curate control of {card.target.value}: {step}", 0, None),
    )
    assert made.dataset_dir is not None, "it is no dry run"
    check_training_data(context, made.dataset_dir, made.card, inputs.evaluation_set)
    return made.dataset_dir


def _mean_weight(dataset: Path) -> float:
    """The mean weight of a dataset's pairs: as weights are shares in sampling, the control has as many steps."""
    weights = [float(json.loads(line)["weight"]) for line in (dataset / "sft.jsonl").read_text().splitlines()]
    return round(sum(weights) / len(weights), 4)


def with_control(report: GateReport, control: Control | None, challenger: Evaluation, rules: Rules) -> GateReport:
    """A gate's report with what the control says of the challenger; unchanged without one."""
    if control is None:
        return report
    if control.evaluation is None:
        return report.model_copy(update={"control": control.report})
    try:
        against = decide(*in_common(control.evaluation, challenger), rules=rules)
    except CleanRoomError as error:
        return report.model_copy(update={"control": control.report.model_copy(update={"note": str(error)})})
    beaten = against.verdict is GateVerdict.PROMOTE
    found = control.report.model_copy(update={"beaten": beaten, "tests": against.tests})
    return report.model_copy(update={"control": found})
