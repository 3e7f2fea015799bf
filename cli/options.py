"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from models.errors import UsageError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SandboxOption = Annotated[
    str | None, typer.Option("--sandbox", help="auto, bubblewrap, or none (only for code you trust).")
]
TeacherCostOption = Annotated[
    float | None, typer.Option(help="Stop before the teacher has cost more, in the price table's currency.", min=0)
]
CountingBaseOption = Annotated[
    str | None, typer.Option("--base", metavar="NAME", help="Count tokens as this base does, not by an estimate.")
]

# Of `cra plan` and `cra solve`.
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="What is to be done, in your words.")]
RepoOption = Annotated[Path, typer.Option("--repo", help="A git repository; its files are not touched.")]
RevisionOption = Annotated[str, typer.Option("--at", metavar="REV", help="The revision to start from.")]
PlannerOption = Annotated[str, typer.Option("--planner", help="student, teacher, no-plan, or gold with --commit.")]
GoldOption = Annotated[
    str | None, typer.Option("--commit", metavar="REV", help="With --planner gold: the commit whose change is made.")
]

# Of `cra train` and `cra self-improve`.
ItemLevelOption = Annotated[
    bool, typer.Option("--item-level", help="Let items alone promote where repositories are too few; the log says so.")
]
OverrideOption = Annotated[
    str | None, typer.Option("--override", metavar="REASON", help="Train before the target's turn; it is recorded.")
]
EndToEndOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--end-to-end", metavar="PACKAGE", help="Run all stages on it after a promotion, and undo one that hurts."
    ),
]
EndToEndLimitOption = Annotated[
    int | None, typer.Option("--end-to-end-limit", help="Instances of each such package.", min=1)
]


def parse_temperatures(text: str) -> tuple[float, ...]:
    """The sampling temperatures of a list with commas. Raises UsageError."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--temperatures {text}: give numbers with commas between them, as in 0.3,0.6,0.9") from error
