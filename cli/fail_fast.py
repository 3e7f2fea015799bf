"""`cra fail-fast`: how Python code handles errors."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.collection_output import print_made
from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, printable, table
from cli.progress import progress
from cli.stopping import stopped_by_interrupt
from harness.mining.fail_fast import ScoredTree, score_place
from host.settings import load_settings
from repos.index.error_handling import Measure
from repos.index.fail_fast import MIXED, STRONG, WEIGHTS, measured

if TYPE_CHECKING:
    from training.data.sources.collections import CollectionCard

app = typer.Typer(no_args_is_help=True)
corpus = typer.Typer(no_args_is_help=True)
app.add_typer(corpus, name="corpus")


@app.callback()
def _group() -> None:
    """How Python code handles errors: a score with the lines that lower it."""


@app.command()
def score(
    places: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Git repositories (their HEAD), folders, or Python files.")
    ],
    lines: Annotated[int, typer.Option("--lines", help="Lines and files to list, the costliest first.", min=0)] = 20,
    as_json: JsonOption = False,
) -> None:
    """Score the error handling of Python code from 0 to 100, and show the lines that lower the score.

    Eight measures of the production code count; tests, generated code and other languages are left out. Code with
    little to count scores near 50. 75 and more is a strong example of failing fast, 50 to 75 a mixed one.
    """
    cache = load_settings().cache_dir
    found = []
    with progress() as bars:
        bar = bars.add_task("scoring", total=len(places), note="")
        for place in places:
            bars.update(bar, note=str(place))
            found.append(score_place(place, cache))
            bars.advance(bar)
    if as_json:
        print_json([_described(each) for each in found])
        return
    for each in found:
        _print(each, lines)
    if len(found) > 1:
        _print_all(found)


@corpus.callback()
def _corpus_group() -> None:
    """Training examples of commits that improve error handling."""


@corpus.command()
def build(
    places: Annotated[list[Path], typer.Argument(metavar="REPOSITORY...", help="Git repositories.")],
    as_json: JsonOption = False,
) -> None:
    """Make a collection of examples from commits that improve how Python code handles errors. Runs no code.

    Each file whose functions score higher after a commit gives a pair and a preference, with the kind of improvement
    in its step. The collection lies in the data directory; its card counts kinds, domains and organisations.
    """
    from harness.synthesis.repository import check_places
    from training.data.sources.fail_fast_corpus import build_corpus

    check_places(places)
    settings = load_settings()
    with stopped_by_interrupt(), progress() as bars:
        bar = bars.add_task("commits", total=0, note="mining")

        def show(name: str, more: int, done: int) -> None:
            bars.update(bar, total=(bars.tasks[bar].total or 0) + more, advance=done, note=name)
            if more and bars.disable:
                errors.print(f"{name}: {more} commits", markup=False, soft_wrap=True)

        place, card = build_corpus(places, settings.data_dir, settings.cache_dir, settings.mining, show)
    if as_json:
        print_json({"place": place, "card": card})
    else:
        _print_card(place, card)


def verdict(points: float) -> str:
    """What a score says of code as an example."""
    return "strong" if points >= STRONG else "mixed" if points >= MIXED else "weak"


def _described(tree: ScoredTree) -> dict[str, Any]:
    return {
        "path": tree.place,
        "commit": tree.commit,
        "score": round(tree.score, 2),
        "verdict": verdict(tree.score),
        "measures": {
            each.measure.value: {
                "weight": WEIGHTS[each.measure],
                "good": each.good,
                "of": each.chances,
                "value": round(each.value, 4),
            }
            for each in measured(tree.handling)
        },
        "files": [
            {
                "path": file.path,
                "score": round(file.score, 2),
                "statements": file.handling.chances[Measure.RAISES],
                "values": {each.measure.value: round(each.value, 4) for each in measured(file.handling)},
            }
            for file in tree.files
        ],
        "lines": [
            {
                "path": path,
                "line": fault.line,
                "measure": fault.measure.value,
                "code": fault.what,
                "remedy": fault.remedy,
            }
            for path, fault in tree.faults()
        ],
        "skipped": [{"path": path, "reason": reason} for path, reason in tree.skipped],
        "left_out": dict(sorted(tree.left_out.items())),
    }


def _print(tree: ScoredTree, lines: int) -> None:
    name = printable(str(tree.place))
    table(
        f"{name}: {tree.score:.1f} of 100 ({verdict(tree.score)})",
        ["measure", "good", "of", "value", "points", "at most"],
        [
            (
                each.measure.value,
                each.good,
                each.chances,
                f"{each.value:.2f}",
                f"{each.points:.1f}",
                WEIGHTS[each.measure],
            )
            for each in measured(tree.handling)
        ],
        right=["good", "of", "value", "points", "at most"],
    )
    if lines and tree.files:
        worst = sorted(tree.files, key=lambda file: file.score)[:lines]
        table(
            f"files, the lowest first ({len(worst)} of {len(tree.files)})",
            ["file", "score", "statements"],
            [(printable(f.path), f"{f.score:.1f}", f.handling.chances[Measure.RAISES]) for f in worst],
            right=["score", "statements"],
        )
        faults = sorted(tree.faults(), key=lambda item: -WEIGHTS[item[1].measure])
        table(
            f"lines, those of the weightiest measures first ({len(faults[:lines])} of {len(faults)})",
            ["line", "measure", "code", "remedy"],
            [
                (printable(f"{path}:{fault.line}"), fault.measure.value, printable(fault.what), fault.remedy)
                for path, fault in faults[:lines]
            ],
        )
    for path, reason in tree.skipped:
        console.print(f"skipped: {printable(path)}: {printable(reason)}", markup=False, soft_wrap=True)
    if tree.left_out:
        told = ", ".join(f"{what} {count}" for what, count in sorted(tree.left_out.items()))
        console.print(f"Python files left out: {told}", markup=False, soft_wrap=True)


def _print_card(place: Path, card: "CollectionCard") -> None:
    for what in ("kinds", "domains", "organisations"):
        counts: dict[str, int] = card.made_from[what]
        table(f"pairs by {what}", [what, "pairs"], Counter(counts).most_common(), right=["pairs"])
    dropped = Counter(card.dropped).most_common()
    table(
        "left out",
        ["reason", "count", "e.g."],
        [(reason, count, printable(card.examples_of_dropped[reason])) for reason, count in dropped],
        right=["count"],
    )
    for rule in card.made_from["broken_rules"]:
        console.print(f"[yellow]spread:[/] {printable(rule)}", soft_wrap=True)
    console.print(f"{counted(card.repositories, 'repository', 'repositories')} with examples", markup=False)
    print_made(place, card, "commit")


def _print_all(found: list[ScoredTree]) -> None:
    ranked = sorted(found, key=lambda tree: -tree.score)
    table(
        "Scores",
        ["path", "score", "", "files", "statements"],
        [
            (
                printable(str(tree.place)),
                f"{tree.score:.1f}",
                verdict(tree.score),
                len(tree.files),
                tree.handling.chances[Measure.RAISES],
            )
            for tree in ranked
        ],
        right=["score", "files", "statements"],
    )
