"""The arguments and options of `cra synthesize`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.positions_recipe import NAME as POSITIONS
from cli.recipes import RECIPES
from models.edits import EditFormat
from models.protocols import Stage

SourcesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE...",
        help="Git repositories, or packages of `cra prepare`; with --recipe also Python files, folders of "
        "them, and rows (JSON lines, Parquet) with an instruction and its code.",
    ),
]
StagesOption = Annotated[
    str | None, typer.Option("--stages", metavar="STAGE,...", help=f"Only these of {', '.join(Stage)}.")
]
RecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME", help=f"By a recipe instead: {', '.join((*RECIPES, POSITIONS))}."),
]
SamplesOption = Annotated[
    int, typer.Option(help="With --recipe: ways to take each program apart, or places of a commit.", min=1)
]
SeedOption = Annotated[int, typer.Option(help="With --recipe: another seed takes programs apart in other ways.")]
FormatOption = Annotated[
    EditFormat | None, typer.Option("--edit-format", help="With --recipe: of the edits; unset: the student's.")
]
LimitOption = Annotated[
    int | None, typer.Option(help="Commits of each repository at most, the newest; programs with --recipe.", min=1)
]
SharesOption = Annotated[
    str | None,
    typer.Option("--shares", metavar="KIND=N,...", help="With positions: of single, several and short questions."),
]
ContextOption = Annotated[
    str | None,
    typer.Option("--context-tokens", metavar="MIN-MAX", help="With positions: between which contexts are drawn."),
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="NAME", help="Cut prompts by this base's tokenizer, not by the student's."),
]
MessagesOption = Annotated[
    bool,
    typer.Option("--with-messages", help="Also commits set aside, with the tasks of `cra messages regenerate`."),
]
LicenceOption = Annotated[
    bool, typer.Option("--accept-licence", help="With --recipe: rows without a licence too; it is recorded.")
]
JobsOption = Annotated[
    int | None, typer.Option(help="Processes; unset: one for each core, or one with --recipe.", min=1)
]
