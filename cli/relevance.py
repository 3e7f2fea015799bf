"""`cra relevance`: the classifier that says what files and symbols are to a task, without a language model."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JsonOption
from cli.output import console, print_json, table
from cli.progress import progress
from host.settings import load_settings
from models.errors import UsageError
from models.relevance import BIAS, ClassifierFile, LinearModel
from repos.clones import cached_clone
from repos.index import IndexCache

if TYPE_CHECKING:
    from evals.relevance.questions import LabelledQuestion

FOLDER = "relevance"
"""Folder in cache_dir with the features of questions."""
app = typer.Typer(no_args_is_help=True)
_Questions = Annotated[int, typer.Option("--questions", help="Latest commits per repository.", min=1)]
_Repositories = Annotated[list[Path], typer.Argument(metavar="REPOSITORY...", help="Git repositories.")]


@app.callback()
def _group() -> None:
    """The classifier that says what files and symbols are to a task, without a language model."""


@app.command()
def fit(
    repositories: _Repositories,
    validation: Annotated[
        list[Path] | None,
        typer.Option("--validation", metavar="REPOSITORY", help="Chooses the operating point; repeat for several."),
    ] = None,
    questions: _Questions = 100,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.", dir_okay=False)] = Path(
        "relevance.json"
    ),
    as_json: JsonOption = False,
) -> None:
    """Fit a classifier on the histories of repositories; `relevance_file` in the settings puts it in force.

    A commit's message is the question, the files and symbols that it changes and needs are the answer. What was done is
    kept, so that a run that was stopped goes on where it was. Of one repository alone, the classifier in force is moved
    towards its past commits, and written only if that helps with its later ones.
    """
    from agent.retrieve.relevance.classifier import write_classifier
    from evals.relevance import fitting
    from evals.relevance.questions import questions as labelled

    held = validation or []
    _check_distinct([*repositories, *held])
    if len(repositories) == 1:
        if held:
            raise UsageError("one repository is validated on its own later commits; leave out --validation")
        _refit(next(iter(_gather(repositories, questions, labelled).values())), out, as_json)
        return
    training = _gather(repositories, questions, labelled)
    file = fitting.fit(training, _gather(held, questions, labelled), lambda what: None)
    write_classifier(file, out)
    if as_json:
        print_json({"file": out, **_described(file)})
        return
    _print_facts(file, out)
    console.print(f"In force with: CRA_RELEVANCE_FILE={out.resolve()}", markup=False, soft_wrap=True)


def _refit(found: "Sequence[LabelledQuestion]", out: Path, as_json: bool) -> None:
    """Move the classifier in force towards a repository's questions, the latest first; write it if that helps."""
    from agent.retrieve.relevance.classifier import in_force, write_classifier
    from evals.relevance.refit import refit

    made = refit(in_force().file, found[::-1])
    if made.chosen:
        write_classifier(made.file, out)
    if as_json:
        facts = {"chosen": made.chosen, "before": made.before, "after": made.after, "p": made.p, "judged": made.judged}
        print_json({"file": out if made.chosen else None, **facts, **_described(made.file)})
        return
    console.print(
        f"average precision of {made.judged} later commits, judged by weights from earlier ones: {made.before:.3f} by "
        f"the classifier in force, {made.after:.3f} refitted (p {made.p:.3f})",
        markup=False,
        soft_wrap=True,
    )
    if made.chosen:
        _print_facts(made.file, out)
        console.print(f"In force with: CRA_RELEVANCE_FILE={out.resolve()}", markup=False, soft_wrap=True)
    else:
        console.print("Not significantly better: nothing was written, the classifier in force stays.")


@app.command()
def show(
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A classifier; the one in force if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a classifier: weights, training repositories, calibration."""
    from agent.retrieve.relevance.classifier import SHIPPED, read_classifier

    place = path or load_settings().relevance_file or SHIPPED
    file = read_classifier(place).file
    if as_json:
        print_json({"path": place, **_described(file), "weights": file.model_dump(mode="json")})
        return
    _print_facts(file, place)
    for name, model in (("production files", file.production), ("other files", file.other), ("symbols", file.symbols)):
        rows = [(feature, *(f"{weight:+.3f}" for weight in weights)) for feature, weights in _by_spread(model)]
        table(
            f"Weights of {name} (temperature {model.temperature:g})",
            ["feature", *model.classes],
            rows,
            right=model.classes,
        )


@app.command()
def evaluate(
    repositories: _Repositories,
    questions: _Questions = 100,
    contexts: Annotated[bool, typer.Option("--contexts", help="Assemble each question's context as well.")] = False,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw a reliability plot.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the classifier in force on repositories, each of which counts the same."""
    from agent.retrieve.relevance.classifier import in_force
    from cli.pages.relevance_figures import Figures
    from evals.relevance.contexts import contexts as assembled
    from evals.relevance.evaluation import repository_figures
    from evals.relevance.questions import questions as labelled

    if png is not None:
        from cli.pages.svg import check_drawing

        check_drawing()
    _check_distinct(repositories)
    classifier = in_force()
    found = {name: group for name, group in _gather(repositories, questions, labelled).items() if group}
    if not found:
        raise UsageError("no commit of these repositories is a question; name repositories with more history")
    packages = _gather(repositories, questions, assembled) if contexts else {}
    figures = Figures(
        [repository_figures(classifier.file, group) for group in found.values()],
        [question for group in found.values() for question in group],
        [context for group in packages.values() for context in group],
    )
    if as_json:
        print_json(figures.described(classifier.file, classifier.content))
    else:
        figures.print(classifier.file)
    if png is not None:
        figures.draw(classifier.file, png)
        console.print(f"drawn: {png}", markup=False, soft_wrap=True)


def _gather(repositories: Sequence[Path], most: int, make: "Callable[..., Iterator[Any]]") -> "dict[str, list[Any]]":
    """What `make` gives for each repository, by name, with a bar for all of them."""
    cache = load_settings().cache_dir
    found = {}
    with progress() as display:
        for source in repositories:
            name = _name(source)
            bar = display.add_task(name, total=None, note="")
            with cached_clone(source, cache) as git:
                told = _teller(display, bar)
                found[name] = list(make(name, git, most, cache / FOLDER / name, IndexCache(cache / "index"), told))
    return found


def _teller(display: Any, bar: Any) -> Callable[[int, int], None]:
    return lambda done, total: display.update(bar, completed=done, total=total)


def _name(source: Path) -> str:
    return source.resolve().name.removesuffix(".git")


def _check_distinct(sources: Sequence[Path]) -> None:
    names = [_name(source) for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"repository {name} is named twice; one to fit on cannot measure, nor count double")


def _described(file: ClassifierFile) -> dict[str, Any]:
    facts = file.model_dump(
        mode="json", include={"format", "trained_on", "calibrated_on", "questions", "rows", "point"}
    )
    calibration = file.calibration.model_dump(mode="json") if file.calibration else None
    return {"content": file.content, **facts, "calibration": calibration}


def _print_facts(file: ClassifierFile, path: Path) -> None:
    rows = [
        ("file", path),
        ("content", file.content),
        ("trained on", f"{file.questions} questions, {file.rows} rows of {', '.join(file.trained_on)}"),
        ("operating point chosen on", ", ".join(file.calibrated_on) or "cross-fitted training repositories"),
        (
            "relevant from",
            f"{file.point.relevant:g} where one candidate in ten is relevant, else in proportion to the root",
        ),
        ("primary from", f"{file.point.primary:g}"),
    ]
    if file.calibration:
        errors = file.calibration
        rows.append(
            (
                "calibration error, cross-fitted",
                f"{errors.relevant:g} of P(relevant), {errors.files:g} of a file's likeliest class, {errors.symbols:g} "
                "of a symbol's",
            )
        )
    table("Relevance classifier", ["what", "value"], rows)


def _by_spread(model: LinearModel) -> list[tuple[str, tuple[float, ...]]]:
    """Features by how much their weights differ between classes, the bias last."""
    spread = {name: max(weights) - min(weights) for name, weights in model.weights.items()}
    return sorted(model.weights.items(), key=lambda pair: (pair[0] == BIAS, -spread[pair[0]], pair[0]))
