"""The steps of a rehearsal that run the loop: gold, frozen set, student, dataset, training, gate.

Each may be repeated after a kill: what it had finished is found again in the rehearsal's databases.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.sets import all_sets, build_set, freeze, latest_set
from harness.packages.package import read_package
from models.curation_settings import CurationRequest
from models.errors import NotOperational
from models.evaluation import EvaluationSet
from models.rehearsal import RehearsalOrder
from store.database import reading
from store.runs import CampaignReport
from store.runs.results import solved_instances
from training.cycle.context import TrainingContext
from training.cycle.lifecycle import conclude, gate, prepare
from training.cycle.orders import Prepared, TrainOrder
from training.cycle.rehearsal.checks import Outcome
from training.cycle.rehearsal.workspace import REASON, TARGET
from training.cycle.steps import StudentCampaign, TrainingSteps
from training.cycle.student_runs import STUDENT

STUDENT_CAMPAIGN = "rehearsal student"
_EXAMPLES = 32
_TEMPERATURE = 0.6

Figures = Mapping[str, Any]


def judge_gold(
    context: TrainingContext, packages: Sequence[Path], limit: int | None, report: CampaignReport
) -> Outcome:
    """Every instance must pass by its commit's own patch, and none without a patch. Raises NotOperational."""
    gold, null = report.planners["gold"], report.planners["null"]
    total = report.instances
    if gold.passed != total:
        raise NotOperational(_first_unsolved(context, packages, limit, report))
    if null.failed != total:
        raise NotOperational(
            f"{null.passed} of {total} instances pass without a patch, {total - null.failed - null.passed} have no "
            "verdict; prepare those packages again"
        )
    found = (f"gold passed {gold.passed} of {total} instances in the sandbox", f"null passed {null.passed} of {total}")
    figures = {"instances": total, "gold_passed": gold.passed, "null_passed": null.passed, "null_failed": null.failed}
    return Outcome(found, figures)


def _first_unsolved(
    context: TrainingContext, packages: Sequence[Path], limit: int | None, report: CampaignReport
) -> str:
    """The first instance that its commit's own patch does not pass, and why, as far as that is known."""
    opened = [read_package(path).manifest for path in packages]
    with reading(context.raw_engine) as connection:
        solved = {
            (each.repository, each.commit)
            for each in solved_instances(connection, "gold", [manifest.name for manifest in opened])
        }
    asked = [(m.name, i) for m in opened for i in [each for each in m.instances if each.valid][:limit]]
    unsolved = [(name, each) for name, each in asked if (name, each.commit) not in solved]
    name, first = next(iter(unsolved), asked[0])
    reason = f" ({report.faults[0].reason})" if report.faults else ""
    return (
        f"{len(unsolved)} of {report.instances} instances are not passed by their commit's own patch here, first "
        f"{first.instance_id} of {name}{reason}; remove the package or prepare it again, and see "
        f"CRA_DATA_DIR={context.settings.data_dir} cra report '{report.name}'"
    )


def find_evaluation_set(context: TrainingContext, order: RehearsalOrder, packages: Figures) -> Outcome:
    """The frozen set, or its first items; without one, a set of a reserved package or the last one to learn from, which
    is frozen and reserved in the rehearsal's database only."""
    learn, measure = packages["learn"], packages["measure"]
    if any(each.target is TARGET for each in all_sets(context.curated)):
        whole = latest_set(context.curated, TARGET)
        items, where = whole.items[: order.items], f"{len(whole.items)} frozen items"
        used = tuple(sorted({item.repository for item in items}))
        chosen = EvaluationSet(target=TARGET, repositories=used, items=items)
    else:
        if not measure:
            learn, measure = learn[:-1], learn[-1:]
        names = [read_package(Path(path)).manifest.name for path in measure]
        chosen = build_set(context.raw_engine, TARGET, names, order.items)
        where = f"gold's answers about {', '.join(names)}, frozen for this rehearsal only"
    freeze(context.curated, context.raw_engine, chosen)
    found = f"{len(chosen.items)} items of {TARGET.value}, of {where}"
    return Outcome((found,), {"set": chosen.id, "items": len(chosen.items), "learn": learn})


def run_student(context: TrainingContext, steps: TrainingSteps, learn: Sequence[str]) -> Outcome:
    """The student solves the newest instance of one package; it must get a verdict, whatever that is."""
    package = Path(learn[0])
    steps.run_campaign(StudentCampaign(STUDENT_CAMPAIGN, (package,), (_TEMPERATURE,), 1, 1))
    report = context.raw.report(STUDENT_CAMPAIGN)
    counts = report.planners[STUDENT]
    if left := counts.infrastructure + counts.open:
        reason = report.faults[0].reason if report.faults else "no attempt has ended"
        raise NotOperational(f"{left} tries of the student have no verdict ({reason}); see `cra models check`")
    found = f"{counts.passed + counts.failed} tries with a verdict, {counts.questions} questions answered"
    figures = {"passed": counts.passed, "failed": counts.failed, "questions": counts.questions}
    return Outcome((found,), figures | {"outcomes": counts.outcomes})


def make_dataset(context: TrainingContext, steps: TrainingSteps, base: str) -> Outcome:
    """A dataset of what gold and the student did, on record as going past the rules on organisations and domains."""
    request = CurationRequest(
        target=TARGET,
        data_dir=str(context.settings.data_dir),
        settings=context.settings.curation,
        base=base,
        limit=_EXAMPLES,
        min_organisations=1,
        max_domain_share=1.0,
        windows=context.settings.models.windows,
        whole_pool=True,
    )
    made = steps.curate(TARGET.value, context, request)
    card = made.card
    figures = {
        "dataset": card.id,
        "directory": str(made.dataset_dir),
        "examples": card.examples,
        "sources": card.sources,
        "planners": card.planners,
        "repositories": card.repositories,
    }
    return Outcome((f"{sum(card.examples.values())} examples of {len(card.repositories)} repositories",), figures)


def train_adapter(context: TrainingContext, steps: TrainingSteps, base: str, dataset: str) -> Outcome:
    """A short training from the frozen base, registered, and both sides' answers to the frozen items."""
    prepared = _prepared(context, steps, base, dataset)
    rows = [json.loads(line) for line in (prepared.trained.path.parent / "losses.jsonl").read_text().splitlines()]
    losses = [float(row["loss"]) for row in rows if "loss" in row]
    if not losses:
        raise NotOperational(f"training {prepared.trained.job[:12]} recorded no loss; see {prepared.trained.path}")
    context.registry.verify(prepared.challenger.name)
    trained = prepared.trained
    figures = {
        "adapter": prepared.challenger.id,
        "name": prepared.challenger.name,
        "backend": trained.backend,
        "steps": trained.steps,
        "tokens": trained.tokens,
        "seconds": trained.seconds,
        "losses": losses,
        "set": prepared.inputs.evaluation_set.id,
        "champion": prepared.champion_scores.subject.name,
        "answers": len(prepared.challenger_scores.scores),
    }
    found = (
        f"{prepared.challenger.name} trained in {trained.steps} steps, {trained.tokens} tokens, by {trained.backend}",
        f"loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last",
        f"signed and verified; it and {figures['champion']} answered {figures['answers']} items",
    )
    return Outcome(found, figures)


def ask_gate(context: TrainingContext, steps: TrainingSteps, base: str, dataset: str) -> Outcome:
    """The gate's verdict on the adapter, and what follows from it in the rehearsal's registry."""
    prepared = _prepared(context, steps, base, dataset)
    [report] = gate(context, [prepared])
    came = conclude(context, steps, prepared, report)
    figures = {
        "verdict": came.verdict.value,
        "outcome": came.outcome,
        "reason": came.reason,
        "metrics": came.metrics,
    }
    return Outcome((f"{came.verdict.value}: {came.reason}",), figures)


def _prepared(context: TrainingContext, steps: TrainingSteps, base: str, dataset: str) -> Prepared:
    return prepare(context, steps, TrainOrder(target=TARGET, base=base, dataset=Path(dataset), override=REASON))
