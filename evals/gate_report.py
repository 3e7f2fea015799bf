"""Presentation of a gate report: table rows, plain text, Markdown for the UI, in the same words everywhere."""

from collections.abc import Sequence

from evals.gates import shown_p
from models.evaluation import Evaluation, GateReport, GateVerdict, MetricTest

COLUMNS = ("metric", "champion", "challenger", "difference", "95% interval", "p", "over", "detectable", "threshold")
SHORT = ("metric", "old", "new", "95% interval", "p", "over", "threshold")
"""Columns of a table for a terminal of 80 columns: what the gate's decision rests on."""
NO_CONTROL = "no control arm was run"
NUMBERS = ("old", "new", "champion", "challenger", "difference", "p", "detectable", "threshold")


def gate_rows(report: GateReport) -> list[list[str]]:
    """A row per metric, in the order of `COLUMNS`; primary metrics are starred."""
    return [_row(test) for test in report.tests]


def _row(test: MetricTest) -> list[str]:
    over = f"{test.repositories} repositories" if test.p_repository is not None else f"{test.items} items only"
    threshold = ""
    if test.threshold is not None:
        threshold = f"{test.threshold:.2f} {'met' if test.challenger >= test.threshold else 'missed'}"
    return [
        f"{test.metric} *" if test.primary else test.metric,
        f"{test.champion:.3f}",
        f"{test.challenger:.3f}",
        f"{test.difference:+.3f}",
        f"{test.low:+.3f} to {test.high:+.3f}",
        shown_p(test.p_adjusted).removeprefix("= "),
        over,
        "none" if test.detectable is None else f"{test.detectable:.3f}",
        threshold,
    ]


def short_rows(report: GateReport) -> list[list[str]]:
    """A row per metric, in the order of `SHORT`."""
    rows = []
    for test in report.tests:
        name, old, new, _, _, p, over, _, threshold = _row(test)
        over = over.removesuffix(" only").replace("repositories", "repos")
        rows.append([name, old, new, f"{test.low:+.3f} {test.high:+.3f}", p, over, threshold])
    return rows


def verdict_lines(report: GateReport) -> list[str]:
    """The verdict with its reason, then the notes, one line each."""
    why, *rest = report.reason.split("; ")
    return [f"{report.verdict.value}: {why}", *(f"  {each}" for each in (*rest, *control_lines(report)))]


def control_lines(report: GateReport) -> list[str]:
    """What a control says of the challenger, one line; of a claim of improvement without one, that none was run."""
    control = report.control
    if control is None or not control.tests:
        why = control.note if control is not None else "training.control_arm is off"
        claimed = report.verdict is GateVerdict.PROMOTE or control is not None
        return [f"{NO_CONTROL}: {why}"] if claimed else []
    tests = ", ".join(
        f"{test.metric} {test.champion:.3f} against {test.challenger:.3f} (p {shown_p(test.p_adjusted)})"
        for test in control.tests
        if test.primary
    )
    verdict = "better than" if control.beaten else "not shown to be better than"
    size = f"; control: {control.size}" if control.size else ""
    training = f"a training that is not matched ({control.unmatched})" if control.unmatched else "the same training"
    return [
        f"control: the adapter is {verdict} {training} on {control.examples} of the student's unverified "
        f"answers (its own has {control.matched} examples): {tests}{size}"
    ]


def control_cell(report: GateReport) -> str:
    """`control_lines` in a word or two; a control that was trained less than the adapter is never called beaten."""
    control = report.control
    if control is None or not control.tests:
        return NO_CONTROL
    if control.unmatched:
        return f"not matched: {control.unmatched}; {'scores lower' if control.beaten else 'not shown to score lower'}"
    return "beaten" if control.beaten else "not shown to be beaten"


def unlike_use(evaluation: Evaluation) -> list[str]:
    """A note if answers were measured without the JSON schemas of production, which may favour either side."""
    if evaluation.settings.get("constrained") not in (
        0,
        "false",
    ):  # whole runs lack it and are as in production
        return []
    return [
        "measured without the JSON schemas that servers hold answers to, under which a base may do far better; "
        "name an endpoint that serves this base as training.endpoint"
    ]


def gate_markdown(reports: Sequence[GateReport]) -> str:
    """The reports as Markdown, for artifacts."""
    parts = []
    for report in reports:
        rule = ["---:" if name in NUMBERS else "---" for name in COLUMNS]
        rows = [list(COLUMNS), rule, *gate_rows(report)]
        grid = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
        why = "; ".join([report.reason, *control_lines(report)])
        parts.append(f"### {_title(report)}\n\n**{report.verdict.value}**: {why}\n\n{grid}\n")
    return "\n".join(parts)


def _title(report: GateReport) -> str:
    return (
        f"{report.target.value}: {report.challenger.name} against {report.champion.name} on set {report.set_id[:12]}"
        " (* primary)"
    )
