"""How fast LintSeq is here, and how much faster than checking the same states by pylint, as the reference does.

    uv run --with pylint python benchmarks/lintseq.py CLONE... [--files 4] [--most-lines 250] [--seed 0]

For some files of each clone's HEAD, one sample is made: its states (`states`), and the examples with their proof by
replay (`examples`). Then every state that was linted here, the program itself included, is linted by pylint in this
process with `--disable=C,R`, as the reference does, nothing else of the reference's work included (`pylint`). The
ratios are of CPU times in one run, so they can be compared between machines; programs per minute cannot. Replay is that
of whole samples, from no file to the program, byte for byte.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from models.training import Pair, PairSource
from repos.git import clone
from training.data.sources.coding import replayed
from training.data.sources.collections import Dropped
from training.data.sources.lintseq.lint import Complaint, LintFailed, complaints
from training.data.sources.lintseq.programs import Origin, programs_of_repository
from training.data.sources.lintseq.recipe import SourceProgram, examples_of
from training.data.sources.lintseq.statements import UnreadableProgram
from training.data.sources.lintseq.states import Deletions, generator_of
from training.data.sources.recipes import RecipeSettings

TARGET = 20.0
T = TypeVar("T")


@dataclass
class Figures:
    """Of a program: what was made, the texts that were linted, and seconds of CPU."""

    program: SourceProgram
    texts: list[str]
    examples: int
    replayed: bool
    states: float
    whole: float
    linted: float
    pylint: float = 0.0


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of this process, and the result."""
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


def files_of(place: str, count: int, most_lines: int, directory: Path) -> list[SourceProgram]:
    """Files of a clone's HEAD of 20 lines and more, in an order that does not depend on their names' letters."""
    git = clone(place, directory / hashlib.sha256(place.encode()).hexdigest()[:8])
    head = git.resolve("HEAD")
    found = [
        each
        for each in programs_of_repository(git, Origin(Path(place).stem, head, commit=head))
        if not isinstance(each, Dropped)
    ]
    fitting = [each for each in found if 20 <= each.text.count("\n") <= most_lines]
    return sorted(fitting, key=lambda each: hashlib.sha256(each.path.encode()).digest())[:count]


def pylint_all(texts: list[str], directory: Path) -> None:
    """Lint each text in this process. Each has a name of its own, as in the reference: trees are cached by name."""
    from pylint.lint import Run
    from pylint.reporters.collecting_reporter import CollectingReporter

    with chdir(directory):
        for text in texts:
            with tempfile.NamedTemporaryFile("w", dir=directory, suffix=".py", newline="", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                Run([stream.name, "--disable=C,R"], reporter=CollectingReporter(), exit=False)


def measure(program: SourceProgram, seed: int) -> Figures:
    """What is made of a program here."""
    texts: list[str] = []

    def lint(text: str) -> list[Complaint]:
        texts.append(text)
        return complaints(text)

    def work() -> None:
        list(Deletions(program.text, lint).states(generator_of(seed, 0, program.text)))

    states, _ = timed(work)
    settings = RecipeSettings(recipe=PairSource.LINTSEQ, samples=1, seed=seed)
    whole, made = timed(lambda: examples_of(program, settings))
    text: str | None = None
    for pair in made.examples:
        text = replayed(pair.answer, program.path, text) if isinstance(pair, Pair) else None
    linted, _ = timed(lambda: [complaints(each) for each in texts])
    return Figures(program, texts, len(made.examples), text == program.text, states, whole, linted)


def main(arguments: list[str]) -> int:
    """Exit status: 0 if the ratio reaches the target and everything is replayed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", nargs="+")
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--most-lines", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    found: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        complaints("x = 1\n")  # loaded before the clock starts
        for place in options.clones:
            for program in files_of(place, options.files, options.most_lines, directory):
                try:
                    found.append(measure(program, options.seed))
                except (LintFailed, UnreadableProgram) as error:
                    print(f"{program.row}: {error}")
        pylint_all(["x = 1\n"], directory)  # here and not before: its many objects slow the garbage collector down
        for each in found:
            each.pylint, _ = timed(partial(pylint_all, each.texts, directory))
            lines = each.program.text.count("\n")
            print(
                f"{each.program.repository:12} {each.program.path[-36:]:36} {lines:4} lines {len(each.texts):4} states "
                f"{each.states:6.2f} s  examples {each.whole:6.2f} s  pylint {each.pylint:7.2f} s  "
                f"{each.pylint / each.states:6.1f}x",
                flush=True,
            )
    states, whole, linted, pylint = (
        sum(getattr(each, name) for each in found) for name in ("states", "whole", "linted", "pylint")
    )
    checked, replayed_whole = sum(len(each.texts) for each in found), sum(each.replayed for each in found)
    ratio = pylint / states
    print(
        f"{len(found)} programs, {checked} states linted, {sum(each.examples for each in found)} examples, "
        f"{replayed_whole} of {len(found)} samples replayed byte for byte\n"
        f"here {60 * len(found) / whole:.0f} programs a minute and core with one sample each, "
        f"{60 * checked / linted:.0f} states linted a minute\n"
        f"pylint on the same states: {ratio:.1f}x the time of all states here (target {TARGET:.0f}x), "
        f"{pylint / linted:.1f}x that of linting alone, {pylint / whole:.1f}x that of proven examples\n"
        f"{time.monotonic() - started:.0f} s"
    )
    return 0 if ratio >= TARGET and replayed_whole == len(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
