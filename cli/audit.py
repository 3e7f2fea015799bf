"""`cra audit`: whether the logs of trajectories follow from themselves, and what a model doubts in them."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption
from cli.output import console, counted, print_json, printable, table
from cli.progress import progress
from harness.audit.findings import AuditReport, Finding
from harness.audit.record import AttemptLog
from host.settings import load_settings
from models.errors import UsageError
from models.limits import LoopLimits
from store.runs import RawStore, open_raw_store
from store.runs.results import campaign_settings, closed_trajectories

if TYPE_CHECKING:
    from harness.audit.trajectory import ReplayPlace
    from llm import Router
    from repos.git import Git

_SHOWN = 20


def audit(
    what: Annotated[str, typer.Argument(metavar="CAMPAIGN_OR_TRAJECTORY", help="A campaign's name, or an id.")],
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", help="A repo package, or a folder of packages; repeat for several."),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--with", metavar="ENDPOINT", help="Have this model read each log, and cite what it doubts."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Trajectories at most.", min=1)] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="Stop before the model has cost more, in the price table's currency.", min=0)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that each log follows from itself: texts, order, prompts, judgements, plans, edits, patch, outcome.

    The main loop goes again through each task with the recorded answers and test reports; nothing is asked or run.
    Findings cite rows by number, as `cra trace` shows them. Exits with 1 if there is a fault; a doubt is none.
    """
    from harness.audit import audit_trajectory
    from harness.audit.doubts import ask_doubts
    from llm import Meter, open_endpoint

    settings = load_settings()
    store = open_raw_store(settings.raw_url)
    ids = _ids(store, what)[:limit]
    places = ReplayPlaces(store, [path.resolve() for path in corpus or []], settings.cache_dir / "audits")
    router: Router | None = None
    if endpoint is not None:
        router = open_endpoint(settings.models, endpoint, Meter(max_cost=max_cost))
    reports = []
    with progress() as display:
        bar = display.add_task("audit", total=len(ids), note="")
        for trajectory in ids:
            doubts = (
                None if router is None else lambda log, router=router: ask_doubts(log, router, endpoint or "", store)
            )
            reports.append(audit_trajectory(store, trajectory, places.of, doubts))
            faults = sum(not report.is_sound for report in reports)
            display.update(bar, advance=1, note=f"{counted(faults, 'log')} with faults")
    if as_json:
        print_json(reports)
    else:
        _print(reports, asked=router is not None)
    if any(not report.is_sound for report in reports):
        raise typer.Exit(1)


def _ids(store: RawStore, what: str) -> list[str]:
    """The trajectories of a campaign, or the one with this id. Raises UsageError if there is neither."""
    try:
        found = closed_trajectories(store.engine, what)
    except UsageError as error:
        try:
            return [store.trace(what).id]
        except UsageError as other:
            raise UsageError(f"{what!r} is neither a campaign nor a trajectory: {error}; {other}") from other
    if not found:
        raise UsageError(f"campaign {what!r} has no closed trajectory yet")
    return found


class ReplayPlaces:
    """Where trajectories are replayed: the clones of the packages that are at hand."""

    def __init__(self, store: RawStore, corpora: Sequence[Path], scratch: Path) -> None:
        self._store, self._corpora, self._scratch = store, corpora, scratch
        self.clone = cache(self._clone)
        self.limits = cache(self._limits)

    def of(self, log: AttemptLog) -> "ReplayPlace":
        """The place of a log."""
        from harness.audit.trajectory import ReplayPlace

        git = self.clone(log.trace.package, log.trace.instance)
        return ReplayPlace(git, self.limits(log.trace.campaign), self._scratch)

    def _clone(self, package: str, instance: str) -> "Git | None":
        """The clone of the package with that identity; None if it is not at hand."""
        from exchange.predictions import find_packages
        from harness.packages.package import read_package

        for directory in find_packages(self._corpora, self._store, {instance}):
            found = read_package(directory)
            if found.identity == package:
                return found.git
        return None

    def _limits(self, campaign: str) -> LoopLimits:
        return LoopLimits.model_validate(campaign_settings(self._store.engine, campaign).get("loop", {}))


def _print(reports: Sequence[AuditReport], *, asked: bool) -> None:
    faulty = [report for report in reports if not report.is_sound]
    rows = [_row(report, each) for report in faulty for each in report.findings[:_SHOWN]]
    table("Faults", ["trajectory", "outcome", "check", "rows", "what"], rows)
    doubted = [_row(report, each) for report in reports for each in report.doubts]
    if asked:
        table("Doubts of the model", ["trajectory", "outcome", "check", "rows", "what"], doubted)
        rows_cited = [
            (report.trajectory[:12], row, _line(text))
            for report in reports
            for row, text in sorted(report.cited.items())
        ]
        table("Rows that they cite", ["trajectory", "row", "text"], rows_cited, right=["row"])
    checked: Counter[str] = Counter()
    for report in reports:
        checked.update(report.checked)
    table("Checked", ["what", "number"], [(name, count) for name, count in checked.items()], right=["number"])
    missed = Counter((name, why) for report in reports for name, why in report.not_checked.items())
    rows_missed = [(name, counted(count, "log"), printable(why)) for (name, why), count in missed.items()]
    table("Not checked", ["check", "of", "why"], rows_missed)
    dropped = sum(report.doubts_dropped for report in reports)
    new, kept = sum(report.asked for report in reports), sum(len(report.answers) for report in reports)
    said = f"; {counted(len(doubted), 'doubt')}, {dropped} dropped that cite nothing" if asked else ""
    said += f"; {counted(new, 'answer was', 'answers were')} asked for, {kept - new} kept from before" if asked else ""
    console.print(f"{counted(len(reports), 'log')} audited, {len(faulty)} with faults{said}", markup=False)


def _line(text: str, most: int = 160) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def _row(report: AuditReport, finding: Finding) -> tuple[str, str, str, str, str]:
    cites = ", ".join(map(str, finding.cites[:6])) + (", ..." if len(finding.cites) > 6 else "")
    return report.trajectory[:12], report.outcome or "open", finding.check, cites, printable(finding.detail)
