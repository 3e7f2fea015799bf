"""`cra study`: experiments on real repositories, from their histories to a page with tables and plots."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cli.options import JsonOption
from cli.output import console, errors, print_json, table
from cli.progress import step_bars
from evals.study.kinds import KINDS, PRECISION, SCOPE, StudyKind
from evals.study.plan import (
    StudyRepositories,
    StudyRepository,
    StudySettings,
    check_unseen,
    default_split,
    find_clones,
)
from host.settings import load_settings
from models.errors import UsageError
from repos.clones import cached_clone

if TYPE_CHECKING:
    from evals.study.asked import ClassModel, ModelLearner
    from evals.study.report import StudyReport
    from models.settings import Settings

app = typer.Typer(
    help="Experiments on real repositories, resumable, each with a page of tables and plots.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Experiments on real repositories, resumable, each with a page of tables and plots."""


class _Asked(NamedTuple):
    """The models that are asked: a base, an adapter of it, adapters to train; `shown` candidates are in a prompt."""

    base: str | None
    adapter: str | None
    train: bool
    shown: int


def _study(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where all that it makes is kept.", file_okay=False)
    ],
    clones: Annotated[
        list[Path] | None,
        typer.Option("--clones", metavar="DIR", help="A folder with repositories by name; repeat it."),
    ] = None,
    repositories: Annotated[
        str | None, typer.Option("--repositories", metavar="A,B,...", help="What is trained on: names or paths.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option("--validation", metavar="A,B,...", help="What thresholds are chosen on.")
    ] = None,
    held_out: Annotated[
        str | None, typer.Option("--held-out", metavar="A,B,...", help="What figures are measured on.")
    ] = None,
    rows: Annotated[str, typer.Option(help="Sizes of the learning curve, in judgements.")] = "500,2000,8000",
    seeds: Annotated[str, typer.Option(help="Seeds that draw the subsets.")] = "0,1,2",
    commits: Annotated[int, typer.Option(help="Newest kept commits of each repository.", min=1)] = 100,
    sample: Annotated[
        int, typer.Option(help="Questions of each held-out repository that a model is asked.", min=1)
    ] = 10,
    curve_sample: Annotated[int, typer.Option(help="The same for the points of a model's learning curve.", min=1)] = 4,
    validation_sample: Annotated[
        int, typer.Option(help="The same of each validation repository, to choose offsets of classes.", min=1)
    ] = 15,
    least_recall: Annotated[
        float, typer.Option(help="Recall of relevant files that the offsets are chosen for.", min=0.05, max=0.99)
    ] = 0.85,
    negatives: Annotated[
        float | None,
        typer.Option(
            help="Share of irrelevant candidates in a point of the curve; unset: 1 for files, 0.125 for symbols.",
            min=0.001,
            max=1,
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="NAME", help="Also ask this base, one candidate at a time.")
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Also train adapters of the base, one for each size and seed.")
    ] = False,
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="NAME", help="Also ask this adapter, as trained on the base.")
    ] = None,
    shown: Annotated[
        int,
        typer.Option(help="Candidates that a prompt to a model shows, the one asked about among them; 0: all.", min=0),
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run the study that the command names."""
    kind = KINDS[str(context.info_name)]
    wanted = StudySettings(
        rows=_numbers("rows", rows),
        seeds=_numbers("seeds", seeds),
        commits=commits,
        sample=sample,
        curve_sample=min(sample, curve_sample),
        validation_sample=validation_sample,
        least_recall=least_recall,
        negatives=kind.negatives if negatives is None else negatives,
    )
    places = _places(clones or [], repositories, validation, held_out)
    _tell(out, _measured(kind, out, places, wanted, _Asked(base, adapter, train, shown)), as_json)


_HELP = (
    "Measure which {} a ranking, a classifier and a model know to matter, on repositories held out.\n\n"
    "Questions are made from histories; nothing of the repositories is executed. The default split by repository comes "
    "with the program: give its clones with --clones. A stopped run goes on with the same command. Writes study.json "
    "and study.html to DIR."
)
for _name, _measures in {SCOPE.name: "files", PRECISION.name: "symbols of changed files"}.items():
    app.command(_name, help=_HELP.format(_measures))(_study)


def _places(
    clones: Sequence[Path], repositories: str | None, validation: str | None, held_out: str | None
) -> list[list[tuple[str, Path]]]:
    """The names and paths of the repositories of each part, the default split's where none are named. Raises
    UsageError for one that is not found."""
    split = default_split()
    asked = [
        _names(repositories, split.training),
        _names(validation, split.validation),
        _names(held_out, split.held_out),
    ]
    return [find_clones(names, clones) for names in asked]


def _measured(
    kind: StudyKind,
    out: Path,
    places: Sequence[Sequence[tuple[str, Path]]],
    wanted: StudySettings,
    asked: _Asked,
) -> "StudyReport":
    """Run the study, or what is left of it. Raises UsageError, and what `Study.run` raises."""
    from cli.pages.svg import check_drawing
    from evals.study.run import Study

    check_drawing()
    settings = load_settings()
    if asked.train and asked.base is None:
        raise UsageError("--train needs a base to train on; name it with --base")
    with ExitStack() as stack:
        opened = [tuple(_open(stack, name, path, settings.cache_dir) for name, path in part) for part in places]
        return Study(
            out=out,
            cache=settings.cache_dir / "index",
            repositories=StudyRepositories(*opened),
            settings=wanted,
            models=_models(settings, asked, kind, [name for name, _ in places[2]]),
            learner=_learner(settings, asked.base, kind, asked.shown) if asked.train and asked.base else None,
            progress=stack.enter_context(step_bars()),
            kind=kind,
        ).run()


def _tell(out: Path, report: "StudyReport", as_json: bool) -> None:
    """Write the page, and print the tables or their JSON."""
    from cli.pages.render import write_page
    from cli.pages.study import study_page

    write_page(out / "study.html", study_page(report))
    if as_json:
        print_json(report)
        return
    print_study(report)
    errors.print(f"{out / 'study.html'} holds the page, {out / 'study.json'} the figures", markup=False, soft_wrap=True)


def print_study(report: "StudyReport") -> None:
    """Contenders and tests as tables, then the notes."""
    from cli.pages.study import COMPARED, comparison_rows, contender_rows, figures

    kind = KINDS[report.configuration.kind]
    columns = list(figures(kind))
    rows = contender_rows(report.contenders)
    table("Contenders, means over held-out repositories", columns, rows, right=columns[2:])
    if report.sample:
        rows = contender_rows(report.sample)
        table("The same on the sample that models were asked", columns, rows, right=columns[2:])
    rows = comparison_rows(report.comparisons, kind)
    table("Differences over repositories", list(COMPARED), rows, right=COMPARED[3:])
    for note in report.notes:
        console.print(f"[yellow]{note}[/]", soft_wrap=True)


def _models(settings: "Settings", asked: _Asked, kind: StudyKind, held_out: Sequence[str]) -> "tuple[ClassModel, ...]":
    """The base and the adapter, to be asked. Raises UsageError, RegistryError for one that cannot be asked, and for an
    adapter that learned from what is held out."""
    if asked.base is None and asked.adapter is None:
        return ()
    from store.learning.datasets import dataset_repositories
    from training.bases.bases import find_base
    from training.cycle.context import open_context
    from training.pointwise.model import PointwiseModel

    context = open_context(settings)
    version = context.registry.verify(asked.adapter) if asked.adapter else None
    found = find_base(context.curated, asked.base or (version.base if version else ""))
    if version is not None and version.base != found.id:
        raise UsageError(f"{version.name} is of base {version.base_name}, not of {found.name}")
    if version is not None:
        learned_from = dataset_repositories(context.raw_engine, [version.dataset_id]).get(version.dataset_id)
        if learned_from is None:
            raise UsageError(f"it is not known what {version.name} learned from: its dataset is not in the database")
        check_unseen(held_out, learned_from, version.name)
    alone = PointwiseModel(settings, found, target=kind.target, shown=asked.shown)
    if version is None:
        return (alone,)
    adapter = PointwiseModel(settings, found, version.name, version.path, version.id, kind.target, asked.shown)
    return alone, adapter


def _learner(settings: "Settings", base: str, kind: StudyKind, shown: int) -> "ModelLearner":
    """What trains adapters of the base. Raises UsageError for an unknown base."""
    from training.bases.bases import find_base
    from training.cycle.context import open_context
    from training.pointwise.learner import PointwiseLearner

    return PointwiseLearner(settings, find_base(open_context(settings).curated, base), kind.target, shown)


def _names(given: str | None, default: Sequence[str]) -> list[str]:
    return list(default) if given is None else [name.strip() for name in given.split(",") if name.strip()]


def _numbers(option: str, given: str) -> tuple[int, ...]:
    """Distinct whole numbers, sorted. Raises UsageError."""
    try:
        found = sorted({int(each) for each in given.split(",") if each.strip()})
    except ValueError as error:
        raise UsageError(f"--{option} {given!r}: give whole numbers with commas between them") from error
    if not found or found[0] < (1 if option == "rows" else 0):
        raise UsageError(f"--{option} {given!r}: give at least one, none of them negative")
    return tuple(found)


def _open(stack: ExitStack, name: str, path: Path, cache: Path) -> StudyRepository:
    git = stack.enter_context(cached_clone(path, cache))
    return StudyRepository(name, git, git.resolve("HEAD"))
