"""`cra train-plan`: the stage that needs a dataset most, and what data would help."""

from typing import Annotated

import typer

from cli.output import console, errors, print_json, table
from evals.sets import reserved_repositories
from host.settings import load_settings
from store.database import open_database
from store.runs import open_raw_store
from training.adapters.registry import Registry
from training.cycle.tier_status import measure_tier_status
from training.data.curation import TrainingAdvice, advise


def train_plan(as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False) -> None:
    """Say which stage is weakest, why, and what data would help; the plan is kept under the id it prints."""
    settings = load_settings()
    with errors.status("reading runs"):
        raw, curated = open_raw_store(settings.raw_url), open_database(settings.curated_url, "curated")
        now = measure_tier_status(raw.engine, curated, Registry(curated, settings.data_dir), settings.guardrails)
        plan_id, plan = advise(raw, settings.curation, now, reserved_repositories(curated, raw.engine))
    if as_json:
        print_json({"id": plan_id, **plan.model_dump(mode="json")})
    else:
        _print_plan(plan_id, plan)


def _print_plan(plan_id: str, plan: TrainingAdvice) -> None:
    rows = [
        (
            need.target.value,
            "now" if need.target in plan.in_turn else "waits" if need.waits else "serves",
            ", ".join(f"{count} {source}" for source, count in need.examples.items()) or "none",
            need.preferences,
            need.failures,
            f"{need.malformed:.0%} of {need.answers}",
            f"{need.need:.2f}",
        )
        for need in plan.needs
    ]
    title = f"{plan.trajectories} trajectories of models{''.join(f', {name}' for name in plan.planners)}"
    columns = ["target", "turn", "examples", "preferences", "failures", "malformed", "need"]
    table(title, columns, rows, right=["preferences", "failures", "need"])
    if plan.held_out:
        console.print(f"not counted, kept for evaluation: {', '.join(plan.held_out)}", markup=False)
    console.print("What would help:")
    for need in plan.needs:
        for advice in need.advice:
            console.print(f"  {need.target.value}: {advice}", markup=False, soft_wrap=True)
    console.print(
        f"weakest: {plan.weakest.value if plan.weakest else 'none'}; {plan.reason}", markup=False, soft_wrap=True
    )
    if plan.undetermined:
        console.print(f"{plan.undetermined} failures could be put down to no stage")
    target = plan.weakest or plan.needs[0].target
    console.print(f"plan {plan_id}\nnext: cra curate-data --stage {target.value} --plan {plan_id[:12]}", markup=False)
