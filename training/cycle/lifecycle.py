"""The lifecycle of an adapter: baseline, training, registry, evaluation, gate; promoted, or the champion stays.

champion and challenger answer the same frozen items -> paired gate -> log and alias in one transaction
                                                                    -> whole runs on held-out packages -> rollback?

Finished steps are reused, so that an interrupted training resumes.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from evals.gate_report import unlike_use
from evals.gates import decide_together
from evals.sets import in_common, latest_set
from evals.thresholds import Rules
from models.class_bias import CLASS_BIAS, read_class_bias
from models.errors import RegistryError
from models.evaluation import Evaluation, GateReport, GateVerdict
from models.targets import require_stages
from store.learning.trainings import FinishedTraining, find_training
from training.adapters.registry import AdapterVersion
from training.adapters.registry.succession import require_current
from training.adapters.registry.weights import content_hash
from training.bases.bases import find_base
from training.bases.thinking import training_settings
from training.cycle.classifier import gated_by_classifier
from training.cycle.context import TrainingContext
from training.cycle.control import run_control, with_control
from training.cycle.evaluation import evaluate, evaluation_ids
from training.cycle.orders import Prepared, TrainingInputs, TrainOrder, TrainReport
from training.cycle.promotion import settle
from training.cycle.rules import check_training, check_training_data
from training.cycle.steps import TrainingSteps
from training.cycle.student_runs import whole_runs
from training.data.curation import Card
from training.data.datasets import newest_dataset, read_dataset
from training.fit.job import FIT_VERSION, job_for, methods
from training.fit.recipe import Method, recipe_for

STATED = {"rank", "learning_rate", "epochs", "batch_size", "max_tokens", "max_steps"}
"""The recipe's fields in an adapter's statement; the job's row holds all of them."""


def train(context: TrainingContext, steps: TrainingSteps, order: TrainOrder) -> TrainReport:
    """Train an adapter for a target and promote it if a gate says so.

    Raises GuardrailError for a broken rule, EvaluationError without a frozen evaluation set, TrainingError,
    RegistryError.
    """
    prepared = prepare(context, steps, order)
    [report] = gate(context, [prepared])
    return conclude(context, steps, prepared, report)


def find_inputs(context: TrainingContext, order: TrainOrder) -> TrainingInputs:
    """The inputs that an order names. Raises RegistryError, TrainingError or EvaluationError if one is missing,
    UsageError for a target without stages."""
    require_stages(order.target)
    base = find_base(context.curated, order.base)
    require_current(context.curated, base, order.target)
    dataset = order.dataset or newest_dataset(context.raw, context.settings.data_dir, order.target)
    card = read_dataset(dataset)
    methods(card, order.technique)  # raises if the dataset lacks what a method needs
    return TrainingInputs(base, dataset, card, latest_set(context.curated, order.target))


def gate_registered(context: TrainingContext, steps: TrainingSteps, order: TrainOrder, name: str) -> TrainReport:
    """Let a gate decide about an adapter that is registered: one whose training was done elsewhere, or gated before
    another champion served. `order` names its target and base. Raises as `train` does."""
    adapter = context.registry.verify(name)
    trained = find_training(context.raw_engine, adapter.plan_id)
    if trained is None:
        raise RegistryError(f"the training of {adapter.name} is not on record, so it cannot be gated; train again")
    found = find_inputs(context, order)
    if found.card.id != adapter.dataset_id:
        raise RegistryError(
            f"{adapter.name} was trained on dataset {adapter.dataset_id[:12]}, and {found.dataset} holds "
            f"{found.card.id[:12]}; give that of its training with --dataset"
        )
    check_training_data(context, found.dataset, found.card, found.evaluation_set)
    champion, baseline = _champion(context, steps, order, found)
    challenger = evaluate(context, steps, found.evaluation_set, found.base, adapter)
    prepared = Prepared(order, found, trained, adapter, champion, baseline, challenger, ())
    [report] = gate(context, [prepared])
    return conclude(context, steps, prepared, report)


def prepare(context: TrainingContext, steps: TrainingSteps, order: TrainOrder) -> Prepared:
    """Evaluate the champion; train, register and evaluate the challenger, and a control. Finished steps are reused."""
    inputs = find_inputs(context, order)
    notes = check_training(context, order, inputs)
    champion, baseline = _champion(context, steps, order, inputs)
    trainings = _trained(context, steps, order, inputs)
    trained = list(trainings.values())[-1]
    adapter = _registered(context, order, inputs, trained, baseline)
    challenger = evaluate(context, steps, inputs.evaluation_set, inputs.base, adapter)
    control = run_control(context, steps, inputs, trainings)
    return Prepared(order, inputs, trained, adapter, champion, baseline, challenger, tuple(notes), control)


def gate(context: TrainingContext, prepared: Sequence[Prepared]) -> list[GateReport]:
    """What a gate says of each, the targets corrected for each other. One that serves keeps the report it got in by."""
    pairs = [in_common(each.champion_scores, each.challenger_scores) for each in prepared]
    rules = Rules(item_level=any(each.order.item_level for each in prepared))
    reports = [
        gated_by_classifier(
            report,
            each.challenger_scores,
            each.inputs.evaluation_set,
            context.classifiers.get(each.order.target),
            rules,
        )
        for each, report in zip(prepared, decide_together(pairs, rules), strict=True)
    ]
    return [
        _passed(context, each) or with_control(report, each.control, each.challenger_scores, rules)
        for each, report in zip(prepared, reports, strict=True)
    ]


def conclude(context: TrainingContext, steps: TrainingSteps, prepared: Prepared, report: GateReport) -> TrainReport:
    """Act on a gate's report: the log, the alias, and after a promotion whole runs, which may undo it."""
    order, base, adapter = prepared.order, prepared.inputs.base, prepared.challenger
    settled = settle(context, order, base, adapter, report, partial(whole_runs, context, steps))
    steps.publish(prepared, report)
    serving = context.registry.active(order.target)
    return TrainReport(
        target=order.target,
        dataset=prepared.inputs.card.id,
        adapter=adapter.name,
        adapter_dir=adapter.path,
        champion=report.champion.name,
        verdict=report.verdict,
        outcome=settled.outcome,
        reason=report.reason,
        serving=serving.name if serving else base.name,
        gate=report,
        metrics={test.metric: {"champion": test.champion, "challenger": test.challenger} for test in report.tests},
        losses=prepared.trained.path.parent / "losses.jsonl",
        notes=(*verdict_notes(prepared), *settled.notes),
    )


def verdict_notes(prepared: Prepared) -> list[str]:
    """What is to be known with a verdict: rules that were gone past, and how the measuring was unlike use."""
    return [*prepared.notes, *unlike_use(prepared.challenger_scores)]


def _champion(
    context: TrainingContext, steps: TrainingSteps, order: TrainOrder, inputs: TrainingInputs
) -> tuple[AdapterVersion | None, Evaluation]:
    """The champion, and its evaluation. An adapter of another base is none: the challenger meets the bare base, and
    `settle` withholds it."""
    active = context.registry.active(order.target)
    champion = active if active is not None and active.base == inputs.base.id else None
    return champion, evaluate(context, steps, inputs.evaluation_set, inputs.base, champion)


def _trained(
    context: TrainingContext, steps: TrainingSteps, order: TrainOrder, inputs: TrainingInputs
) -> dict[Method, FinishedTraining]:
    """The trainings of each method, in their order; each starts from the one before."""
    start, trained = None, dict[Method, FinishedTraining]()
    settings = training_settings(context.settings, inputs.base, order.target)
    for method in methods(inputs.card, order.technique):
        job = job_for(inputs.card, inputs.dataset, inputs.base, method, settings, start)
        trained[method] = steps.fit(f"{order.target.value} {method}", context, job)
        start = trained[method].path
    assert trained, "a technique has at least one method"
    return trained


def _registered(
    context: TrainingContext,
    order: TrainOrder,
    inputs: TrainingInputs,
    trained: FinishedTraining,
    baseline: Evaluation,
) -> AdapterVersion:
    base, card = inputs.base, inputs.card
    return context.registry.register(
        trained.path,
        order.target,
        base.id,
        card.id,
        trained.job,
        trained.metrics,
        {
            "backend": trained.backend,
            "methods": "+".join(methods(card, order.technique)),
            "steps": trained.steps,
            **_stated_recipe(context, order, card),
            **{name: value for name, value in trained.metrics.items() if name == CLASS_BIAS},
        },
        FIT_VERSION,
        parents=card.rounds.earlier,
        evaluations=evaluation_ids(baseline, content_hash(trained.path), read_class_bias(trained.metrics)),
    )


def _stated_recipe(context: TrainingContext, order: TrainOrder, card: Card) -> dict[str, Any]:
    """The recipes in a statement; with several methods, each key is prefixed with its method."""
    used = methods(card, order.technique)
    stated = {
        method: recipe_for(order.target, method, context.settings.training).model_dump(mode="json", include=STATED)
        for method in used
    }
    if len(used) == 1:
        return stated[used[0]]
    return {f"{method} {key}": value for method in used for key, value in stated[method].items()}


def _passed(context: TrainingContext, prepared: Prepared) -> GateReport | None:
    """The report by which the adapter was promoted, if it serves already: a run that was killed then goes on."""
    if prepared.champion is None or prepared.champion.id != prepared.challenger.id:
        return None
    for entry in reversed(context.registry.log(prepared.order.target)):
        if entry.adapter == prepared.challenger.id and entry.action == GateVerdict.PROMOTE and entry.report:
            return GateReport.model_validate(entry.report)
    return None
