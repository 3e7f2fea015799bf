"""`cra bases`: the frozen models that adapters are trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.base_tables import changed_cell, show_base, show_change, show_log, show_report, show_tuned
from cli.bases_ablate import ablate
from cli.bases_plan import plan
from cli.flow_context import flow_context
from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, table, waiting
from host.settings import load_settings
from models.base_evaluation import ForgettingBounds
from models.errors import UsageError
from models.targets import Role
from store.database import open_database
from training.adapters.registry.base_registry import ROLES, BaseChange, BaseRegistry
from training.adapters.registry.succession import named_base
from training.bases.bases import PARENT, Base, add_base, list_bases, verify_base

if TYPE_CHECKING:
    from store.database import Engine
    from training.cycle.base_planning import PlanningCampaigns

BaseName = Annotated[str, typer.Argument(metavar="NAME", help="As listed, such as reasoning-base-v2; or its hash.")]

app = typer.Typer(help="The frozen models that adapters are trained on.", no_args_is_help=True)
app.command()(plan)


app.command()(ablate)


@app.callback()
def _group() -> None:
    """The frozen models that adapters are trained on."""


@app.command()
def add(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A directory in Hugging Face layout; with --gguf a file.")
    ],
    name: Annotated[str, typer.Option("--name", help="What to call it.")],
    gguf: Annotated[
        bool, typer.Option("--gguf", help="PATH is a GGUF file, or `embedded` for the embedded model's; convert it.")
    ] = False,
    role: Annotated[Role | None, typer.Option("--role", help="reasoning or coding; any if left out.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a base from local files, by the hash of its content. Nothing is downloaded, and no code of it is run."""
    settings = load_settings()
    with waiting(f"adding {path}: copied and hashed{', converted first' if gguf else ''}"):
        engine = open_database(settings.curated_url, "curated")
        base = add_base(engine, settings.data_dir, path, name, role=role, gguf=gguf)
    if as_json:
        print_json(_shown(base))
        return
    console.print(
        f"{base.name} {base.id[:12]}: {base.facts['architecture']}, {base.facts['parameters'] / 1e6:.1f} M parameters, "
        f"{base.facts['dtype']}, ends a turn with {base.facts['eos']}\n{base.path}",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def tune(
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="reasoning or coding: whose base it may become.")],
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="The base to start from.")],
    dataset: Annotated[
        Path | None, typer.Option("--dataset", metavar="DIR", help="A curated dataset, on all its rows.")
    ] = None,
    mix: Annotated[
        Path | None, typer.Option("--mix", metavar="FILE", help="TOML: datasets, and the share of each objective.")
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option("--objectives", metavar="NAMES", help="Of the mix: style,role,planning,window,position."),
    ] = None,
    window: Annotated[
        int | None, typer.Option("--window", metavar="TOKENS", help="Train with a smaller context window.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune all parameters of a base, and record what comes of it as the candidate ROLE-base-vN.

    It does not serve: `cra bases evaluate` compares it with the base in use, `cra bases promote` takes it into use.
    """
    with flow_context():
        from flows.tune import tune as tune_flow
        from training.cycle.tuning import make_order

        order = make_order(role, base, dataset, mix, objectives, window)
        tuned = tune_flow(order)
    if as_json:
        print_json(_shown(tuned))
        return
    console.print(f"{tuned.name} {tuned.id[:12]}\n{tuned.path}", markup=False, soft_wrap=True)
    show_tuned(tuned)


@app.command()
def evaluate(
    name: BaseName,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="The base it must beat; unset: the one its role uses.")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option("--held-out", metavar="DIR", help="Rows for held-out losses; unset: its own validation rows."),
    ] = None,
    planning: Annotated[
        str | None,
        typer.Option("--planning", metavar="OLD,NEW", help="Campaigns in which the two bases planned, by label."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a tuned base with the one in use: stages, held-out losses, forgetting, plans. Nothing is promoted."""
    campaigns = None if planning is None else _campaigns(planning)
    with flow_context():
        from flows.evaluate_base import evaluate_base

        report = evaluate_base(name, against, held_out and held_out.resolve(), campaigns)
    if as_json:
        print_json(report)
    else:
        show_report(report)


@app.command()
def promote(
    name: BaseName,
    override: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote against the gate; the reason is kept in the log.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a tuned base serve its role, if a gate's report says so. Adapters of other bases stop serving."""
    limits = load_settings().guardrails
    bounds = ForgettingBounds(rise=limits.forgetting_rise, agreement=limits.forgetting_agreement)
    _print_changes([_registry().promote(name, override, bounds)], as_json)


@app.command()
def rollback(
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="reasoning or coding.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")],
    as_json: JsonOption = False,
) -> None:
    """Let a role use the base before the one in use; adapters that served on it serve again."""
    _print_changes([_registry().rollback(role, reason)], as_json)


@app.command()
def adopt(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The base that is served from now on.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")],
    role: Annotated[
        Role | None,
        typer.Option("--role", help="reasoning or coding; the base's own if left out, both if it has none."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take any base into use without a gate: adapters of other bases of its role stop serving. Nothing is deleted."""
    _print_changes(_registry().adopt(name, reason, role), as_json)


@app.command()
def show(name: BaseName, as_json: JsonOption = False) -> None:
    """A base, its lineage if it was tuned here, and every decision about it."""
    registry, base = _registry(), named_base(_curated(), name)
    lineage = registry.verify(base) if PARENT in base.facts else None
    decisions = [row for row in registry.log() if base.id in (row.base, row.before, row.serving)]
    if as_json:
        print_json(_shown(base) | {"lineage": lineage, "decisions": decisions})
        return
    show_base(base, lineage)
    if decisions:
        show_log(decisions, {each.id: each.name for each in list_bases(_curated())})
    else:
        console.print("no decision about it yet")


@app.command()
def log(
    role: Annotated[Role | None, typer.Option(help="About one role only.")] = None, as_json: JsonOption = False
) -> None:
    """Every evaluation, promotion, adoption and rollback of a base, oldest first."""
    rows = _registry().log(role)
    if as_json:
        print_json(rows)
        return
    names = {base.id: base.name for base in list_bases(_curated())}
    show_log(rows, names)


def _curated() -> "Engine":
    return open_database(load_settings().curated_url, "curated")


def _campaigns(given: str) -> "PlanningCampaigns":
    """The two labels of --planning. Raises UsageError."""
    from training.cycle.base_planning import PlanningCampaigns

    before, comma, after = given.partition(",")
    if not (comma and before.strip() and after.strip()) or "," in after:
        raise UsageError(f"--planning {given!r}: give two campaigns, the old base's and the new one's, as in old,new")
    return PlanningCampaigns(before.strip(), after.strip())


def _registry() -> BaseRegistry:
    return BaseRegistry(_curated(), load_settings().data_dir)


def _print_changes(changes: list[BaseChange], as_json: bool) -> None:
    from training.cycle.base_promotion import invalid_adapters
    from training.cycle.context import open_context

    context = open_context(load_settings())
    invalid = [invalid_adapters(context, change.role, change.now, change.stopped) for change in changes]
    if as_json:
        print_json([_changed(change) | {"invalid": each} for change, each in zip(changes, invalid, strict=True)])
        return
    for change, each in zip(changes, invalid, strict=True):
        show_change(change, each)
    if not changes:
        console.print("it is in use already")


def _changed(change: BaseChange) -> dict[str, Any]:
    sides = {"before": change.before, "now": change.now}
    return {
        "role": change.role,
        **{name: base.name if base is not None else None for name, base in sides.items()},
        "stopped": [version.name for version in change.stopped],
        "restored": [version.name for version in change.restored],
    }


@app.command("list")
def list_(
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its hash.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the bases. With --verify exits with 1 at the first that is damaged."""
    bases = list_bases(open_database(load_settings().curated_url, "curated"))
    if verify:
        for base in bases:
            verify_base(base, full=True)
        errors.print(f"{counted(len(bases), 'base')} read in full and intact")
    if as_json:
        print_json([_shown(base) for base in bases])
        return
    used = {each.id for role in ROLES if (each := _registry().in_use(role)) is not None}
    rows = [
        (
            base.name,
            base.id[:12],
            base.role or "any",
            _state(base, used),
            base.facts["architecture"],
            f"{base.facts['parameters'] / 1e6:.1f} M",
            changed_cell(base),
            base.facts["dtype"],
            base.facts["window"] or "",
            base.facts["eos"],
        )
        for base in bases
    ]
    columns = ["name", "id", "role", "state", "architecture", "parameters", "changed", "dtype", "window", "ends a turn"]
    table("Bases", columns, rows, right=["parameters", "changed", "window"])


def _state(base: Base, used: set[str]) -> str:
    """in use, or a tuned base that is not (any more); empty for one that was added."""
    return "in use" if base.id in used else "candidate" if base.version else ""


def _shown(base: Base) -> dict[str, Any]:
    return base._asdict()
