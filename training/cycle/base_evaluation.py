"""A tuned base against the base that its role uses: everything is measured, a gate decides, the report is logged.

Both answer the frozen sets of the role's stages in this process (an endpoint serves one of them only), and held-out
rows and fixed prompts as well. Stages that only whole runs can judge need a server with each base and are left out,
with a note; their objectives' held-out losses count.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from evals.base_gate import BaseEvidence, decide_base
from evals.gates import EvaluationPair
from evals.sets import latest_set
from evals.thresholds import Rules
from models.base_evaluation import BaseReport, ForgettingBounds
from models.errors import EvaluationError, UsageError
from models.objectives import Objective
from models.targets import Role
from store.learning.datasets import dataset_repositories
from training.adapters.registry.base_evidence import targets_of
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.base_statement import BaseLineage
from training.adapters.registry.succession import named_base
from training.bases.bases import PARENT, Base, list_bases
from training.bases.thinking import base_thinks
from training.cycle.base_measures import BaseContest, BaseMeasures, HeldOut, held_out_rows, trained_repositories_of
from training.cycle.base_planning import PlanningCampaigns, planning_evidence, planning_notes
from training.cycle.context import TrainingContext
from training.cycle.evaluation import BY_WHOLE_RUNS, evaluate
from training.cycle.forgetting import INSTRUCTIONS
from training.cycle.served_base import check_served
from training.cycle.steps import TrainingSteps
from training.cycle.window_control import judge_window, reduced_window
from training.data.datasets import dataset_or_mixture


def evaluate_base(
    context: TrainingContext,
    steps: TrainingSteps,
    name: str,
    against: str | None = None,
    held_out: Path | None = None,
    planning: PlanningCampaigns | None = None,
) -> BaseReport:
    """Compare a tuned base with another (unset: the one that its role uses, else the one it was tuned from), and log
    the gate's report. Stored answers and measures are reused. Nothing is promoted. `planning` are campaigns in which
    the two bases planned, whose figures by type of plan are compared as well. A base with a smaller window is compared
    with its control as well, whose report is logged before.

    Raises UsageError for a base that was not tuned here, RegistryError, EvaluationError; InfrastructureError where the
    answers of a campaign are not those of its base.
    """
    data_dir, bases = context.settings.data_dir, list_bases(context.curated)
    registry = BaseRegistry(context.curated, data_dir)
    challenger = named_base(context.curated, name)
    champion = registry.champion(challenger) if against is None else named_base(context.curated, against)
    registry.verify(challenger)
    if champion.id == challenger.id:
        raise UsageError(f"{challenger.name} would be compared with itself; name another with --against")
    reduced = reduced_window(registry, bases, challenger)
    control = None
    if reduced is not None and reduced.control is not None and reduced.control.id != champion.id:
        control = _compared(context, steps, (reduced.control, challenger), held_out, None)
        registry.note(challenger, judge_window(control, reduced, control, data_dir))
    report = _compared(context, steps, (champion, challenger), held_out, planning)
    if reduced is not None:
        against_control = report if reduced.control is not None and reduced.control.id == champion.id else control
        report = judge_window(report, reduced, against_control, data_dir)
    registry.note(challenger, report)
    return report


def _compared(
    context: TrainingContext,
    steps: TrainingSteps,
    sides: tuple[Base, Base],
    held_out: Path | None,
    planning: PlanningCampaigns | None,
) -> BaseReport:
    """The gate's report on a base (the second of `sides`) against another."""
    registry, (champion, challenger) = BaseRegistry(context.curated, context.settings.data_dir), sides
    lineage = registry.lineage(challenger)
    role = lineage.role
    thinking = base_thinks(context.settings, champion, targets_of(role)[0])
    alike = context.alike(thinking)
    pairs, served, notes, missing = _stages(alike, steps, role, champion, challenger)
    rows = held_out_of(context, registry, lineage, held_out)
    longest = _longest(context, champion, challenger)
    answered = [] if planning is None else check_served(context, planning, champion, challenger, thinking, longest)
    contest = BaseContest(champion, challenger, rows, thinking, longest)
    measured = steps.measure(f"{challenger.name} with {champion.name}", alike, contest)
    plans = None if planning is None else planning_evidence(context, planning, _seen(context, registry, lineage))
    limits = context.settings.guardrails
    return decide_base(
        BaseEvidence(
            role=role,
            champion=context.subject(champion, None),
            challenger=context.subject(challenger, None),
            stages=pairs,
            losses={each: (measured.champion[each], measured.challenger[each]) for each in measured.champion},
            forgetting=measured.forgetting,
            bounds=ForgettingBounds(rise=limits.forgetting_rise, agreement=limits.forgetting_agreement),
            planning=plans,
            held_out=f"{rows.name}, which stopped the training" if rows.watched else rows.name,
            notes=(
                *notes,
                *_about(rows),
                *answered,
                *(planning_notes(plans) if plans else ()),
            ),
            served=served,
            missing=(*missing, *_unmeasured(lineage, measured), *_disagreeing(measured)),
        ),
        Rules(),
    )


def _longest(context: TrainingContext, *bases: Base) -> int:
    """Tokens of the longest row that is measured: it fits into both windows."""
    windows = [base.facts.get("window") for base in bases]
    return min(context.settings.training.max_tokens, *(size for size in windows if isinstance(size, int)))


def _stages(
    context: TrainingContext, steps: TrainingSteps, role: Role, champion: Base, challenger: Base
) -> tuple[list[EvaluationPair], list[EvaluationPair], list[str], list[str]]:
    """Both bases' answers to the frozen sets of the role's stages; those of the champion with its active adapter beside
    the challenger's; why other stages were left out, and those without which nothing can be said: one without a frozen
    set; or all, where only whole runs judge the role's stages."""
    pairs, served = list[EvaluationPair](), list[EvaluationPair]()
    notes, missing = list[str](), list[str]()
    targets = targets_of(role)
    if all(target in BY_WHOLE_RUNS for target in targets):
        missing.append(
            f"the stages of {role} are judged by whole runs, which are not made of bases: decide by --override"
        )
    for target in targets:
        if target in BY_WHOLE_RUNS:
            notes.append(f"{target.value} was not measured: whole runs need a server with each base")
            continue
        try:
            frozen = latest_set(context.curated, target)
        except EvaluationError as error:
            missing.append(f"{target.value} was not measured: {error}")
            continue
        sides = [evaluate(context, steps, frozen, base, None) for base in (champion, challenger)]
        pairs.append((sides[0], sides[1]))
        active = context.registry.active(target)
        if active is not None and active.base == champion.id:
            served.append((evaluate(context, steps, frozen, champion, active), sides[1]))
    return pairs, served, notes, missing


def _unmeasured(lineage: BaseLineage, measured: BaseMeasures) -> list[str]:
    """The objectives that a base was trained on and no held-out row measures."""
    trained = [each for each in lineage.config.get("objectives", {}) if each != Objective.WINDOW.value]
    lacking = sorted(set(trained) - {each.value for each, rows in measured.champion.items() if rows})
    return [f"objective {each} has no held-out row; name a dataset with some: --held-out DIR" for each in lacking]


def _disagreeing(measured: BaseMeasures) -> list[str]:
    """What cannot be said of forgetting where the two bases have other tokens."""
    own = [each for each in measured.forgetting if each.kind != INSTRUCTIONS]
    if all(each.agreement is not None for each in own):
        return []
    return ["agreement was not measured, as the bases have other tokens or chat templates: decide by --override"]


def held_out_of(context: TrainingContext, registry: BaseRegistry, lineage: BaseLineage, named: Path | None) -> HeldOut:
    """The rows of the dataset that a base was trained on, or of a named one, without repositories that it or a base
    before it was trained on. Raises EvaluationError where it is not known which these are."""
    own = dataset_or_mixture(context.settings.data_dir, lineage.dataset)
    seen = set().union(*(_trained_on(context, each) for each in _before(context, registry, lineage)))
    if named is not None and named != own:
        return held_out_rows(named, own=False, seen=seen | _trained_on(context, lineage), role=lineage.role)
    if own is None:
        raise EvaluationError(
            f"dataset {lineage.dataset[:12]}, which the base was trained on, is not in {context.settings.data_dir}; "
            "name a dataset whose rows were held out: --held-out DIR"
        )
    return held_out_rows(own, halved=lineage.config.get("watch") == "half", seen=seen, role=lineage.role)


def _seen(context: TrainingContext, registry: BaseRegistry, lineage: BaseLineage) -> set[str]:
    """The repositories that a base, or a tuned one before it, was trained on."""
    lineages = (lineage, *_before(context, registry, lineage))
    return set().union(*(_trained_on(context, each) for each in lineages))


def _before(context: TrainingContext, registry: BaseRegistry, lineage: BaseLineage) -> Iterator[BaseLineage]:
    """The lineages of the tuned bases that a base was tuned from, one after the other."""
    known = {base.id: base for base in list_bases(context.curated)}
    parent = known.get(lineage.parent)
    while parent is not None and PARENT in parent.facts:
        before = registry.lineage(parent)
        yield before
        parent = known.get(before.parent)


def _trained_on(context: TrainingContext, lineage: BaseLineage) -> set[str]:
    """The repositories that a base was trained on; where its dataset is not at hand, all that the dataset is of."""
    if (found := dataset_or_mixture(context.settings.data_dir, lineage.dataset)) is not None:
        return trained_repositories_of(found)
    recorded = dataset_repositories(context.raw_engine, [lineage.dataset]).get(lineage.dataset)
    if recorded is None:
        raise EvaluationError(
            f"it is not known which repositories dataset {lineage.dataset[:12]} is of, so no row counts as held out; "
            f"put it back under {context.settings.data_dir / 'datasets'}"
        )
    return set(recorded)


def _about(rows: HeldOut) -> Sequence[str]:
    notes = []
    if rows.watched:
        notes.append(
            "the held-out rows are the validation rows that the new base's early stopping watched, which favours it; "
            "rows that it never saw: --held-out DIR"
        )
    if rows.seen:
        notes.append(f"{rows.seen} held-out rows were left out: their repositories were trained on")
    if not rows.records:
        notes.append("no held-out rows: curate from more repositories, or name a dataset with --held-out DIR")
    return notes
