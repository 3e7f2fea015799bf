"""Decisions about adapters, for people and for machines."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.padding import Padding
from rich.text import Text

from cli.output import console
from store.learning.promotions import LoggedDecision
from training.adapters.registry import Registry


def described_decision(row: LoggedDecision, names: Mapping[str, str]) -> dict[str, Any]:
    """A decision for machines, with the names of its adapters."""
    return row.model_dump(mode="json") | {
        "adapter_name": names.get(row.adapter or ""),
        "serving_name": names.get(row.serving or ""),
    }


def print_decisions(rows: Sequence[LoggedDecision], names: Mapping[str, str]) -> None:
    """A line for each decision, and its reason below: reasons are too long for a column."""
    for row in rows:
        name = names.get(row.adapter or "", "-")
        now = names.get(row.serving or "", "the base")
        console.print(
            Text.assemble(
                (f"{row.created_at:%Y-%m-%d %H:%M}  ", "dim"),
                (f"{row.action} {name}", "bold"),
                f"  {row.target} is served by {now}",
            )
        )
        console.print(Padding(Text(row.reason), (0, 0, 0, 4)))
        if row.override:
            console.print(Padding(Text(f"override: {row.override}", style="yellow"), (0, 0, 0, 4)))


def adapter_names(registry: Registry) -> dict[str, str]:
    """The name of each adapter, by hash."""
    return {version.id: version.name for version in registry.list()}
