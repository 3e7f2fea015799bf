"""Options and arguments that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from models.errors import UsageError
from models.targets import TrainingTarget, require_stages

E = TypeVar("E", bound=StrEnum)

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


def with_stages(given: TrainingTarget) -> TrainingTarget:
    """A target as given. Raises UsageError for one without stages, whose commands are those of `cra critic`."""
    require_stages(given)
    return given


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

# Of `cra self-improve` and `cra operate`.
OnlyBaseOption = Annotated[str | None, typer.Option("--base", metavar="NAME", help="Needed if there are several.")]
TemperaturesOption = Annotated[str, typer.Option(help="Of the student, as in 0.3,0.6,0.9.")]
SamplesOption = Annotated[int, typer.Option(help="Samples per instance and temperature.", min=1)]
InstancesOption = Annotated[int | None, typer.Option(help="Instances per package, newest first.", min=1)]
OrganisationsOption = Annotated[
    int | None, typer.Option(help="Go past the rule on organisations; the cards say so.", min=1)
]
AbandonOption = Annotated[bool, typer.Option("--abandon", help="Close a round that was not finished, first.")]


def parse_temperatures(text: str) -> tuple[float, ...]:
    """The sampling temperatures of a list with commas. Raises UsageError."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--temperatures {text}: give numbers with commas between them, as in 0.3,0.6,0.9") from error


def parse_names(text: str, kind: type[E], option: str) -> tuple[E, ...]:
    """The members of an enumeration in a list with commas, each once. Raises UsageError for one that is not there."""
    known = {member.value: member for member in kind}
    names = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"{option} {unknown[0]} is unknown; there are: {', '.join(known)}")
    if not names:
        raise UsageError(f"{option} names nothing; there are: {', '.join(known)}")
    return tuple(dict.fromkeys(known[name] for name in names))
