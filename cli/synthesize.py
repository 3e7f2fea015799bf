"""`cra synthesize`: training pairs from mined commits, without any test run; or from programs, by a recipe."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.options import JsonOption, parse_names
from cli.output import console, errors, print_json, table
from cli.positions_recipe import NAME as POSITIONS
from cli.positions_recipe import make_positions, position_settings
from cli.progress import progress
from cli.recipes import cpu_seconds, make_collection, recipe_named
from cli.stopping import stop_at_once
from cli.synthesize_options import (
    BaseOption,
    ContextOption,
    FormatOption,
    JobsOption,
    LicenceOption,
    LimitOption,
    MessagesOption,
    RecipeOption,
    SamplesOption,
    SeedOption,
    SharesOption,
    SourcesArgument,
    StagesOption,
)
from harness.synthesis.run import DirectReport, RepositoryReport
from harness.synthesis.run import synthesize as synthesize_pairs
from harness.synthesis.worker import DirectCounts, DirectSettings
from host.settings import load_settings
from models.edits import EditFormat
from models.errors import UsageError
from models.protocols import Stage
from models.settings import Settings
from models.training import PairSource
from training.data.sources.recipes import RecipeSettings


def synthesize(
    places: SourcesArgument,
    stages: StagesOption = None,
    recipe: RecipeOption = None,
    samples: SamplesOption = 5,
    seed: SeedOption = 0,
    edit_format: FormatOption = None,
    limit: LimitOption = None,
    shares: SharesOption = None,
    context_tokens: ContextOption = None,
    base: BaseOption = None,
    with_messages: MessagesOption = False,
    accept_licence: LicenceOption = False,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make training pairs for all stages from the commits of repositories, without running any test.

    Every kept commit gives the prompts that the student in the settings would be sent (its windows, its tokenizer), and
    gold's answers to them. Edits that do not give the commit's files byte for byte are refused and counted. The same
    command goes on where it was stopped, and gives the same pairs whatever else was run before, so tasks that a model
    wrote are taken only --with-messages; `cra curate-data --sources synthetic-direct` makes datasets of the pairs.

    With --recipe, a collection of examples of the code stage below the data directory. lintseq: programs are taken
    apart statement by statement, and read backwards every state is an example; random-deletion: the same blindly, its
    control; search-replace-infilling: what commits added is to be written at a marked place. positions: questions about
    code, whose answer lies anywhere in a context; --limit examples of each repository, filed under the one --stages.
    """
    settings = load_settings()
    student = settings.models.endpoint(settings.models.roles.coding).edit_format
    if recipe != POSITIONS and (shares is not None or context_tokens is not None):
        raise UsageError(f"--shares and --context-tokens are for --recipe {POSITIONS}; leave them out")
    if recipe == POSITIONS:
        if base is not None or with_messages or edit_format is not None or accept_licence:
            raise UsageError(
                f"--recipe {POSITIONS} takes --seed, --limit, --shares, --context-tokens and --stages only"
            )
        placed = position_settings(seed=seed, examples=limit, shares=shares, context=context_tokens, stage=stages)
        make_positions(places, placed, as_json=as_json)
    elif recipe is not None:
        if stages is not None or base is not None or with_messages:
            raise UsageError("--stages, --base and --with-messages are for commits; leave them out with --recipe")
        how = _recipe_settings(recipe, samples, seed, edit_format, student)
        make_collection(places, how, limit=limit, accepted=accept_licence, jobs=jobs or 1, as_json=as_json)
    elif accept_licence:
        raise UsageError("--accept-licence is for rows, which need --recipe; leave it out")
    else:
        stop_at_once()
        asked = _direct_settings(settings, stages, student, base)
        _make_pairs(places, asked, limit=limit, jobs=jobs, with_messages=with_messages, as_json=as_json)


def _direct_settings(settings: Settings, stages: str | None, student: EditFormat, base: str | None) -> DirectSettings:
    return DirectSettings(
        raw_url=settings.raw_url,
        curated_url=settings.curated_url,
        cache_dir=settings.cache_dir,
        models=settings.models,
        stages=tuple(Stage) if stages is None else parse_names(stages, Stage, "--stages"),
        edit_format=student,
        base=base,
    )


def _recipe_settings(
    recipe: str, samples: int, seed: int, edit_format: EditFormat | None, student: EditFormat
) -> RecipeSettings:
    if edit_format is EditFormat.WHOLE_SYMBOL and recipe == PairSource.SEARCH_REPLACE:
        raise UsageError(f"--edit-format {edit_format}: the examples of --recipe {recipe} are search-replace")
    return RecipeSettings(recipe=recipe_named(recipe), samples=samples, seed=seed, edit_format=edit_format or student)


def _make_pairs(
    places: Sequence[Path],
    asked: DirectSettings,
    *,
    limit: int | None,
    jobs: int | None,
    with_messages: bool,
    as_json: bool,
) -> None:
    """Make the pairs of the commits of repositories, and print what became of them."""
    settings = load_settings()
    started, before = time.monotonic(), cpu_seconds()
    with _display() as show:
        cores = jobs or os.cpu_count() or 1
        messages = settings.data_dir if with_messages else None
        report = synthesize_pairs(
            places, asked, settings.mining, limit=limit, jobs=cores, messages=messages, progress=show
        )
    seconds, cpu = time.monotonic() - started, cpu_seconds() - before
    if as_json:
        print_json(_described(report, seconds, cpu))
    else:
        _print(report, seconds, cpu)
        _print_next(report, asked.stages)


@contextmanager
def _display() -> Iterator[Callable[[RepositoryReport, int], None]]:
    """A bar over the commits of all repositories mined so far; a line for each repository where this is piped."""
    with progress() as bars:
        bar = bars.add_task("commits", total=0, note="mining")
        known: set[int] = set()
        before = 0

        def show(report: RepositoryReport, commits: int) -> None:
            nonlocal before
            if id(report) not in known:  # what was done before does not count in the rate
                known.add(id(report))
                before += commits
                total = (bars.tasks[bar].total or 0) + report.commits - commits
                bars.update(bar, total=total, note=report.name)
                if bars.disable:
                    done = f", {commits} of them done before" if commits else ""
                    errors.print(f"{report.name}: {report.commits} commits{done}", markup=False, soft_wrap=True)
            else:
                bars.update(bar, advance=commits, note=report.name)

        yield show


def _described(report: DirectReport, seconds: float, cpu: float) -> dict[str, Any]:
    return {
        "campaign": report.campaign,
        "exact_tokens": report.exact,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "total": _counts(report.total),
        "repositories": [
            {
                "name": each.name,
                "kept": each.kept,
                "not_kept": each.lost,
                "taken": each.commits,
                "described": each.described,
                **_counts(each.counts),
            }
            for each in report.repositories
        ],
    }


def _counts(counts: DirectCounts) -> dict[str, Any]:
    classes: dict[str, dict[str, int]] = {}
    for (stage, name), count in sorted(counts.classes.items()):
        classes.setdefault(stage, {})[name] = count
    return {
        "commits": counts.commits,
        "done_before": counts.done_before,
        "held_by_others": counts.held,
        "pairs": dict(sorted(counts.calls.items())),
        "judgements": classes,
        "refused": [
            {"stage": stage, "reason": reason, "count": count}
            for (stage, reason), count in sorted(counts.refused.items())
        ],
    }


def _print(report: DirectReport, seconds: float, cpu: float) -> None:
    table(
        "Repositories",
        ["repository", "kept", "taken", "new", "done before", "pairs"],
        [
            (
                each.name,
                each.kept,
                each.commits,
                each.counts.commits,
                each.counts.done_before,
                each.counts.calls.total(),
            )
            for each in report.repositories
        ],
        right=["kept", "taken", "new", "done before", "pairs"],
    )
    total = report.total
    rows = []
    for stage in Stage:
        classes = {name: count for (of, name), count in total.classes.items() if of == stage.value}
        shown = ", ".join(f"{name} {count}" for name, count in sorted(classes.items(), key=lambda item: -item[1]))
        if total.calls[stage.value]:
            rows.append((stage.value, total.calls[stage.value], sum(classes.values()) or "", shown))
    table("New pairs", ["stage", "pairs", "judgements", "classes"], rows, right=["pairs", "judgements"])
    if total.refused:
        refused = [(stage, reason, count) for (stage, reason), count in sorted(total.refused.items())]
        table("Refused", ["stage", "reason", "count"], refused, right=["count"])
    if described := sum(each.described for each in report.repositories):
        console.print(f"{described} of the commits taken have a task that a model wrote", markup=False)
    if total.held:
        console.print(f"{total.held} commits are being synthesized by another process", markup=False)
    if not report.exact:
        console.print(
            "tokens are estimated: no tokenizer of the student is known; --base NAME gives one",
            markup=False,
            soft_wrap=True,
        )
    console.print(f"{seconds:.0f} s, {cpu:.0f} CPU-seconds", markup=False)


def _print_next(report: DirectReport, stages: Sequence[Stage]) -> None:
    """The command that makes a dataset of the pairs, if there are any."""
    if not report.total.calls and not report.total.done_before:
        console.print("no pairs; cra mine PATH says why commits are not kept", markup=False, soft_wrap=True)
        return
    stage = Stage.SCOPE if Stage.SCOPE in stages else stages[0]
    console.print(
        f"next: cra curate-data --stage {stage} --sources synthetic-direct --dry-run", markup=False, soft_wrap=True
    )
