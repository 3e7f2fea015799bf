"""The states of a program while it is taken apart, the whole program first and the empty text last."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from training.data.sources.lintseq.lint import SYNTAX, Complaint, LintFailed, complaints
from training.data.sources.lintseq.statements import Program, Unit

_Fault = tuple[str, str, int]


@dataclass(frozen=True)
class State:
    """A state: the numbers of the program's lines in it, and its text."""

    kept: tuple[int, ...]
    text: str


class Unsound(LintFailed):
    """A program that does not parse by itself, so that nothing can be said about its states."""


class Deletions:
    """Takes a program apart by statements, again and again. `checked` counts the states that were linted, by `lint`.

    Raises Unsound for a program that does not compile, LintFailed for one that the linter cannot read,
    UnreadableProgram for one that has no lines of its own.
    """

    def __init__(self, text: str, lint: Callable[[str], list[Complaint]] = complaints) -> None:
        self._lint = lint
        faults = lint(text)
        if any(fault.kind == SYNTAX for fault in faults):
            raise Unsound(f"line {faults[0].line}: {faults[0].name}")
        self.program = Program(text)
        self.checked = 0
        whole = range(len(self.program.lines))
        self._own = {self._fault(each, whole) for each in faults}

    def states(self, generator: random.Random) -> Iterator[State]:
        """One way to the empty text. Raises LintFailed."""
        alive = [True] * len(self.program.units)
        kept = self.program.kept(alive)
        yield self._state(kept)
        while kept:
            left = [unit for unit in self.program.units if alive[unit.number]]
            drawn = generator.choices(left, [unit.weight for unit in left])[0]
            self._delete(drawn, alive)
            kept = self._settled(alive)
            yield self._state(kept)

    def _settled(self, alive: list[bool]) -> list[int]:
        """Delete what is at fault until nothing is; the lines that are left."""
        while True:
            kept = self.program.kept(alive)
            if not kept:
                return []
            self.checked += 1
            faults = [self._fault(each, kept) for each in self._lint(self.program.text(kept))]
            guilty = {owner for fault in faults if fault not in self._own and (owner := fault[2]) >= 0}
            if not guilty:
                new = [fault for fault in faults if fault not in self._own]
                if new:
                    raise LintFailed(f"a fault of no statement ({new[0][0]}: {new[0][1]})")
                return kept
            for number in guilty:
                if alive[number]:
                    self._delete(self.program.units[number], alive)

    def _delete(self, unit: Unit, alive: list[bool]) -> None:
        """Delete a unit with its suite and clauses, and all around it that cannot be without it."""
        units = self.program.units
        while True:
            alive[unit.number : unit.stop] = [False] * (unit.stop - unit.number)
            owner = units[unit.clause_of] if unit.clause_of is not None else None
            if owner is not None and owner.words[0] == "try":
                left = {units[each].words[0] for each in owner.clauses if alive[each]}
                if "except" not in left:
                    for each in owner.clauses:
                        if units[each].words[0] == "else":
                            alive[each : units[each].stop] = [False] * (units[each].stop - each)
                    if "finally" not in left:
                        unit = owner
                        continue
                return
            if owner is not None or unit.suite < 0:
                return
            around = units[unit.suite]
            if any(alive[child] for child in around.children):
                return
            unit = around

    def _fault(self, complaint: Complaint, kept: Sequence[int]) -> _Fault:
        line = min(max(complaint.line, 1), len(kept)) - 1
        return complaint.kind, complaint.name, self.program.owner[kept[line]] if kept else -1

    def _state(self, kept: list[int]) -> State:
        return State(tuple(kept), self.program.text(kept))


def random_states(program: Program, sizes: Sequence[int], generator: random.Random) -> Iterator[State]:
    """As many deletions as `sizes` has, each of so many lines, drawn from all that are left without regard to what they
    mean."""
    kept = list(range(len(program.lines)))
    order = list(kept)
    generator.shuffle(order)
    yield State(tuple(kept), program.text(kept))
    for size in sizes:
        gone, order = set(order[:size]), order[size:]
        kept = [line for line in kept if line not in gone]
        yield State(tuple(kept), program.text(kept))


def generator_of(seed: int, sample: int, text: str) -> random.Random:
    """The random numbers of one sample of a program: the same in any order of programs, and in any process."""
    key = f"{seed}:{sample}:".encode() + text.encode("utf-8", "surrogatepass")
    return random.Random(hashlib.sha256(key).digest())
