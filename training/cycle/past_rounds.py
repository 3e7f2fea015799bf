"""The rounds of self-improvement as their finished steps record them."""

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from models.evaluation import GateReport, GateVerdict
from models.plans import Frozen
from models.training import TrainingTarget
from store.learning.rounds import StepRecord, all_steps
from training.cycle.improvement import SKIPPED, TargetLine
from training.cycle.rounds import BEGIN, CURATE, END, GATE, PROMOTE, TRAIN, RoundRequest

if TYPE_CHECKING:
    from store.database import Engine

_Steps = dict[tuple[str, str], StepRecord]
"""Results by step and target."""


class PastRound(Frozen):
    """A round. `fresh` are its repositories that no earlier round had, `ended_at` is None while it is open, `gates` are
    the reports of its gates; `lines` hold what is finished of it."""

    number: int
    repositories: tuple[str, ...]
    fresh: tuple[str, ...]
    base: str
    targets: tuple[TrainingTarget, ...]
    began_at: datetime
    ended_at: datetime | None
    abandoned: bool
    lines: tuple[TargetLine, ...]
    gates: tuple[GateReport, ...]

    @property
    def finished(self) -> bool:
        """Whether it was gone through to its end."""
        return self.ended_at is not None and not self.abandoned

    @property
    def promoted(self) -> tuple[str, ...]:
        """The adapters that it promoted and kept."""
        return tuple(line.adapter for line in self.lines if line.verdict == GateVerdict.PROMOTE)


def read_rounds(raw: "Engine") -> list[PastRound]:
    """All rounds in their order."""
    steps: dict[int, _Steps] = defaultdict(dict)
    times: dict[int, dict[str, datetime]] = defaultdict(dict)
    for each in all_steps(raw):
        steps[each.round][each.step, each.target] = each.result
        times[each.round][each.step] = each.at
    seen, found = set[str](), list[PastRound]()
    for number, results in steps.items():
        request = RoundRequest.model_validate(results[BEGIN, ""])
        gated = results.get((GATE, ""), {}).values()
        found.append(
            PastRound(
                number=number,
                repositories=request.repositories,
                fresh=tuple(name for name in request.repositories if name not in seen),
                base=request.base,
                targets=request.targets,
                began_at=times[number][BEGIN],
                ended_at=times[number].get(END),
                abandoned=bool(results.get((END, ""), {}).get("abandoned")),
                lines=tuple(line for target in request.targets if (line := _line(number, target, results))),
                gates=tuple(GateReport.model_validate(each["report"]) for each in gated if "report" in each),
            )
        )
        seen.update(request.repositories)
    return found


def _line(number: int, target: TrainingTarget, results: _Steps) -> TargetLine | None:
    """What a round came to for a target, None while nothing did."""
    gated = results.get((GATE, ""), {}).get(target.value, {})
    skipped = (
        results.get((CURATE, target.value), {}).get("skipped")
        or results.get((TRAIN, target.value), {}).get("skipped")
        or gated.get("skipped")
    )
    if skipped:
        return TargetLine(round=number, target=target, verdict=SKIPPED, reason=skipped)
    settled = results.get((PROMOTE, target.value))
    return None if settled is None else TargetLine(round=number, target=target, **settled)
