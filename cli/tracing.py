"""A trace for people: what happened behind one trajectory, from its outcome back to its causes."""

import json
from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text
from rich.tree import Tree

from cli.output import console

if TYPE_CHECKING:
    from harness.store import Trace
    from harness.store.trace import Event

HEAD = 12
"""Lines of a text that are shown without `--full`."""


def print_trace(trace: "Trace", *, full: bool) -> None:
    """Print a trace: how each attempt ended, then its events in order."""
    console.print(f"[bold]{trace.repository}@{trace.commit[:10]}[/] {trace.planner}  [dim]{trace.id}[/]")
    console.print(
        f"instance {trace.instance}, base {trace.base_commit[:10]}, campaign {trace.campaign[:12]}",
        style="dim",
    )
    for outcome in trace.outcomes:
        style = "green" if outcome.kind.passed else "red"
        kind = outcome.kind
        console.print(
            f"[{style}]attempt {outcome.attempt}: {kind.value}[/] (blame: {kind.blame.value}), {outcome.seconds:.1f} s"
        )
        if outcome.detail:
            console.print(Text(f"  {outcome.detail}"))
        if outcome.alignment:
            console.print("  alignment: " + ", ".join(f"{k} {v:.2f}" for k, v in outcome.alignment.items()))
        if verdict := outcome.validation:
            console.print(
                f"  verdict by {verdict.oracle.value}: {len(verdict.f2p_passed)} F2P passed, "
                f"{len(verdict.f2p_failed)} failed; {len(verdict.p2p_failed)} P2P not passed; {verdict.seconds:.1f} s"
            )
        if found := outcome.attribution:
            console.print(Text(f"  attributed to {found.label.value}: {found.reason}"))
            for experiment in found.evidence.experiments:
                end = experiment.kind.value if experiment.kind else "not possible"
                console.print(Text(f"    {experiment.name}: {end} {experiment.validation[:12]}".rstrip()), style="dim")
    tree = Tree("[bold]what happened[/]")
    for event in trace.events:
        tree.add(_event(event, full))
    console.print(tree)
    for outcome in trace.outcomes:
        if outcome.patch:
            title = f"patch of attempt {outcome.attempt}"
            console.print(Panel(Syntax(_cut(outcome.patch, full), "diff", theme="ansi_dark"), title=title))


def _event(event: "Event", full: bool) -> Text:
    head = f"{event.attempt}.{event.seq} "
    if event.event == "call":
        where = " ".join(filter(None, [event.part_id, event.step_id]))
        cost = f"{event.prompt_tokens}+{event.completion_tokens} tokens"
        return Text(f"{head}{event.stage} {where} asked {event.model} ({cost})\n{_cut(_pretty(event.response), full)}")
    if event.event == "plan":
        return Text(f"{head}{event.stage} plan accepted{f' for {event.part_id}' if event.part_id else ''}")
    if event.event == "edit":
        came = f"applied ({event.rung})" if event.rung else f"rejected: {event.error}"
        return Text(f"{head}edit {event.part_id}/{event.step_id} {event.path}: {came}")
    if event.event == "tests":
        return Text(f"{head}tests {event.purpose}: {event.end} {event.counts} in {event.seconds:.1f} s")
    return Text(f"{head}{event.stage} decided {event.subject}: {event.decision} ({event.reason})")


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1)
    except json.JSONDecodeError:
        return text


def _cut(text: str, full: bool) -> str:
    lines = text.splitlines()
    if full or len(lines) <= HEAD:
        return text
    return "\n".join([*lines[:HEAD], f"... {len(lines) - HEAD} more lines; --full shows them"])
