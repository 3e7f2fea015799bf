"""The page of a rehearsal: the verdict, each step with its evidence, and the loss curve."""

import json

from cli.pages.charts import curves
from cli.pages.render import render
from cli.pages.section import Section, drawn, make_rows
from models.rehearsal import RehearsalReport, StepEvidence


def rehearsal_page(report: RehearsalReport) -> str:
    """The page of a rehearsal as HTML."""
    verdict = "Operational." if report.operational else f"Not operational: {report.missing}."
    notes = [
        f"{verdict} Version {report.code}.",
        f"All databases and files of the rehearsal are in {report.state}, which may be deleted; the installation's own "
        "were read only.",
    ]
    sections = [_steps(report), *_losses(report), *(_figures(each) for each in report.steps if each.figures)]
    return render("Rehearsal of the loop", notes, sections)


def _steps(report: RehearsalReport) -> Section:
    rows: list[tuple[str, ...]] = [
        (each.step, each.verdict, "; ".join(each.found), each.remedy, f"{each.seconds:.1f}", f"{each.size / 2**20:.1f}")
        for each in report.steps
    ]
    rows.append(("all", "", "", "", f"{report.seconds:.1f}", f"{report.size / 2**20:.1f}"))
    columns = ("step", "verdict", "found", "remedy", "seconds", "MiB")
    return Section(
        "steps", "Steps", ("In their order; what follows a failed step was not done.",), columns, make_rows(rows),
        ("seconds", "MiB"),
    )  # fmt: skip


def _losses(report: RehearsalReport) -> list[Section]:
    losses: list[float] = next((each.figures["losses"] for each in report.steps if "losses" in each.figures), [])
    points = tuple(enumerate(losses, 1))
    section = Section(
        "losses",
        "Training loss",
        ("A few steps show that the training runs, not that it helps.",),
        ("step", "loss"),
        make_rows([(step, f"{loss:.4f}") for step, loss in points]),
        ("step", "loss"),
    )
    lines = {"training": points}
    return [drawn(section, True, lambda title, words: curves("losses", title, words, lines))] if points else []


def _figures(evidence: StepEvidence) -> Section:
    rows = [(name, json.dumps(value, ensure_ascii=False)) for name, value in evidence.figures.items()]
    key = f"figures-{evidence.step.replace(' ', '-')}"
    title = evidence.step.capitalize()
    return Section(key, title, (), ("figure", "value"), make_rows(rows), folded=True)
