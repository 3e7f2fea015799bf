"""Bases for people: a candidate's report, a change of the base in use, the log."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.gate_table import show_gate
from cli.output import console, table
from evals.base_report import (
    FORGETTING_COLUMNS,
    LOSS_COLUMNS,
    NUMBERS,
    PLANNING_COLUMNS,
    base_lines,
    forgetting_rows,
    loss_rows,
    planning_rows,
)
from models.base_evaluation import BaseReport
from store.learning.base_decisions import LoggedBaseDecision
from training.adapters.registry.base_registry import BaseChange
from training.adapters.registry.base_statement import BaseLineage
from training.bases.bases import Base

if TYPE_CHECKING:
    from training.cycle.base_promotion import Retraining


def show_report(report: BaseReport) -> None:
    """Everything that a gate compared, and its verdict."""
    title = f"{report.role}: {report.challenger.name} against {report.champion.name}"
    for stage in report.stages:
        show_gate(stage, f"{stage.target.value}, set {stage.set_id[:12]}")
    for stage in report.served:
        show_gate(
            stage, f"{stage.target.value} as it serves: {stage.champion.name} against {stage.challenger.name} alone"
        )
    if report.objectives:
        table(f"{title}, rows of {report.held_out}", LOSS_COLUMNS, loss_rows(report), right=NUMBERS)
    table("Forgetting, nats per token", FORGETTING_COLUMNS, forgetting_rows(report), right=NUMBERS)
    if report.planning:
        table("Plans in campaigns, by type", PLANNING_COLUMNS, planning_rows(report), right=NUMBERS)
    console.print("\n".join(base_lines(report)), markup=False, soft_wrap=True)


def changed_cell(base: Base) -> str:
    """The share of its weights that a full fine-tune changed; empty if that is not on record."""
    share = base.facts.get("changed")
    return f"{share:.1%}" if isinstance(share, float) else ""


def show_tuned(base: Base) -> None:
    """What a full fine-tune did: weights changed, and each objective's rows and losses."""
    if changed := changed_cell(base):
        console.print(f"{changed} of its weights changed, as stored", markup=False)
    objectives = base.facts.get("objectives") or {}
    if objectives:
        rows = [
            [
                name,
                each["rows"],
                each["drawn"],
                f"{each['share']:.0%}",
                _share_of_tokens(each),
                *map(_loss, _losses_of(each)),
            ]
            for name, each in objectives.items()
        ]
        columns = ["objective", "rows", "drawn", "of rows", "of tokens", "loss first", "loss last", "validation"]
        table("Objectives, nats per token", columns, rows, right=columns[1:])


def _share_of_tokens(objective: dict[str, Any]) -> str:
    """The share of the learned tokens; empty for a base that was tuned before these were counted."""
    share = objective.get("token_share")
    return "" if share is None else f"{share:.0%}"


def show_base(base: Base, lineage: BaseLineage | None) -> None:
    """A base's facts and where it came from."""
    rows = [
        ("id", base.id),
        ("role", base.role or "any"),
        ("parameters", f"{base.facts.get('parameters', 0) / 1e6:.1f} M, {base.facts.get('dtype', 'unknown')}"),
        ("window", str(base.facts.get("window", "unknown"))),
        ("path", str(base.path)),
    ]
    if lineage is not None:
        settings = {name: value for name, value in lineage.config.items() if name not in ("objectives", "changed")}
        rows += [
            ("tuned from", f"{lineage.parent_name} {lineage.parent[:12]}"),
            ("data", ", ".join(each[:12] for each in (lineage.dataset, *lineage.datasets))),
            ("training plan", lineage.plan),
            ("settings", ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))),
            ("code", lineage.code_revision),
            ("trained", f"{lineage.trained_at:%Y-%m-%d %H:%M}"),
        ]
    table(base.name, ["", ""], rows)
    show_tuned(base)


def _losses_of(objective: dict[str, Any]) -> list[float | None]:
    return [objective["first"], objective["last"], objective["validation"]]


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def show_change(change: BaseChange, invalid: Sequence["Retraining"]) -> None:
    """Which base a role uses now, what stopped serving, and what training it again would take."""
    now = change.now.name if change.now is not None else "any base: none is in use"
    before = change.before.name if change.before is not None else "none"
    if change.before is not None and change.now is not None and change.before.id == change.now.id:
        console.print(f"{change.role} uses {now} already", markup=False)
        return
    console.print(f"{change.role} uses {now} (before: {before})", markup=False, soft_wrap=True)
    for what, versions in (("stopped serving", change.stopped), ("serves again", change.restored)):
        if versions:
            console.print(f"{', '.join(version.name for version in versions)} {what}", markup=False)
    if invalid:
        rows = [
            [
                each.adapter,
                "served" if each.was_active else "",
                each.base,
                each.dataset[:12],
                *("unknown" if value is None else str(value) for value in (each.rows, each.tokens, each.hours)),
            ]
            for each in invalid
        ]
        columns = ["invalid adapter", "until now", "base", "dataset", "rows", "tokens", "hours"]
        table("Train again on the new base", columns, rows, right=["rows", "tokens", "hours"])


def show_log(rows: Sequence[LoggedBaseDecision], names: dict[str, str]) -> None:
    """Every decision, oldest first."""
    lines = [
        [
            str(row.seq),
            f"{row.created_at:%Y-%m-%d %H:%M}",
            row.role,
            row.action,
            names.get(row.base, row.base[:12]),
            names.get(row.serving, row.serving[:12]) if row.serving else "-",
            row.reason + (f" (override: {row.override})" if row.override else ""),
        ]
        for row in rows
    ]
    table("Decisions about bases", ["", "when", "role", "decision", "about", "in use then", "why"], lines)
