"""`cra adapters`: trained adapters, which are active, and why."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.adapter_decisions import adapter_names, described_decision, print_decisions
from cli.class_bias import bias_rows, where_applied
from cli.options import EndToEndLimitOption, EndToEndOption, ItemLevelOption, JsonOption
from cli.output import console, errors, print_json, spinner, table
from host.settings import load_settings
from models.class_bias import CLASS_BIAS
from models.errors import RegistryError, UsageError
from models.targets import TrainingTarget
from store.database import open_database
from training.adapters.registry import AdapterVersion, Registry
from training.adapters.registry.statement import read_statement

app = typer.Typer(help="Trained adapters: which serve, why, and are they intact.", no_args_is_help=True)

AdapterName = Annotated[str, typer.Argument(metavar="NAME", help="As listed, such as scope-v2; or its hash.")]


@app.callback()
def _group() -> None:
    """Trained adapters: which serve, why, and are they intact."""


@app.command("list")
def list_(
    target: Annotated[TrainingTarget | None, typer.Option(help="Of one target only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """All adapters, with the active one of each target. None is ever deleted."""
    versions = _registry().list(target)
    if as_json:
        print_json([_shown(version) for version in versions])
        return
    table(
        "Adapters",
        ["adapter", "serves", "base", "dataset", "trained", "hash", "metrics"],
        [
            [
                version.name,
                "yes" if version.active else "",
                version.base_name,
                version.dataset_id[:12],
                f"{version.trained_at:%Y-%m-%d %H:%M}",
                version.id[:12],
                _metrics(version.metrics),
            ]
            for version in versions
        ],
    )


@app.command()
def show(name: AdapterName, as_json: JsonOption = False) -> None:
    """An adapter, its lineage, and every decision about it."""
    registry = _registry()
    version = registry.show(name)
    lineage = read_statement(version.path).predicate
    names = adapter_names(registry)
    decisions = [row for row in registry.log(version.target) if version.id in (row.adapter, row.serving)]
    if as_json:
        said = {"lineage": lineage, "decisions": [described_decision(row, names) for row in decisions]}
        bias = version.class_bias
        applied = {"class_bias_applied": where_applied(version)} if bias and bias.active else {}
        print_json(_shown(version) | said | applied)
        return
    config = ", ".join(f"{key} {value}" for key, value in sorted(lineage.config.items()) if key != CLASS_BIAS)
    rows = [
        ("served as", version.served),
        ("serves now", "yes" if version.active else "no"),
        ("base", f"{version.base_name} {version.base[:12]}"),
        ("dataset", version.dataset_id),
        ("grown out of", ", ".join(lineage.parents) or "-"),
        ("training plan", version.plan_id),
        ("settings", config or "-"),
        *bias_rows(version),
        ("code", lineage.code_revision),
        ("trained", f"{version.trained_at:%Y-%m-%d %H:%M}"),
        ("metrics", _metrics(version.metrics)),
        ("path", str(version.path)),
    ]
    table(version.name, ["", ""], rows)
    if decisions:
        print_decisions(decisions, names)
    else:
        console.print("no decision about it yet")


@app.command()
def log(
    target: Annotated[TrainingTarget | None, typer.Option(help="About one target only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Every promotion, rejection and rollback, oldest first."""
    registry = _registry()
    rows, names = registry.log(target), adapter_names(registry)
    if as_json:
        print_json([described_decision(row, names) for row in rows])
        return
    if not rows:
        console.print("no decision yet")
    print_decisions(rows, names)


@app.command()
def report(
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with pictures to FILE instead.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Which adapter served when, the gates' tables, and the losses of the newest trainings.

    The page of --html is one file for any browser: it loads nothing and runs no script.
    """
    from store.runs import open_raw_store
    from training.cycle.history import read_history

    history = read_history(open_raw_store(load_settings().raw_url).engine, _registry())
    if html is not None:
        from cli.pages.learning import learning_page
        from cli.pages.render import write_page
        from cli.pages.svg import check_drawing

        check_drawing()
        with spinner("drawing"):
            write_page(html, learning_page(history))
        errors.print(f"{html} holds the page", markup=False, soft_wrap=True)
    if as_json:
        print_json(history)
    elif html is None:
        from cli.pages.learning import sections

        for section in sections(history):
            if not section.folded:
                table(section.title, section.columns, section.rows, right=section.right)


@app.command()
def gate(
    name: AdapterName,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", metavar="DIR", help="That of its training, if it was moved.")
    ] = None,
    item_level: ItemLevelOption = False,
    end_to_end: EndToEndOption = None,
    end_to_end_limit: EndToEndLimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the champion and a registered adapter, such as one trained elsewhere, and promote it if a gate says so.

    What was answered before is not asked again, also after a kill.
    """
    from cli.flow_context import flow_context
    from cli.train import print_training

    _registry().verify(name)  # mistakes end before the engine starts
    with flow_context():
        from flows.gate import gate as gate_flow

        packages = tuple(path.resolve() for path in end_to_end or ())
        report = gate_flow(name, dataset and dataset.resolve(), item_level, packages, end_to_end_limit)
    if as_json:
        print_json(report)
    else:
        print_training(report)


@app.command()
def promote(
    name: AdapterName,
    override: Annotated[
        str | None,
        typer.Option("--override", metavar="REASON", help="Override the gate, for this reason; it is logged."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an adapter active for its target, in running routers within a second.

    Needs a stored gate report that it passed against the active champion, or --override.
    """
    if override is not None and not override.strip():
        raise UsageError("--override is empty; give the reason, which is logged")
    registry = _registry()
    before = registry.active(registry.show(name).target)
    now = registry.promote(name, override=override)
    if as_json:
        changed = before is None or before.id != now.id
        print_json(_shown(now) | {"before": before.name if before else None, "override": override if changed else None})
        return
    if before is not None and before.id == now.id:
        console.print(f"{now.target.value}: {now.name} is already active; nothing was changed")
        return
    console.print(f"{now.target.value}: {now.name} serves (before: {before.name if before else 'the base'})")
    if override:
        errors.print(f"the gate was overridden: {override}", style="yellow", markup=False)
    if said := unused_warning(now.name, now.target, now.base, now.base_name):
        errors.print(said, style="yellow", markup=False, soft_wrap=True)


def unused_warning(name: str, target: TrainingTarget, base: str, base_name: str) -> str:
    """Warning that the student's endpoint is not set to serve an adapter's base (hash and name); empty if it is."""
    models = load_settings().models
    endpoint = getattr(models.roles, target.role)
    if models.endpoint(endpoint).base in (base, base_name):
        return ""
    return (
        f"{name} is not in use yet: endpoint {endpoint!r} is not configured to serve base {base_name}; "
        f'set base = "{base_name}" under [models.endpoints.{endpoint}]'
    )


@app.command()
def rollback(
    target: Annotated[TrainingTarget, typer.Argument(help="The target to roll back.")],
    reason: Annotated[str, typer.Option(help="Logged with the rollback.")] = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Reactivate the previous adapter; in the end the base alone. Nothing is trained and nothing lost."""
    now = _registry().rollback(target, reason)
    if as_json:
        print_json({"target": target.value, "serves": _shown(now) if now else None})
        return
    console.print(f"{target.value}: {now.name if now else 'the base'} serves")


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="As listed; all if left out.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All adapters; the same as no name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Is an adapter what was registered: content hash, signature, statement, row, and its base's files?

    Exits with 1 if one is not.
    """
    if name is not None and everything:
        raise UsageError("give a name or --all, not both")
    registry = _registry()
    faults: dict[str, str] = {}
    for version in [registry.show(name)] if name is not None else registry.list():
        try:
            registry.verify(version.id)
            faults[version.name] = ""
        except RegistryError as error:
            faults[version.name] = str(error)
    if as_json:
        print_json([{"adapter": each, "intact": not fault, "fault": fault} for each, fault in faults.items()])
    else:
        for each, fault in faults.items():
            if fault:
                errors.print(fault, style="red", markup=False, soft_wrap=True)
            else:
                console.print(f"{each} is intact")
        if not faults:
            console.print("there are no adapters")
    if any(faults.values()):
        raise typer.Exit(1)


def _registry() -> Registry:
    settings = load_settings()
    return Registry(open_database(settings.curated_url, "curated"), settings.data_dir)


def _shown(version: AdapterVersion) -> dict[str, Any]:
    return {"name": version.name, "served": version.served} | version.model_dump(mode="json")


def _metrics(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value:.3f}" for key, value in sorted(metrics.items()) if isinstance(value, float))
