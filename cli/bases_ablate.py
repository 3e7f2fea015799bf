"""`cra bases ablate`: smaller windows against a control that was trained on the same tokens without a change."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.options import JsonOption
from cli.output import console, errors, print_json, table
from cli.progress import progress
from host.settings import load_settings
from models.errors import UsageError
from repos.clones import cached_clone

if TYPE_CHECKING:
    from training.windows.ablation import AblationResult, AblationSettings
    from training.windows.texts import CodeSource
    from training.windows.verdicts import WindowVerdict

Measured = Literal["validation", "held-out"]
PLOTS = (".svg", ".png")


def ablate(
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="The base whose window would be reduced.")],
    windows: Annotated[str, typer.Option("--windows", metavar="N,...", help="Windows in tokens.")],
    clones: Annotated[
        list[Path] | None, typer.Option("--clones", metavar="DIR", help="Folder with clones of the default split.")
    ] = None,
    repositories: Annotated[
        str | None, typer.Option("--repositories", metavar="NAME,...", help="To train on; unset: the default split's.")
    ] = None,
    measure: Annotated[
        str | None, typer.Option("--measure", metavar="NAME,...", help="To measure by; unset: --measure-on's.")
    ] = None,
    measure_on: Annotated[
        Measured, typer.Option("--measure-on", help="Part of the default split; held-out for final figures only.")
    ] = "validation",
    tokens: Annotated[int, typer.Option(help="Tokens that each arm is trained on.", min=1)] = 1_000_000,
    seeds: Annotated[str, typer.Option("--seeds", metavar="N,...", help="Of the order of the data.")] = "0",
    sequences: Annotated[int, typer.Option(help="Sequences of each repository that is measured by.", min=1)] = 4,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Unset: training.full_learning_rate.")
    ] = None,
    step_tokens: Annotated[int, typer.Option("--step-tokens", help="Tokens of an optimizer step.", min=1)] = 16_384,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where it is kept; unset: in the data directory.")
    ] = None,
    plot: Annotated[str, typer.Option(help="Name of the plot in that folder, .svg or .png.")] = "loss.svg",
    as_json: JsonOption = False,
) -> None:
    """Train a base with each window, and a control on the same tokens with no change; show loss by position and cost.

    The data is Python of repositories. All weights are trained in this process, in float32; nothing is registered. A
    stopped command goes on with the arm that it was at. The verdict says whether a window is justified by its loss
    inside it; stage losses are measured too where frozen sets exist.
    """
    from training.bases.bf16 import check_bf16
    from training.windows.ablation import AblationSettings
    from training.windows.learning import LearningSettings

    settings = load_settings().training
    if settings.cpu_bf16:
        check_bf16()
    wanted = AblationSettings(
        windows=numbers("--windows", windows),
        tokens=tokens,
        seeds=numbers("--seeds", seeds),
        sequences=sequences,
        learning=LearningSettings(
            learning_rate=learning_rate or settings.full_learning_rate,
            warmup=settings.warmup,
            step_tokens=step_tokens,
            bf16=settings.cpu_bf16,
        ),
    )
    if tokens < max(wanted.windows):
        raise UsageError(f"--tokens {tokens}: fewer than a window of {max(wanted.windows)}; give more")
    if Path(plot).suffix not in PLOTS or Path(plot).name != plot:
        raise UsageError(f"--plot {plot}: give the name of a file that ends in {' or '.join(PLOTS)}")
    result, folder = _run(base, wanted, clones or [], repositories, measure, measure_on, out)
    _tell(result, folder, plot, as_json)


def numbers(option: str, given: str) -> tuple[int, ...]:
    """Distinct whole numbers, sorted. Raises UsageError."""
    try:
        found = tuple(sorted({int(each) for each in given.split(",") if each.strip()}))
    except ValueError as error:
        raise UsageError(f"{option} {given!r}: give whole numbers with commas between them") from error
    if not found or found[0] < 0:
        raise UsageError(f"{option} {given!r}: give at least one, none of them negative")
    return found


def _run(
    name: str,
    wanted: "AblationSettings",
    clones: Sequence[Path],
    repositories: str | None,
    measure: str | None,
    part: Measured,
    out: Path | None,
) -> "tuple[AblationResult, Path]":
    """The result, and the folder that holds it. Raises UsageError, RegistryError, TrainingError."""
    from evals.study.plan import default_split
    from models.targets import TrainingTarget
    from store.database import open_database
    from store.learning.evaluation_sets import newest_set
    from store.runs import open_raw_store
    from training.bases.bases import find_base
    from training.bases.files import read_json
    from training.bases.windows import reduced_config
    from training.windows.ablation import Ablation
    from training.windows.apart import check_apart
    from training.windows.stages import fitting_sets

    settings = load_settings()
    curated = open_database(settings.curated_url, "curated")
    base = find_base(curated, name)
    for window in wanted.windows:  # refused before anything is trained
        reduced_config(read_json(base.path / "config.json"), window, base.name)
    split = default_split()
    others = split.validation if part == "validation" else split.held_out
    sets = fitting_sets([each for target in TrainingTarget if (each := newest_set(curated, target)) is not None])
    with ExitStack() as stack:
        learnt = opened(stack, clones, repositories, split.training, settings.cache_dir)
        measured = opened(stack, clones, measure, others, settings.cache_dir)
        check_apart(learnt, measured, curated, open_raw_store(settings.raw_url).engine)
        bars = stack.enter_context(progress())
        shown: dict[str, object] = {}

        def told(what: str, done: int, of: int) -> None:
            if bars.disable:
                errors.print(f"{what}: {done} of {of}", markup=False)
            else:
                bar = shown.setdefault(what, bars.add_task(what, total=of, note="") if what not in shown else None)
                bars.update(bar, completed=done, total=of)  # type: ignore[arg-type]

        ablation = Ablation(base, wanted, learnt, measured, sets, out or settings.data_dir / "ablations", told)
        return ablation.run(), ablation.folder


def opened(
    stack: ExitStack, clones: Sequence[Path], given: str | None, default: Sequence[str], cache: Path
) -> "list[CodeSource]":
    """The named repositories, or the default split's, at their newest commit. Raises UsageError, RepositoryError."""
    from evals.study.plan import find_clones
    from training.windows.texts import CodeSource

    names = list(default) if given is None else [name.strip() for name in given.split(",") if name.strip()]
    found = []
    for name, path in find_clones(names, clones):
        git = stack.enter_context(cached_clone(path, cache))
        found.append(CodeSource(name, git, git.resolve("HEAD")))
    return found


def _tell(result: "AblationResult", folder: Path, plot: str, as_json: bool) -> None:
    from cli.pages.window_plot import draw_losses
    from training.windows.verdicts import verdicts_of

    draw_losses(result, folder / plot)
    verdicts = verdicts_of(result)
    if as_json:
        print_json({"result": result, "verdicts": verdicts, "plot": folder / plot})
        return
    columns = [
        "window",
        "arm",
        "loss inside",
        "beyond",
        "KV bytes/token",
        "MB at window",
        "prefill/s",
        "decode/s",
        "trained at",
    ]
    table(f"{result.base}, {len(result.measured)} repositories", columns, _rows(result, verdicts), right=columns[2:])
    for each in verdicts:
        by_holm = f", {each.adjusted:.4f} by Holm over {len(verdicts)} windows" if len(verdicts) > 1 else ""
        console.print(
            f"{each.window}: reduced less control {each.difference:+.3f} nats a token inside the window (95% "
            f"{each.low:+.3f} to {each.high:+.3f}, p {each.p:.4f}{by_holm}, {each.repositories} repositories); "
            f"{each.reason}",
            markup=False,
            soft_wrap=True,
        )
        for target, longer in each.left_out.items():
            shown = f"{each.by_stage[target]:+.3f}" if target in each.by_stage else "not measured"
            console.print(f"  answers of {target}: {shown} ({longer} items that do not fit left out)", markup=False)
    if not result.sets:
        console.print(
            "no frozen set: stage losses were not measured; make one with cra eval-sets build", soft_wrap=True
        )
    errors.print(f"{folder / plot} shows the loss by position", markup=False, soft_wrap=True)


def _rows(result: "AblationResult", verdicts: "Sequence[WindowVerdict]") -> list[tuple[object, ...]]:
    from statistics import fmean

    from training.windows.ablation import BASE
    from training.windows.verdicts import ARMS

    rows: list[tuple[object, ...]] = []
    for verdict in verdicts:
        for name in (BASE, *ARMS):
            arms = [
                each for each in result.arms if each.name == name and each.window in (verdict.window, result.length)
            ]
            window = result.original if name == BASE else verdict.window
            part = verdict.parts[name]
            speeds = [each.train_speed for each in arms if each.train_speed]
            rows.append(
                (
                    verdict.window,
                    name,
                    f"{part.inside:.3f}",
                    "" if part.beyond is None else f"{part.beyond:.3f}",
                    arms[0].measured_bytes_per_token,
                    f"{arms[0].bytes_per_token * window / 1e6:.1f}",
                    f"{fmean(each.prefill for each in arms):.0f}",
                    f"{fmean(each.decode for each in arms):.1f}",
                    f"{fmean(speeds):.0f}/s" if speeds else "",
                )
            )
    return rows
