"""Self-improvement in rounds: a student campaign, then for each target a dataset, a training, an evaluation and a gate.

It stops when a round promoted nothing. Every finished step is a row, so that an interrupted round resumes; the
guardrails may refuse a round before it begins.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from evals.gate_report import control_lines
from evals.sets import all_sets, copy_of_reserved, reserved_repositories
from harness.packages.contents import package_content
from harness.packages.package import read_package
from models.curation_settings import CurationRequest
from models.errors import GuardrailError, RegistryError, TrainingError, UsageError
from models.evaluation import GateReport, GateVerdict
from models.plans import Frozen
from models.targets import require_stages
from models.training import TrainingTarget
from store.learning.rounds import StepRecord
from training.adapters.registry.evidence import GATE as GATE_RULE
from training.bases.bases import find_base, list_bases
from training.cycle import guardrails
from training.cycle.context import TrainingContext
from training.cycle.lifecycle import gate, prepare, verdict_notes
from training.cycle.orders import TrainOrder
from training.cycle.promotion import PromotionOutcome, settle
from training.cycle.rounds import (
    CAMPAIGN,
    CURATE,
    END,
    GATE,
    PROMOTE,
    TRAIN,
    Round,
    RoundRequest,
    abandon,
    continue_or_begin,
)
from training.cycle.steps import StudentCampaign, TrainingSteps
from training.cycle.student_runs import whole_runs

SKIPPED = "skipped"


class ImproveOrder(Frozen):
    """The parameters of self-improvement.

    Defaults: packages: all that campaigns ran on and that are not reserved; targets: all with a frozen evaluation set;
    base: the only one. `override` is a person's reason for overriding the order of tiers, `item_level` lets evidence
    over items alone promote, `end_to_end` are packages of reserved repositories on which whole runs judge a promotion.
    `abandon` closes an unfinished round.
    """

    packages: tuple[Path, ...] = ()
    targets: tuple[TrainingTarget, ...] = ()
    base: str | None = None
    temperatures: tuple[float, ...] = (0.6,)
    samples: int = 2
    limit: int | None = None
    min_organisations: int | None = None
    max_prompt_tokens: int | None = None
    override: str | None = None
    item_level: bool = False
    end_to_end: tuple[Path, ...] = ()
    end_to_end_limit: int | None = None
    abandon: bool = False


class TargetLine(Frozen):
    """The result of a round for a target: `verdict` is a gate's, `withheld`, `rolled back`, `replaced` or `skipped`."""

    round: int
    target: TrainingTarget
    verdict: str
    reason: str
    adapter: str = ""


class ImproveReport(Frozen):
    """The results of self-improvement, and why it stopped."""

    lines: tuple[TargetLine, ...]
    stopped: str


def improve(
    context: TrainingContext,
    steps: TrainingSteps,
    order: ImproveOrder,
    rounds: int = 1,
    *,
    around: Callable[[int], AbstractContextManager[object]] = lambda number: nullcontext(),
    show: Callable[[list[TargetLine]], None] = lambda lines: None,
) -> ImproveReport:
    """Run at most `rounds` rounds of self-improvement, until one promotes nothing.

    `around` is a context manager entered with each round's number, `show` is called after each with the lines so far.
    Raises GuardrailError when a rule refuses, UsageError for an order that does not match an open round.
    """
    request = _request(context, order)
    if order.abandon:
        abandon(context.raw_engine)
    lines: list[TargetLine] = []
    fresh = partial(guardrails.check_fresh_repositories, settings=context.settings.guardrails)
    for _ in range(rounds):
        turn = continue_or_begin(context.raw_engine, request, fresh)
        with around(turn.number):
            done = _round(context, steps, turn, order)
        lines += done
        show(lines)
        if not any(line.verdict == GateVerdict.PROMOTE for line in done):
            return ImproveReport(lines=tuple(lines), stopped=f"round {turn.number} promoted nothing")
    return ImproveReport(lines=tuple(lines), stopped=f"{rounds} rounds were asked for")


def _copied(context: TrainingContext, package: Path) -> str:
    """Why a package is a copy of a reserved repository, "" if it is not."""
    return copy_of_reserved(context.curated, context.raw_engine, package_content(read_package(package)))


def _request(context: TrainingContext, order: ImproveOrder) -> RoundRequest:
    """The order with its defaults filled in. Raises UsageError if a default is ambiguous or missing."""
    held = reserved_repositories(context.curated, context.raw_engine)
    packages = list(order.packages) or [
        path
        for path in context.known_packages()
        if read_package(path).manifest.name not in held and not _copied(context, path)
    ]
    if not packages:
        raise UsageError("no package is known that is not reserved; give some: cra self-improve PACKAGE...")
    names = [read_package(path).manifest.name for path in packages]
    guardrails.check_held_out(names, list(held))
    for path in order.packages:
        if why := _copied(context, path):
            raise GuardrailError(guardrails.HELD_OUT, f"{path}: {why}, which is reserved for evaluation; leave it out")
    for target in order.targets:
        require_stages(target)
    targets = order.targets or tuple(
        each for each in TrainingTarget if any(s.target is each for s in all_sets(context.curated))
    )
    if not targets:
        raise UsageError(
            "no target has a frozen evaluation set; make one: cra eval-sets build --target scope --repository NAME"
        )
    bases = [base.name for base in list_bases(context.curated)]
    if order.base is None and len(bases) != 1:
        raise UsageError(f"name the base with --base; there are: {', '.join(bases) or 'none, see cra bases add'}")
    base = find_base(context.curated, order.base or bases[0]).name
    asked = order.model_dump(mode="json", exclude={"packages", "targets", "base", "abandon"})
    return RoundRequest(
        packages=tuple(str(path.resolve()) for path in packages),
        repositories=tuple(names),
        targets=targets,
        base=base,
        settings=asked,
    )


def _round(context: TrainingContext, steps: TrainingSteps, turn: Round, order: ImproveOrder) -> list[TargetLine]:
    """One round: campaign; for each target dataset, training, evaluation; one gate for all; promotions one by one."""
    turn.step(CAMPAIGN, None, partial(_campaign, steps, turn, order))
    lines, ready = list[TargetLine](), list[TrainOrder]()
    for target in turn.request.targets:
        data = turn.step(CURATE, target, partial(_curate, context, steps, turn, order, target))
        wanted = _wanted(turn, order, target, data["dataset"])
        skipped = data["skipped"] or turn.step(TRAIN, target, partial(_train, context, steps, wanted))["skipped"]
        if skipped:
            lines.append(TargetLine(round=turn.number, target=target, verdict=SKIPPED, reason=skipped))
        else:
            ready.append(wanted)
    gated = turn.step(GATE, None, partial(_gate, context, steps, ready))
    for wanted in ready:
        about = gated[wanted.target.value]
        if "skipped" in about:
            came = {"verdict": SKIPPED, "reason": about["skipped"]}
        else:
            came = turn.step(PROMOTE, wanted.target, partial(_promote, context, steps, wanted, about))
        lines.append(TargetLine(round=turn.number, target=wanted.target, **came))
    turn.finish(END, None, {"promoted": [line.adapter for line in lines if line.verdict == GateVerdict.PROMOTE]})
    return lines


def _campaign(steps: TrainingSteps, turn: Round, order: ImproveOrder) -> StepRecord:
    name, packages = f"self-improve round {turn.number}", tuple(map(Path, turn.request.packages))
    asked = StudentCampaign(name, packages, order.temperatures, order.samples, order.limit)
    return {"name": name, "campaign": steps.run_campaign(asked)}


def _curate(
    context: TrainingContext, steps: TrainingSteps, turn: Round, order: ImproveOrder, target: TrainingTarget
) -> StepRecord:
    """The dataset's directory, or why there is none. It covers all rounds: adapters start from the frozen base."""
    request = CurationRequest(
        target=target,
        data_dir=str(context.settings.data_dir),
        settings=context.settings.curation,
        base=turn.request.base,
        max_prompt_tokens=order.max_prompt_tokens,
        min_organisations=order.min_organisations,
        windows=context.settings.models.windows,
        whole_pool=True,
    )
    try:
        made = steps.curate(target.value, context, request)
    except (TrainingError, GuardrailError) as error:
        return {"dataset": "", "skipped": str(error)}
    if made.trained:
        return {"dataset": "", "skipped": "no new examples since the last training"}
    return {"dataset": str(made.dataset_dir), "skipped": ""}


def _wanted(turn: Round, order: ImproveOrder, target: TrainingTarget, dataset: str) -> TrainOrder:
    return TrainOrder(
        target=target,
        base=turn.request.base,
        dataset=Path(dataset),
        item_level=order.item_level,
        override=order.override,
        end_to_end=order.end_to_end,
        end_to_end_limit=order.end_to_end_limit,
    )


def _train(context: TrainingContext, steps: TrainingSteps, wanted: TrainOrder) -> StepRecord:
    """The adapter that was trained and evaluated, or the rule that refused it."""
    try:
        return {"adapter": prepare(context, steps, wanted).challenger.name, "skipped": ""}
    except (GuardrailError, RegistryError) as error:
        return {"adapter": "", "skipped": str(error)}


def _gate(context: TrainingContext, steps: TrainingSteps, ready: list[TrainOrder]) -> StepRecord:
    """The gate's reports by target, corrected for multiple testing, with the notes of each; or the rule that now
    refuses one. Stored evaluations are reused."""
    came, made = dict[str, Any](), []
    for wanted in ready:
        try:
            made.append(prepare(context, steps, wanted))
        except (GuardrailError, RegistryError) as error:
            came[wanted.target.value] = {"skipped": str(error)}
    for prepared, report in zip(made, gate(context, made), strict=True):
        steps.publish(prepared, report)
        came[report.target.value] = {"report": report.model_dump(mode="json"), "notes": verdict_notes(prepared)}
    return came


def _promote(context: TrainingContext, steps: TrainingSteps, wanted: TrainOrder, gated: StepRecord) -> StepRecord:
    """Act on a gate's report as it is: after an earlier promotion in the round, everything would be evaluated again.
    If its champion is no longer active, the target is skipped."""
    report = GateReport.model_validate(gated["report"])
    assert report.challenger.adapter is not None, "a challenger is an adapter"
    adapter, run_whole = context.registry.show(report.challenger.adapter), partial(whole_runs, context, steps)
    try:
        settled = settle(context, wanted, find_base(context.curated, adapter.base), adapter, report, run_whole)
    except RegistryError as error:  # its base has been superseded since
        settled = PromotionOutcome(SKIPPED, (str(error),))
    except GuardrailError as error:
        if error.rule != GATE_RULE:
            raise
        context.registry.withhold(adapter, report, str(error))
        settled = PromotionOutcome(SKIPPED, (str(error),))
    notes = "; ".join([report.reason, *control_lines(report), *gated["notes"], *settled.notes])
    return {"verdict": settled.outcome, "reason": notes, "adapter": adapter.name}
