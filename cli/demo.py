"""`cra demo`: the whole way on a small sample repository."""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.campaign import CampaignOrder, run_campaign
from cli.options import SandboxOption
from cli.output import console, table
from cli.prepare import run_prepare
from cli.report import print_report
from harness.packages.sample import build_sample
from models.campaign_settings import Grid
from models.errors import CleanRoomError


def demo(
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the figures to FILE.", dir_okay=False),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Where the sample and its package go; a temporary folder if unset."),
    ] = None,
    student: Annotated[
        bool, typer.Option("--student", help="Also let the student's models try the newest two instances.")
    ] = False,
    sandbox: SandboxOption = None,
) -> None:
    """Build a sample repository, mine, package and gold-validate it, and run a gold and a null campaign over it.

    Needs no model, no server and no root. Exits with 1 when gold does not pass everything or null passes anything. With
    --student and nothing configured, the embedded model runs every stage: too small to code, it shows how a failure
    is recorded and attributed.
    """
    started = time.monotonic()
    root = directory.resolve() if directory else Path(tempfile.mkdtemp(prefix="cra-demo-"))
    figures = _run(root, sandbox)
    figures["seconds"] = round(time.monotonic() - started, 1)
    _show(figures)
    if student:
        figures["student"] = _student(root / "corpus" / "spans", sandbox)
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(
        f"\nThe package is {root / 'corpus' / 'spans'}. Next, a repository of your own:\n"
        f"    uv run cra prepare PATH_OR_URL --out corpus/ --max-commits 10\n"
        f"    uv run cra trace {figures['example']}    # everything behind one outcome above",
        soft_wrap=True,
        markup=False,
    )
    if not figures["ok"]:
        raise CleanRoomError("the demo's figures are not what they must be: gold passes all, null passes none")


def _run(root: Path, sandbox: str | None) -> dict[str, object]:
    sample = root / "spans"
    if not sample.exists():
        build_sample(sample)
    manifests, failures = run_prepare([str(sample)], root / "corpus", 50, sandbox)
    if failures:
        raise CleanRoomError(f"the sample could not be prepared: {next(iter(failures.values()))}")
    manifest = manifests[0]
    grid = Grid(planners=("gold", "null"))
    report = run_campaign(
        CampaignOrder(packages=(root / "corpus" / manifest.name,), grid=grid, name="demo", sandbox=sandbox)
    )
    gold, null = report.planners["gold"], report.planners["null"]
    valid = sum(instance.valid for instance in manifest.instances)
    return {
        "instances": report.instances,
        "funnel": manifest.funnel.model_dump(),
        "candidates": len(manifest.instances),
        "gold": {"passed": gold.passed, "failed": gold.failed, "infrastructure": gold.infrastructure},
        "null": {"passed": null.passed, "failed": null.failed, "infrastructure": null.infrastructure},
        "ok": valid > 0 and gold.passed == report.instances == valid and null.failed == valid,
        "example": report.example[:12],
    }


def _student(package: Path, sandbox: str | None) -> dict[str, object]:
    report = run_campaign(
        CampaignOrder(
            packages=(package,), grid=Grid(planners=("student",), limit=2), name="demo-student", sandbox=sandbox
        )
    )
    print_report(report)
    return report.model_dump(mode="json")


def _show(figures: dict[str, object]) -> None:
    funnel = figures["funnel"]
    assert isinstance(funnel, dict)
    rows: list[tuple[str, object]] = [("commits in the sample repository", funnel["total"])]
    rows += [(f"  dropped: {reason}", count) for reason, count in sorted(funnel["dropped"].items())]
    rows += [
        ("  aside: needs a better message", funnel["needs_message"]),
        ("kept", funnel["kept"]),
        ("of these with code and tests", figures["candidates"]),
        ("gold-validated instances", figures["instances"]),
    ]
    for planner, what in (("gold", "the commit's own patch"), ("null", "no patch")):
        counts = figures[planner]
        assert isinstance(counts, dict)
        rows.append((f"{planner} ({what}): passed / failed", f"{counts['passed']} / {counts['failed']}"))
    rows.append(("seconds", figures["seconds"]))
    table("Demo", ["", "count"], rows, right=["count"])
    console.print("[green]as it must be[/]" if figures["ok"] else "[red]not as it must be[/]")
