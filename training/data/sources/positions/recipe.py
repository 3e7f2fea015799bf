"""The recipe: questions about segments of a repository's code, each placed anywhere in a context of other segments."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from evals.positions.placing import arranged, fill, uniform_places
from models.plans import Frozen
from models.protocols import Stage
from models.tokens import estimate_tokens
from models.training import Pair, PairSource, Provenance
from training.data.sources.coding import NOT_TEXT
from training.data.sources.collections import Dropped, Offered, recipe_provenance
from training.data.sources.lintseq.programs import Origin
from training.data.sources.lintseq.recipe import UNPARSABLE, SourceProgram
from training.data.sources.lintseq.states import generator_of
from training.data.sources.positions.questions import Question, messages_of, several, single
from training.data.sources.positions.segments import Fact, FactKind, Segment, is_told_once, names, segments_of
from training.data.sources.reading import is_text

AMBIGUOUS, NO_FACT, TOO_SMALL = "answer not unique", "no fact to ask about", "too little code for a context"
Kind = Literal["single", "several", "short"]
KINDS: tuple[Kind, ...] = ("single", "several", "short")
FiledUnder = Literal["code", "task_analysis", "meta_plan"]
_COMPARED = 1 / 3
_ATTEMPTS = 12
"""Facts that are tried for an example before it is given up."""


class PositionSettings(Frozen):
    """single, several, short: shares of questions about one segment, about two or three, and about a segment without
    any context; any positive numbers, whose sum counts as one. The paper's are 1.1 million, 300 and 150 thousand (and
    200 thousand of general instructions, which other sources of a mix have). segment_tokens: estimated, as are
    shortest and longest, between which the length of a context is drawn uniformly. examples: of each repository.
    stage: under which the examples are filed, so that a dataset of that stage can have them.
    """

    single: float = Field(0.63, ge=0)
    several: float = Field(0.17, ge=0)
    short: float = Field(0.09, ge=0)
    segment_tokens: int = Field(128, ge=16)
    shortest: int = Field(1024, ge=256)
    longest: int = Field(4096, ge=256)
    examples: int = Field(200, ge=1)
    seed: int = 0
    stage: FiledUnder = "code"

    @model_validator(mode="after")
    def _can_be_drawn(self) -> "PositionSettings":
        if not self.single + self.several + self.short > 0:
            raise ValueError("one of the shares must be above 0")
        if self.shortest > self.longest:
            raise ValueError("the shortest context is longer than the longest")
        return self


@dataclass(frozen=True)
class AskedFact:
    """A segment and the fact of it that is asked for."""

    segment: Segment
    fact: Fact


@dataclass(frozen=True)
class PositionSource:
    """The segments of a repository, and what was left out of it."""

    origin: Origin
    segments: tuple[Segment, ...]
    dropped: tuple[Dropped, ...]

    @classmethod
    def read(cls, origin: Origin, programs: Iterator[SourceProgram | Dropped], tokens: int) -> "PositionSource":
        """Cut the programs of a repository."""
        segments: list[Segment] = []
        dropped: list[Dropped] = []
        for program in programs:
            if isinstance(program, Dropped):
                dropped.append(program)
            elif (found := segments_of(program.path, program.text, tokens)) is None:
                dropped.append(Dropped(UNPARSABLE, program.row))
            else:
                segments += found
        return cls(origin, tuple(segments), tuple(dropped))

    @cached_property
    def targets(self) -> dict[FactKind, tuple[AskedFact, ...]]:
        """All that can be asked about, by kind; kinds without any are left out."""
        found = [AskedFact(each, fact) for each in self.segments for fact in each.facts if is_told_once(fact, each)]
        by_kind = {kind: tuple(target for target in found if target.fact.kind is kind) for kind in FactKind}
        return {kind: targets for kind, targets in by_kind.items() if targets}

    def offers(self, settings: PositionSettings, kinds: Counter[str] | None = None) -> Iterator[list[Offered]]:
        """The examples of the repository, one in each list, after what was left out of it. The kinds of those that are
        made are counted in `kinds`: rejection changes their shares."""
        if self.dropped:
            yield list(self.dropped)
        for number in range(settings.examples):
            example = self.example(settings, number)
            if kinds is not None and isinstance(example, Pair):
                kinds[_kind(settings, self._generator(settings, number))] += 1
            yield [example]

    def _generator(self, settings: PositionSettings, number: int) -> random.Random:
        return generator_of(settings.seed, number, f"{self.origin.name}@{self.origin.state}")

    def example(self, settings: PositionSettings, number: int) -> Pair | Dropped:
        """The example of a number, by the seed, the repository and the number alone."""
        row = f"{self.origin.name}@{self.origin.state}#{number}"
        if not self.targets:
            return Dropped(NO_FACT, row)
        generator = self._generator(settings, number)
        kind = _kind(settings, generator)
        length = generator.randint(settings.shortest, settings.longest)
        reason = AMBIGUOUS
        for _ in range(_ATTEMPTS):
            targets = self._drawn(generator, several=kind == "several")
            pieces = self._context(generator, targets, 0 if kind == "short" else length, settings.shortest)
            if isinstance(pieces, list):
                return self._pair(settings, row, pieces, _question(targets))
            reason = pieces
        return Dropped(reason, row)

    def _drawn(self, generator: random.Random, *, several: bool) -> list[AskedFact]:
        """One target; or two or three, of which a third are two constants, which can be compared.

        Kinds are drawn first, so that rare ones are asked about as often as common ones.
        """
        kinds = sorted(self.targets)
        if several and FactKind.CONSTANT in kinds and generator.random() < _COMPARED:
            return [generator.choice(self.targets[FactKind.CONSTANT]) for _ in range(2)]
        count = generator.choice((2, 3)) if several else 1
        return [generator.choice(self.targets[generator.choice(kinds)]) for _ in range(count)]

    def _context(
        self, generator: random.Random, targets: list[AskedFact], length: int, shortest: int
    ) -> list[str] | str:
        """The segments of a context in which every asked fact is told once, or why there is none."""
        own = [target.segment for target in targets]
        if len(set(own)) < len(own) or not all(is_unique(target, own) for target in targets):
            return AMBIGUOUS
        shown = [segment.shown for segment in own]
        if not length:
            return shown
        facts = [target.fact for target in targets]
        used = {(segment.path, segment.start) for segment in own}
        pool = (each for each in generator.sample(self.segments, len(self.segments)))
        others = fill(
            (each.shown for each in pool if (each.path, each.start) not in used),
            length - sum(map(estimate_tokens, shown)),
            estimate_tokens,
            lambda piece: not any(names(fact, piece) for fact in facts),
        )
        if sum(map(estimate_tokens, [*shown, *others])) < shortest * 0.9:
            return TOO_SMALL
        return arranged(shown, uniform_places(generator, len(shown), len(others)), others)

    def _pair(self, settings: PositionSettings, row: str, pieces: list[str], question: Question) -> Pair | Dropped:
        origin = self.origin
        provenance: Provenance = recipe_provenance(
            PairSource.POSITION,
            row,
            repository=origin.name,
            organisation=origin.organisation,
            domain=origin.domain,
            license=origin.license,
            commit=origin.commit,
        )
        messages = messages_of(pieces, question)
        if not is_text(*(message.content for message in messages), question.answer):
            return Dropped(NOT_TEXT, row)
        return Pair(
            stage=Stage(settings.stage),
            source=PairSource.POSITION,
            messages=messages,
            answer=question.answer,
            provenance=provenance,
        )


def is_unique(target: AskedFact, segments: list[Segment]) -> bool:
    """Whether no other segment names what a target is asked by."""
    return not any(names(target.fact, each.shown) for each in segments if each is not target.segment)


def _kind(settings: PositionSettings, generator: random.Random) -> Kind:
    """The kind of an example, the first that its generator draws."""
    shares = (settings.single, settings.several, settings.short)
    return generator.choices(KINDS, shares)[0]


def _question(targets: list[AskedFact]) -> Question:
    facts = [target.fact for target in targets]
    return single(facts[0]) if len(facts) == 1 else several(facts)
