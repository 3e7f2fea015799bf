"""`cra probe`: what a model attends to, measured on repositories held out."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.bases_ablate import PLOTS, opened
from cli.options import JsonOption, parse_names
from cli.output import console, errors, print_json, table
from cli.progress import progress
from evals.positions.probes import Form
from host.settings import load_settings
from models.errors import UsageError

if TYPE_CHECKING:
    from evals.positions.curves import ProbeResult
    from evals.positions.probes import ProbeSettings
    from training.cycle.probing import ProbedModel

app = typer.Typer(help="What a model attends to, by questions with known answers.", no_args_is_help=True)
Measured = Literal["validation", "held-out"]


@app.callback()
def _group() -> None:
    """What a model attends to, by questions with known answers."""


@app.command()
def positions(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A registered base, or an endpoint in the settings.")],
    window: Annotated[
        int | None,
        typer.Option("--window", help="Tokens of a prompt with its answer; unset: the model's own.", min=256),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="MODEL", help="Also ask this one, and compare: MODEL less it.")
    ] = None,
    clones: Annotated[
        list[Path] | None, typer.Option("--clones", metavar="DIR", help="Folder with clones of the default split.")
    ] = None,
    repositories: Annotated[
        str | None, typer.Option("--repositories", metavar="NAME,...", help="Unset: those of --measure-on.")
    ] = None,
    measure_on: Annotated[
        Measured, typer.Option("--measure-on", help="Part of the default split; held-out for final figures only.")
    ] = "validation",
    forms: Annotated[
        str | None, typer.Option("--forms", metavar="FORM,...", help=f"Only these of {', '.join(Form)}.")
    ] = None,
    depths: Annotated[int, typer.Option(help="Places from the first to the last.", min=2)] = 5,
    samples: Annotated[int, typer.Option(help="Of each form, depth and repository.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Of what is asked about.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the curves to this .svg or .png.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well a model finds things by their depth in its context: curve, average, and gap.

    Three forms (VaL probing): a sentence of a document from words in it, a function from a line in it, an entry of data
    from its id. The same context is asked with its element at every depth. Answers are kept by model, settings and
    repository, so that a stopped command goes on and a base once measured is not asked again; not those of a server,
    which may serve another model tomorrow.
    """
    from evals.positions.probes import ProbeSettings
    from training.cycle.probing import open_model

    if plot is not None and plot.suffix not in PLOTS:
        raise UsageError(f"--plot {plot}: give a file that ends in {' or '.join(PLOTS)}")
    settings = load_settings()
    models = [open_model(settings, name) for name in ([model] if against is None else [against, model])]
    asked = ProbeSettings(
        window=_window([(each.name, each.window) for each in models], window),
        depths=depths,
        samples=samples,
        forms=tuple(Form) if forms is None else parse_names(forms, Form, "--forms"),
        seed=seed,
    )
    results = [_probed(each, asked, clones or [], repositories, measure_on) for each in models]
    _tell_unknown(models)
    _tell(results, plot, as_json)


def _window(models: Sequence[tuple[str, int]], window: int | None) -> int:
    """The window to probe. Raises UsageError if a model has a smaller one."""
    name, smallest = min(models, key=lambda each: each[1])
    if window is not None and window > smallest:
        raise UsageError(f"--window {window}: {name} has a window of {smallest} tokens; give no more")
    return window or smallest


def _probed(
    model: "ProbedModel", asked: "ProbeSettings", clones: Sequence[Path], repositories: str | None, part: Measured
) -> "ProbeResult":
    from evals.study.plan import default_split
    from training.cycle.probing import probe

    settings, split = load_settings(), default_split()
    others = split.validation if part == "validation" else split.held_out
    with ExitStack() as stack:
        sources = opened(stack, clones, repositories, others, settings.cache_dir)
        bars = stack.enter_context(progress())
        told = _told(bars, model.name, len(sources))
        return probe(model, asked, sources, settings.data_dir / "probes", told)


def _told(bars: object, name: str, repositories: int) -> "Callable[[str], None]":
    from rich.progress import Progress

    assert isinstance(bars, Progress)
    bar = bars.add_task(name, total=repositories, note="")

    def told(repository: str) -> None:
        bars.update(bar, advance=1, note=repository)
        if bars.disable:
            errors.print(f"{name}: {repository}", markup=False)

    return told


def _tell_unknown(models: "Sequence[ProbedModel]") -> None:
    """Say on standard error which models may have been trained on what they are asked about."""
    for each in models:
        if each.unknown:
            errors.print(
                f"{each.name}: {', '.join(each.unknown)} is not known here; these repositories may be trained on",
                markup=False,
                soft_wrap=True,
            )


def _tell(results: "Sequence[ProbeResult]", plot: Path | None, as_json: bool) -> None:
    from cli.pages.position_plot import draw_curves
    from evals.positions.curves import compared

    if not any(result.scores for result in results):
        raise UsageError("no repository has enough to fill the window; give a smaller --window or other repositories")
    comparison = compared(*results) if len(results) == 2 else None
    if plot is not None:
        draw_curves(results, plot)
    if as_json:
        curves = [
            {"model": result.model, "all": result.curve(), **{form.value: result.curve(form) for form in Form}}
            for result in results
        ]
        print_json({"settings": results[0].settings, "curves": curves, "comparison": comparison})
        return
    for result in results:
        _print_curves(result)
    if comparison is not None:
        console.print(
            f"{comparison.second} less {comparison.first}: {comparison.difference:+.3f} (95% {comparison.low:+.3f} to "
            f"{comparison.high:+.3f}, p {comparison.p:.4f} by sign-flip over {comparison.repositories} repositories); "
            f"gap {comparison.gap:+.3f}; {comparison.probes} probes in common, {comparison.left_out} left out",
            markup=False,
            soft_wrap=True,
        )
    elif len(results) == 2:
        console.print(
            "not compared: no prompt was the same for both, as their tokenizers count differently or no repository "
            "has probes of both",
            markup=False,
            soft_wrap=True,
        )


def _print_curves(result: "ProbeResult") -> None:
    from evals.positions.probes import RETRIEVAL

    whole = result.curve()
    assert whole is not None
    depths = list(whole.by_depth)
    rows: list[tuple[object, ...]] = []
    for form in (*result.settings.forms, None):
        curve = result.curve(form)
        if curve is not None:
            cells = [f"{curve.by_depth.get(depth, 0):.2f}" for depth in depths]
            name = "all" if form is None else f"{form} ({RETRIEVAL[form]})"
            rows.append((name, curve.probes, *cells, f"{curve.average:.3f}", f"{curve.gap:.3f}"))
    columns = ["form", "probes", *depths, "average", "gap"]
    repositories = len({each.repository for each in result.scores})
    title = f"{result.model}, {result.settings.window} tokens, {repositories} repositories, by depth"
    table(title, columns, rows, right=columns[1:])
