"""A gate's report as a table."""

from cli.output import console, table
from evals.gate_report import NUMBERS, SHORT, short_rows, verdict_lines
from models.evaluation import GateReport


def show_gate(report: GateReport, title: str) -> None:
    """A gate's table, and its verdict with the reason."""
    table(title, SHORT, short_rows(report), right=NUMBERS)
    console.print("\n".join(verdict_lines(report)), markup=False, soft_wrap=True)
