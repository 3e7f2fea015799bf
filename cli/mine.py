"""`cra mine`: what a repository's history holds."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption
from cli.output import console, print_json, spinner, table
from cli.progress import progress
from harness.mining import Mined, add_symbols
from harness.mining import mine as mine_history
from harness.mining.regenerated import MessageLedger
from harness.mining.repository import FLAGS, RepositoryFacts, describe
from harness.packages.prepare import name_of, origin_of
from host.settings import load_settings
from models.manifest import MiningFunnel
from repos.git import Git, clone


def mine(
    source: Annotated[str, typer.Argument(metavar="PATH_OR_URL", help="A git repository.")],
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Commits to list.", min=0)] = 20,
) -> None:
    """Show the funnel: how many commits, why each was dropped, what is kept.

    The funnel comes first; then the symbols of the listed commits are read (with --json those of all that are kept).
    """
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="cra-mine-") as temporary:
        with spinner(f"reading the history of {source}"):
            git = clone(source, Path(temporary) / "repo")
            mined = mine_history(git, settings.mining, with_symbols=False)
            accepted = MessageLedger.of(settings.data_dir, git).accepted()
            described = {commit.sha: accepted[commit.sha].text for commit in mined.aside if commit.sha in accepted}
            facts = describe(git, name_of(git, git.resolve("HEAD"), source), origin_of(source))
        if not as_json:
            _print_funnel(mined.funnel, len(described))
        mined = _with_symbols(git, mined, None if as_json else limit)
    if as_json:
        _print_json(source, mined, facts, described)
    else:
        _print_kept(mined, facts, limit)


def _with_symbols(git: Git, mined: Mined, newest: int | None) -> Mined:
    with progress() as display:
        bar = display.add_task("symbols", total=len(mined.commits[:newest]), note="")
        return add_symbols(git, mined, newest, on_progress=lambda done, _: display.update(bar, completed=done))


def _print_json(source: str, mined: Mined, facts: RepositoryFacts, described: Mapping[str, str]) -> None:
    faults = dict(mined.faults)
    print_json(
        {
            "source": source,
            "flags": facts.flags,
            "lines_of_code": facts.lines_of_code,
            "license": facts.license,
            "funnel": mined.funnel.model_dump(),
            "commits": [commit.model_dump() for commit in mined.commits],
            "needs_message": [
                {**commit.model_dump(), "fault": faults[commit.sha], "described": described.get(commit.sha)}
                for commit in mined.aside
            ],
            "dropped": [{"sha": sha, "reason": reason} for sha, reason in mined.dropped],
        }
    )


def _print_funnel(funnel: MiningFunnel, described: int) -> None:
    rows: list[tuple[str, int]] = [("commits", funnel.total)]
    rows += [(f"  dropped: {reason}", -n) for reason, n in sorted(funnel.dropped.items(), key=lambda item: -item[1])]
    rows.append(("  aside: needs a better message", -funnel.needs_message))
    rows.append(("    of these described by a model", described))
    rows.append(("kept", funnel.kept))
    rows.append(("  of these with code and tests", funnel.mixed))
    table(
        "Funnel",
        ["", "commits", "share"],
        [(what, count, f"{abs(count) / funnel.total:.1%}") for what, count in rows],
        right=["commits", "share"],
    )


def _print_kept(mined: Mined, facts: RepositoryFacts, limit: int) -> None:
    table(
        f"Kept, newest first ({min(limit, len(mined.commits))} of {len(mined.commits)})",
        ["commit", "types", "files", "lines", "symbols", "subject"],
        [
            (c.sha[:10], " ".join(c.planning_types), len(c.changes), c.lines, len(c.symbols), c.subject)
            for c in mined.commits[:limit]
        ],
        right=["files", "lines", "symbols"],
    )
    for flag in facts.flags:
        print_flag(flag)


def print_flag(flag: str) -> None:
    """Print what a person should know of a repository."""
    console.print(f"[yellow]flag:[/] {flag}{f': {FLAGS[flag]}' if flag in FLAGS else ''}", soft_wrap=True)
