"""Programs to pairs of the code stage: every step of every sample is a prompt, and edits as its answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from models.training import Pair, PairSource
from training.data.sources.coding import NOT_TEXT, REPLAY, code_pair
from training.data.sources.collections import Dropped, Offered, recipe_provenance
from training.data.sources.lintseq.describe import lines_step, step_of, task_of
from training.data.sources.lintseq.lint import LintFailed
from training.data.sources.lintseq.statements import MODULE, Program, UnreadableProgram
from training.data.sources.lintseq.states import Deletions, State, Unsound, generator_of, random_states
from training.data.sources.reading import is_text
from training.data.sources.recipes import Made, RecipeSettings

UNPARSABLE, UNREADABLE, NO_STATEMENT = "does not parse", "lines cannot be told apart", "no statement"
MOST_STATEMENTS = 1_000
"""Limit of a program: the work grows with the square of their number."""
TOO_MANY = f"more than {MOST_STATEMENTS} statements"
LINTER, REPEATED = "linter failed", "step of an earlier sample"


@dataclass(frozen=True)
class SourceProgram:
    """A program to be taken apart. `row` names it in its source, `task` is what it was written for (None: unknown)."""

    text: str
    path: str
    row: str
    repository: str
    organisation: str
    domain: str
    license: str
    commit: str = ""
    task: str | None = None


def examples_of(program: SourceProgram, settings: RecipeSettings) -> Made:
    """The examples of a program; what it cannot give is named and counted, whatever its text is."""
    if not is_text(program.text):
        return _dropped(program, NOT_TEXT)
    try:
        deletions = Deletions(program.text)
        statements = len(deletions.program.units)
        if not 0 < statements <= MOST_STATEMENTS:
            return _dropped(program, TOO_MANY if statements else NO_STATEMENT)
        made = Made(_examples(program, settings, deletions))
    except UnreadableProgram as error:
        return _dropped(program, UNREADABLE, str(error))
    except Unsound as error:
        return _dropped(program, UNPARSABLE, str(error))
    except LintFailed as error:
        return _dropped(program, LINTER, str(error))
    made.checked = deletions.checked
    return made


def _dropped(program: SourceProgram, reason: str, detail: str = "") -> Made:
    return Made([Dropped(reason, f"{program.row}: {detail}" if detail else program.row)])


def _examples(program: SourceProgram, settings: RecipeSettings, deletions: Deletions) -> list[Offered]:
    task = program.task or task_of(deletions.program, program.text, program.path)
    known: set[str] = set()
    found: list[Offered] = []
    for sample in range(settings.samples):
        generator = generator_of(settings.seed, sample, program.text)
        try:
            states = list(deletions.states(generator))
        except LintFailed as error:
            found.append(Dropped(LINTER, f"{program.row}#{sample}: {error}"))
            continue
        steps: Callable[[Program, State, State], str] = _step
        if settings.recipe is PairSource.RANDOM_DELETION:
            sizes = [len(before.kept) - len(after.kept) for before, after in pairwise(states)]
            states = list(random_states(deletions.program, sizes, generator))
            steps = _lines_step
        for example in _sample(program, settings, deletions.program, task, sample, states, steps):
            if isinstance(example, Pair) and example.id in known:
                found.append(Dropped(REPEATED, example.provenance.trajectory))
                continue
            if isinstance(example, Pair):
                known.add(example.id)
            found.append(example)
    return found


def _sample(
    program: SourceProgram,
    settings: RecipeSettings,
    lines: Program,
    task: str,
    sample: int,
    states: Sequence[State],
    steps: Callable[[Program, State, State], str],
) -> list[Offered]:
    """The steps of one sample, first to last; if one does not arrive, only that is told: the chain is broken then."""
    made: list[Offered] = []
    for number, (before, after) in enumerate(pairwise(reversed(states)), 1):
        provenance = recipe_provenance(
            settings.recipe,
            f"{program.row}#{sample}-{number}",
            repository=program.repository,
            organisation=program.organisation,
            domain=program.domain,
            license=program.license,
            commit=program.commit,
        )
        text = before.text if before.kept else None
        step = steps(lines, before, after)
        pair = code_pair(settings.recipe, task, step, program.path, text, after.text, provenance, settings.edit_format)
        if isinstance(pair, Dropped):
            return [Dropped(f"sample: {pair.reason}" if pair.reason == REPLAY else pair.reason, pair.example)]
        made.append(pair)
    return made


def _step(program: Program, before: State, after: State) -> str:
    return step_of(program, _units(program, after) - _units(program, before), creates=not before.kept)


def _lines_step(program: Program, before: State, after: State) -> str:
    kept = set(before.kept)
    return lines_step(program, [line for line in after.kept if line not in kept], creates=not before.kept)


def _units(program: Program, state: State) -> set[int]:
    return {program.owner[line] for line in state.kept} - {MODULE}
