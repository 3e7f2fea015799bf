"""`cra trace`: what happened behind one trajectory, from its outcome back to its causes."""

import json
from typing import Annotated

import typer
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text
from rich.tree import Tree

from cli.options import JsonOption
from cli.output import console, print_json, printable
from host.settings import load_settings
from models.chat import messages_by_role
from models.protocols import Stage
from store.runs import Trace, open_raw_store
from store.runs.events import Event

HEAD = 12
"""Lines of a text that are shown without `--full`."""


def trace(
    trajectory: Annotated[str, typer.Argument(metavar="TRAJECTORY_ID", help="Its id, or the first characters.")],
    as_json: JsonOption = False,
    full: Annotated[bool, typer.Option("--full", help="Print texts whole.")] = False,
    stage: Annotated[
        Stage | None,
        typer.Option(help="Only this stage, as in scope or meta_plan: exact prompts, raw answers, what they led to."),
    ] = None,
) -> None:
    """Show every decision, plan, edit and test run behind one outcome."""
    result = open_raw_store(load_settings().raw_url).trace(trajectory, prompts=stage is not None)
    if stage is not None:
        result = of_stage(result, stage)
    if as_json:
        print_json(result)
    elif stage is not None:
        print_stage(result)
    else:
        print_trace(result, full=full)


def print_trace(trace: Trace, *, full: bool) -> None:
    """Print a trace: how each attempt ended, then its events in order."""
    console.print(f"[bold]{trace.repository}@{trace.commit[:10]}[/] {trace.planner}  [dim]{trace.id}[/]")
    console.print(
        f"instance {trace.instance}, base {trace.base_commit[:10]}, campaign {trace.campaign[:12]}",
        style="dim",
    )
    for outcome in trace.outcomes:
        style = "green" if outcome.kind.succeeded else "red" if outcome.kind.failed else "yellow"
        kind = outcome.kind
        console.print(
            f"[{style}]attempt {outcome.attempt}: {kind.value}[/] (blame: {kind.blame.value}), {outcome.seconds:.1f} s"
        )
        if outcome.detail:
            console.print(Text(f"  {printable(outcome.detail)}"))
        for opened in (each for each in trace.reopenings if each.attempt == outcome.attempt):
            when = f"{opened.created_at:%Y-%m-%d %H:%M} UTC"
            console.print(Text(f"  does not count: opened again {when}, {printable(opened.reason)}"), style="yellow")
        if outcome.alignment:
            console.print("  alignment: " + ", ".join(f"{k} {v:.2f}" for k, v in outcome.alignment.items()))
        if verdict := outcome.validation:
            console.print(
                f"  verdict by {verdict.oracle.value}: {len(verdict.f2p_passed)} F2P passed, "
                f"{len(verdict.f2p_failed)} failed; {len(verdict.p2p_failed)} P2P failed, "
                f"{len(verdict.p2p_not_run)} not run; {verdict.seconds:.1f} s"
            )
            if confirmed := verdict.confirmation:
                console.print(Text(f"  {confirmed.sentence}"))
        if found := outcome.attribution:
            console.print(Text(f"  attributed to {found.label.value}: {found.reason}"))
            for experiment in found.evidence.experiments:
                end = experiment.kind.value if experiment.kind else "not possible"
                console.print(Text(f"    {experiment.name}: {end} {experiment.validation[:12]}".rstrip()), style="dim")
        if own := outcome.own_tests:
            console.print(Text(f"  its own tests: {own.sentence}"))
            for mutant in own.survivors:
                names = f" ({', '.join(mutant.names)})" if mutant.names else ""
                console.print(Text(f"    not noticed: {mutant.path}:{mutant.start}{names} reverted"), style="dim")
    tree = Tree("[bold]what happened[/]")
    for event in trace.events:
        tree.add(_event(event, full))
    console.print(tree)
    for outcome in trace.outcomes:
        if outcome.patch:
            title = f"patch of attempt {outcome.attempt}"
            console.print(Panel(Syntax(_cut(outcome.patch, full), "diff", theme="ansi_dark"), title=title))


def of_stage(trace: Trace, stage: Stage) -> Trace:
    """The trace with the events of one stage; those of `code` include edits and test runs."""
    events = tuple(event for event in trace.events if _stage_of(event) == stage)
    return trace.model_copy(update={"events": events})


def _stage_of(event: Event) -> str:
    if event.event == "edit" or event.event == "tests":
        return Stage.CODE.value
    return event.stage


def print_stage(trace: Trace) -> None:
    """Print a stage's questions and answers, byte for byte but for control characters, and what they led to."""
    console.print(f"[bold]{trace.repository}@{trace.commit[:10]}[/] {trace.planner}  [dim]{trace.id}[/]")
    for event in trace.events:
        if event.event != "call":
            console.print(printable(_event(event, full=True).plain), markup=False, soft_wrap=True)
            continue
        where = " ".join(filter(None, [event.part_id, event.step_id, f"attempt {event.step_attempt}"]))
        model = f"{event.model} {event.adapter or ''} at {event.endpoint or '-'}".replace("  ", " ")
        console.rule(printable(f"{event.attempt}.{event.seq} {event.stage} {where}"), align="left")
        console.print(
            printable(
                f"{model}, temperature {event.temperature:g}, seed {event.seed}, finish {event.finish_reason}; "
                f"{event.prompt_tokens} tokens in ({event.cached_tokens} cached), {event.completion_tokens} out, "
                f"cost {event.cost:.6f}, {event.latency:.2f} s, {event.retries} retries"
                f"{', answered before' if event.reused else ''}"
            ),
            style="dim",
            markup=False,
        )
        if event.void:
            console.print("this answer is void: it is not replayed any more", style="yellow")
        asked = [(f"prompt: {role}", text) for role, text in messages_by_role(event.prompt)]
        answered = [("reasoning", event.reasoning), ("answer", event.response)]
        for title, text in [*asked, *answered]:
            if text:
                console.print(f"[bold]{title}[/]")
                console.print(printable(text), markup=False, soft_wrap=True)
    if not trace.events:
        console.print("nothing happened at this stage")


def _event(event: Event, full: bool) -> Text:
    head = f"{event.attempt}.{event.seq} "
    if event.event == "call":
        where = " ".join(filter(None, [event.part_id, event.step_id]))
        cost = f"{event.prompt_tokens}+{event.completion_tokens} tokens"
        said = printable(_cut(_pretty(event.response), full))
        model = f"{event.adapter} on {event.model}" if event.adapter else event.model
        again = ", replayed" * event.reused + ", void" * event.void
        return Text(f"{head}{event.stage} {where} asked {model} ({cost}{again})\n{said}")
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
