"""The dataset of a control: the student's own answers, drawn without regard to what tests or gold say of them.

They pass the filters of any dataset (reserved repositories, evaluation items, window, near-duplicates) and are neither
balanced nor mixed with older ones. Of more than are drawn, those are taken whose lengths are nearest to the lengths
wanted. It is written but not recorded, so it is no target's newest dataset, reserves nothing and belongs to no round.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from evals.sets import all_sets
from models.curation_settings import CurationRequest
from models.errors import TrainingError
from store.learning.datasets import CONSIDERED
from store.runs import RawStore, sha256
from training.data.curation.contamination import HeldOut
from training.data.curation.counting import counter_of
from training.data.curation.curate import Curated, Curation, CurationProgress
from training.data.curation.examples import Example, examples_of
from training.data.curation.mixing import Mix
from training.data.curation.writing import write_dataset
from training.data.sources import read_unverified

if TYPE_CHECKING:
    from store.database import Engine


@dataclass(frozen=True)
class UnverifiedDraw:
    """How many answers are drawn, by which seed, and the weight of each; `lengths`: tokens of prompt and answer that
    they should have, one for each answer, none: any."""

    rows: int
    seed: int
    weight: float
    lengths: tuple[int, ...] = ()

    def of(self, examples: Sequence[Example]) -> list[Example]:
        """The examples drawn; all if they are fewer."""
        ordered = sorted(examples, key=lambda example: sha256(f"{self.seed} {example.id}"))
        if not self.lengths or len(ordered) <= self.rows:
            return ordered[: self.rows]
        wanted = list(self.lengths)
        Random(self.seed).shuffle(wanted)
        return _nearest(ordered, wanted[: self.rows])

    @property
    def facts(self) -> dict[str, Any]:
        """What a card says of it."""
        return {"rows": self.rows, "seed": self.seed, "weight": self.weight, "tokens": sum(self.lengths)}


def curate_unverified(
    raw: RawStore, curated: "Engine", request: CurationRequest, draw: UnverifiedDraw, progress: CurationProgress
) -> Curated:
    """Make such a dataset; of fewer answers than are to be drawn it has all. Raises TrainingError if there is none."""
    harvest = read_unverified(raw, request.target, draw.weight)
    counter, counted_by = counter_of(curated, request.base)
    making = Curation(raw, curated, request, progress)
    held = HeldOut(all_sets(curated), request.settings)
    pairs = making.filtered("examples", examples_of(harvest.pairs, counter), held, harvest.funnel)
    drawn = harvest.funnel.kept("not drawn", pairs, draw.of(pairs))
    if not drawn:
        raise TrainingError(
            f"the student has given no answer for {request.target.value} to train on ({harvest.funnel.summary()}); "
            "run a campaign of the student: cra campaign PACKAGE --planner student"
        )
    facts = {
        "counter": counted_by,
        CONSIDERED: sha256("\n".join(sorted(example.id for example in pairs))),
        "whole_pool": False,
        "unverified": draw.facts,
    }
    nothing = Mix([], 0, 0)
    texts, card = making.made(Mix(drawn, len(drawn), 0), nothing, nothing, [], harvest, facts)
    return Curated(write_dataset(Path(request.data_dir), card, *texts), card)


def _nearest(examples: Sequence[Example], lengths: Sequence[int]) -> list[Example]:
    """For each length in turn the example nearest to it of those that are left, the first given if tied."""
    left = sorted(((each.tokens, place) for place, each in enumerate(examples)))
    taken = []
    for length in lengths:
        above = bisect_left(left, (length, -1))
        near = {above} & set(range(len(left)))
        if above:
            near.add(bisect_left(left, (left[above - 1][0], -1)))
        chosen = min(near, key=lambda place: (abs(left[place][0] - length), left[place][1]))
        taken.append(examples[left.pop(chosen)[1]])
    return taken
