"""The train flow: baseline, training, registry, evaluation, gate; promoted, or the champion stays, with the reason.

champion and challenger answer the same frozen items -> paired gate -> log and alias in one transaction
                                                                    -> whole runs on held-out packages -> rollback?
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, tags
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from pydantic import Field

from evals.gate_report import gate_markdown, unlike_use
from evals.gates import decide_together
from evals.sets import contamination, in_common, latest_set, reserved_repositories
from evals.thresholds import Rules
from evals.tiers import check_order
from flows.judging import evaluate
from flows.progress import progress_listener
from flows.promotion import settle
from host.settings import load_settings
from models.errors import GuardrailError, TrainingError
from models.evaluation import Evaluation, EvaluationSet, GateReport, GateVerdict
from models.plans import Frozen
from models.training import TrainingTarget
from tasks.learning import FinishedTraining, TrainingContext, evaluation_ids, train_adapter
from training.adapters.registry import AdapterVersion
from training.adapters.registry.succession import require_current
from training.adapters.registry.weights import content_hash
from training.bases.bases import Base, find_base
from training.cycle import guardrails
from training.cycle.tier_status import measure_tier_status
from training.data.curation import Card
from training.data.datasets import newest_dataset, read_dataset, trained_before
from training.fit.recipe import recipe_for
from training.fit.training_run import FIT_VERSION, Technique, methods, order_for

_TOLD = {"rank", "learning_rate", "epochs", "batch_size", "max_tokens", "max_steps"}
"""Of the recipe, what an adapter's statement tells; its plan holds all of it."""


class TrainOrder(Frozen):
    """What is to be trained. `dataset`: a directory; unset: the newest of the target.

    `item_level`: evidence about the items alone may promote where repositories are too few for more. `end_to_end`:
    packages of reserved repositories on which the whole pipeline runs after a promotion.
    """

    target: TrainingTarget
    base: str
    dataset: Path | None = None
    technique: Technique = "auto"
    item_level: bool = False
    override: str | None = None
    end_to_end: tuple[Path, ...] = ()
    end_to_end_limit: int | None = None


class TrainReport(Frozen):
    """What came of a training. `outcome` is the gate's verdict, or why one who passed does not serve; `serving` is who
    serves the target now; `notes` are rules that were gone past, and what else is to be known."""

    target: TrainingTarget
    dataset: str
    adapter: str
    adapter_dir: Path
    champion: str
    verdict: GateVerdict
    outcome: str
    reason: str
    serving: str
    gate: GateReport
    metrics: dict[str, dict[str, float]]
    losses: Path
    notes: tuple[str, ...] = Field(default=())


@dataclass(frozen=True)
class Prepared:
    """An adapter that was trained and measured, and the champion beside it, before anything is decided."""

    order: TrainOrder
    base: Base
    card: Card
    evaluation_set: EvaluationSet
    trained: FinishedTraining
    adapter: AdapterVersion
    champion: AdapterVersion | None
    baseline: Evaluation
    challenger: Evaluation
    notes: tuple[str, ...]


@flow(name="train", flow_run_name="train {order.target.value}", persist_result=False)
def train(order: TrainOrder) -> TrainReport:
    """Train an adapter for a target and let it serve if a gate says so.

    Raises GuardrailError for a broken rule, EvaluationError without a frozen evaluation set, TrainingError,
    RegistryError. What is finished, of this or of another run, is found and not done again.
    """
    context = open_training_context()
    with tags("train", order.target.value):
        prepared = prepare(context, order)
        [report] = gate(context, [prepared])
        return conclude(context, prepared, report)


def prepare(context: TrainingContext, order: TrainOrder) -> Prepared:
    """Measure the champion, train, register and measure the challenger; each is found if it was done before."""
    base, dataset, card, evaluation_set = inputs(context, order)
    notes = check(context, order, base, dataset, card, evaluation_set)
    champion = _champion(context, order.target, base)
    baseline = evaluate(context, evaluation_set, base, champion)
    trained = _trained(context, order, base, dataset, card)
    adapter = _registered(context, order, base, card, trained, baseline)
    challenger = evaluate(context, evaluation_set, base, adapter)
    return Prepared(order, base, card, evaluation_set, trained, adapter, champion, baseline, challenger, tuple(notes))


def inputs(context: TrainingContext, order: TrainOrder) -> tuple[Base, Path, Card, EvaluationSet]:
    """The base, the dataset with its card, and the frozen set. Raises an error of ours where one is missing."""
    base = find_base(context.curated, order.base)
    require_current(context.curated, base, order.target)
    dataset = order.dataset or newest_dataset(context.raw, context.settings.data_dir, order.target)
    card = read_dataset(dataset)
    methods(card, order.technique)  # raises if it lacks what one needs
    return base, dataset, card, latest_set(context.curated, order.target)


def gate(context: TrainingContext, prepared: Sequence[Prepared]) -> list[GateReport]:
    """What a gate says of each, the targets corrected for each other. One that serves keeps the report it got in by."""
    pairs = [in_common(each.baseline, each.challenger) for each in prepared]
    reports = decide_together(pairs, Rules(item_level=any(each.order.item_level for each in prepared)))
    return [_passed(context, each) or report for each, report in zip(prepared, reports, strict=True)]


def conclude(context: TrainingContext, prepared: Prepared, report: GateReport) -> TrainReport:
    """Act on a gate's report: the log, the alias, and after a promotion whole runs, which may undo it."""
    order, adapter = prepared.order, prepared.adapter
    settled = settle(context, order, prepared.base, adapter, report)
    publish(prepared, report)
    serving = context.registry.active(order.target)
    return TrainReport(
        target=order.target,
        dataset=prepared.card.id,
        adapter=adapter.name,
        adapter_dir=adapter.path,
        champion=report.champion.name,
        verdict=report.verdict,
        outcome=settled.outcome,
        reason=report.reason,
        serving=serving.name if serving else prepared.base.name,
        gate=report,
        metrics={test.metric: {"champion": test.champion, "challenger": test.challenger} for test in report.tests},
        losses=prepared.trained.adapter_dir.parent / "losses.jsonl",
        notes=(*asides(prepared), *settled.notes),
    )


def asides(prepared: Prepared) -> list[str]:
    """What is to be known beside a verdict: rules that were gone past, and how the measuring was unlike use."""
    return [*prepared.notes, *unlike_use(prepared.challenger)]


def check(
    context: TrainingContext, order: TrainOrder, base: Base, dataset: Path, card: Card, evaluation_set: EvaluationSet
) -> list[str]:
    """Hold a training to the rules; notes about those that a person goes past. Raises GuardrailError."""
    limits = context.settings.guardrails
    if card.target is not order.target:
        raise TrainingError(f"{dataset} is a dataset of {card.target.value}, not of {order.target.value}")
    guardrails.check_frozen_base(base.name, base.facts)
    guardrails.check_accumulated(trained_before(context.raw, card, base.id), [*card.rounds.earlier, card.id])
    guardrails.check_held_out(list(card.repositories), list(reserved_repositories(context.curated, context.raw_engine)))
    guardrails.check_uncontaminated([hit.item for hit in contamination(dataset, [evaluation_set])])
    total = sum(card.planners.values())
    taught = sum(card.planners.get(name, 0) for name in ("gold", "teacher"))
    guardrails.check_teacher_share(taught, total, int(base.facts["parameters"]), limits)
    guardrails.check_replay(card.rounds.replayed, total, len(card.rounds.earlier), limits, card.rounds.whole)
    now = measure_tier_status(context.raw_engine, context.curated, context.registry, limits)
    guardrails.check_planning_last(order.target, total - taught, now.promoted)
    try:
        note = check_order(order.target, now, order.override)
    except GuardrailError as error:
        context.registry.refuse(order.target, str(error))
        raise
    if note:
        context.registry.refuse(order.target, note, override=order.override)
    return [f"{note} ({order.override})"] if note else []


def open_training_context() -> TrainingContext:
    """The database, registry and settings that the tasks share; progress goes to whoever watches."""
    watch, known = progress_listener(), dict[str, tuple[int, int | None]]()

    def notify(what: str, done: int, total: int | None) -> None:
        before = known.get(what)
        known[what] = (done, total)
        if before is None or before[1] != total:  # new, or by now its size is known
            watch.start(what, total, done)
        elif done > before[0]:
            watch.advance(what, f"{done} of {total}" if total else "", done - before[0])

    return TrainingContext(load_settings(), notify)


def _champion(context: TrainingContext, target: TrainingTarget, base: Base) -> AdapterVersion | None:
    active = context.registry.active(target)
    return active if active is not None and active.base == base.id else None


def _trained(context: TrainingContext, order: TrainOrder, base: Base, dataset: Path, card: Card) -> FinishedTraining:
    start, trained = None, None
    for method in methods(card, order.technique):
        plan = order_for(card, dataset, base, method, context.settings.training, start)
        trained = train_adapter(f"{order.target.value} {method}", context, plan)
        start = trained.adapter_dir
    assert trained is not None, "a technique has at least one method"
    return trained


def _registered(
    context: TrainingContext, order: TrainOrder, base: Base, card: Card, trained: FinishedTraining, baseline: Evaluation
) -> AdapterVersion:
    asked = evaluation_ids(baseline, content_hash(trained.adapter_dir))
    return context.registry.register(
        trained.adapter_dir,
        order.target,
        base.id,
        card.id,
        trained.plan,
        trained.run.metrics,
        {
            "backend": trained.run.backend,
            "methods": "+".join(methods(card, order.technique)),
            "steps": trained.run.steps,
            **_told(context, order, card),
        },
        FIT_VERSION,
        parents=card.rounds.earlier,
        evaluations=asked,
    )


def _told(context: TrainingContext, order: TrainOrder, card: Card) -> dict[str, Any]:
    """What a statement tells of the recipes: of one method its own, of several each with the method's name."""
    used = methods(card, order.technique)
    told = {
        method: recipe_for(order.target, method, context.settings.training).model_dump(mode="json", include=_TOLD)
        for method in used
    }
    return told[used[0]] if len(used) == 1 else {f"{m} {key}": value for m in used for key, value in told[m].items()}


def _passed(context: TrainingContext, prepared: Prepared) -> GateReport | None:
    """The report by which the adapter was promoted, if it serves already: a run that was killed then goes on."""
    if prepared.champion is None or prepared.champion.id != prepared.adapter.id:
        return None
    for entry in reversed(context.registry.log(prepared.order.target)):
        if entry.adapter == prepared.adapter.id and entry.action == GateVerdict.PROMOTE and entry.report:
            return GateReport.model_validate(entry.report)
    return None


def publish(prepared: Prepared, report: GateReport) -> None:
    """The gate's table, the loss curve and the dataset's funnel, in the UI."""
    name = prepared.order.target.value.replace("_", "-")
    create_markdown_artifact(gate_markdown([report]), key=f"gate-{name}")
    create_markdown_artifact(prepared.card.to_markdown(), key=f"dataset-{name}")
    picture = base64.b64encode((prepared.trained.adapter_dir.parent / "loss.svg").read_bytes()).decode()
    create_image_artifact(image_url=f"data:image/svg+xml;base64,{picture}", key=f"loss-{name}")
