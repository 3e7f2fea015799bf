"""Presentation of a gate's report on a base: table rows, lines, Markdown, in the same words everywhere."""

from evals.base_gate import forgotten
from evals.gate_report import gate_markdown
from evals.gates import shown_p
from models.base_evaluation import BaseReport, WindowControl

LOSS_COLUMNS = ("held-out loss", "old", "new", "difference", "95% interval", "p", "over")
FORGETTING_COLUMNS = ("fixed prompts", "tokens", "old", "new", "rise", "agreement", "within bounds")
PLANNING_COLUMNS = ("plans", "figure", "old", "new", "difference", "95% interval", "p", "over")
NUMBERS = ("old", "new", "difference", "p", "tokens", "rise", "agreement")


def loss_rows(report: BaseReport) -> list[list[str]]:
    """A row per objective, in the order of `LOSS_COLUMNS`; nats per token."""
    return [
        [
            test.objective.value,
            f"{test.champion:.3f}",
            f"{test.challenger:.3f}",
            f"{test.difference:+.3f}",
            f"{test.low:+.3f} to {test.high:+.3f}",
            "" if test.p_repository is None else shown_p(test.p_adjusted).removeprefix("= "),
            f"{test.repositories} repositories, {test.rows} rows",
        ]
        for test in report.objectives
    ]


def forgetting_rows(report: BaseReport) -> list[list[str]]:
    """A row per kind of fixed prompts, in the order of `FORGETTING_COLUMNS`."""
    return [
        [
            each.kind,
            str(each.tokens),
            f"{each.before:.3f}",
            f"{each.after:.3f}",
            f"{each.rise:+.3f}",
            "" if each.agreement is None else f"{each.agreement:.2f}",
            "no" if forgotten(each, report.bounds) else "yes",
        ]
        for each in report.forgetting
    ]


def planning_rows(report: BaseReport) -> list[list[str]]:
    """A row per figure of plans, in the order of `PLANNING_COLUMNS`; none if no campaigns were compared."""
    return [
        [
            test.type.value,
            test.figure.replace("_", " "),
            f"{test.champion:.3f}",
            f"{test.challenger:.3f}",
            f"{test.difference:+.3f}",
            f"{test.low:+.3f} to {test.high:+.3f}",
            "" if test.p_repository is None else shown_p(test.p_adjusted).removeprefix("= "),
            f"{test.repositories} repositories, {test.instances} instances",
        ]
        for test in (report.planning.tests if report.planning else ())
    ]


def base_lines(report: BaseReport) -> list[str]:
    """The verdict with its reason, then the notes, one line each."""
    bounds = report.bounds
    return [
        f"{report.verdict.value}: {report.reason}",
        f"  bounds of forgetting: the loss rises by at most {bounds.rise:.2f} nats per token, "
        f"at least {bounds.agreement:.0%} of the old base's tokens stay",
        *([f"  {_window_line(report.window)}"] if report.window else []),
        *(f"  {note}" for note in report.notes),
    ]


def _window_line(window: WindowControl) -> str:
    sizes = f"window of {window.window} instead of {window.whole} tokens"
    if window.control is None:
        return f"{sizes}: not justified: {window.reason}"
    found = "justified" if window.justified else "not justified"
    said = "" if window.verdict is None else f", the gate says {window.verdict.value}: {window.reason}"
    return f"{sizes}: {found} against its control {window.control}{said}"


def base_markdown(report: BaseReport) -> str:
    """The report as Markdown, for artifacts."""
    parts = [f"### {report.role}: {report.challenger.name} against {report.champion.name}\n"]
    parts += [f"{line}\n" for line in base_lines(report)]
    tables = (
        (LOSS_COLUMNS, loss_rows(report)),
        (FORGETTING_COLUMNS, forgetting_rows(report)),
        (PLANNING_COLUMNS, planning_rows(report)),
    )
    for columns, rows in tables:
        if rows:
            rule = ["---:" if name in NUMBERS else "---" for name in columns]
            parts.append("\n".join("| " + " | ".join(row) + " |" for row in (list(columns), rule, *rows)) + "\n")
    parts.append(gate_markdown(report.stages))
    if report.served:
        parts += ["#### As it serves, with the adapters that a promotion ends\n", gate_markdown(report.served)]
    return "\n".join(parts)
