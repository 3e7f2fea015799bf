"""Which target needs training most, and with what data, according to the recorded runs.

A target's need is the share of attributed failures that are its own, plus the share of its answers that could not be
parsed. Failures of retrieval are attributed to the stage that lost something the commit changes: the analysis for a
file that was no candidate, scope for a file judged irrelevant, and precision for a symbol.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from agent.prompts import REVISION
from evals.tiers import ORDER, TierStatus, missing, next_targets
from models.attribution import Evidence, Label
from models.context import Relevance
from models.curation_settings import CurationSettings
from models.errors import DatabaseError, UsageError
from models.plans import Frozen
from models.protocols import Stage
from models.training import TrainingTarget
from store.database import reading
from store.runs import RawStore, StageUse
from store.runs.attempts import stored_decisions
from store.runs.attributions import read_attribution
from store.runs.closed_runs import ClosedRun, read_runs
from training.data.sources import StoredExamples, read_pairs
from training.data.sources.scores import STUDENTS

if TYPE_CHECKING:
    from store.database import Connection

WANTED: dict[TrainingTarget, int] = {
    TrainingTarget.CODE: 10_000,
    TrainingTarget.SCOPE: 2_000,
    TrainingTarget.PRECISION: 3_000,
    TrainingTarget.TASK_ANALYSIS: 3_000,
    TrainingTarget.PLANNING: 1_000,
}
"""Recommended number of examples per target; for planning, of preferences."""
_KNOWING = ("gold", "null")
_OFTEN = 0.1
_SHORTEST_ID = 8


class TrainingNeed(Frozen):
    """The state of a target. `examples` and `preferences` are available for training, before balancing and limits;
    `failures` are attributed to it, `malformed` is the share of its `answers` that could not be parsed. `waits` lists
    unmet prerequisites of its training."""

    target: TrainingTarget
    examples: dict[str, int]
    preferences: int
    repositories: int
    organisations: int
    failures: int
    answers: int
    malformed: float
    need: float
    advice: tuple[str, ...]
    waits: tuple[str, ...] = ()


class TrainingAdvice(Frozen):
    """What to train next and why; targets in the order of the tiers. `campaigns` are those it is based on.

    `planners` are those whose answers and failures were counted, `undetermined` failures have no attribution. `in_turn`
    are the targets whose prerequisites in the order of tiers are met, `held_out` repositories whose examples were not
    counted.
    """

    kind: Literal["train-plan"] = "train-plan"
    needs: tuple[TrainingNeed, ...]
    weakest: TrainingTarget | None
    reason: str
    planners: tuple[str, ...]
    trajectories: int
    undetermined: int
    campaigns: tuple[str, ...]
    templates: str
    in_turn: tuple[TrainingTarget, ...] = ()
    held_out: tuple[str, ...] = ()

    def text(self) -> str:
        """The advice as a text, whose SHA-256 is its id."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1)


def advise(
    raw: RawStore, settings: CurationSettings, status: TierStatus, held_out: Collection[str] = ()
) -> tuple[str, TrainingAdvice]:
    """The advice from the recorded runs, stored under its id; returns both. The same runs give the same advice.

    `held_out` repositories are reserved for evaluation, so they are not training data.
    """
    with reading(raw.engine) as connection:
        runs = list(read_runs(connection))
        asked = {run.planner for run in runs} - set(_KNOWING)
        planners = tuple(sorted(asked & set(STUDENTS) or asked))
        counted = [run for run in runs if run.planner in planners]
        blamed = Counter(_blamed(connection, run) for run in counted if run.label is not None)
    stages, _ = raw.usage_so_far()
    use = [each for each in stages if each.planner in planners]
    needs = tuple(
        _need(read_pairs(raw, target, settings).without(held_out), blamed, use, settings, missing(target, status))
        for target in ORDER
    )
    weakest, reason = _weakest(needs, planners)
    advice = TrainingAdvice(
        needs=needs,
        weakest=weakest,
        reason=reason,
        planners=planners,
        trajectories=len(counted),
        undetermined=blamed[None],
        campaigns=tuple(sorted({run.campaign for run in runs})),
        templates=REVISION,
        in_turn=tuple(next_targets(status)),
        held_out=tuple(sorted(held_out)),
    )
    return raw.put_text(advice.text()), advice


def read_advice(raw: RawStore, advice_id: str) -> tuple[str, TrainingAdvice]:
    """The advice whose id is, or begins with, `advice_id`, and its id. Raises UsageError if there is none."""
    wanted = advice_id.strip().lower()
    unknown = UsageError(f"no plan {advice_id!r}; `cra train-plan` makes one and prints its id")
    if len(wanted) < _SHORTEST_ID or not set(wanted) <= set("0123456789abcdef"):
        raise unknown
    keys = raw.text_hashes(wanted, limit=2)
    if len(keys) != 1:
        raise unknown
    try:
        return keys[0], TrainingAdvice.model_validate_json(raw.get_text(keys[0]))
    except (ValueError, DatabaseError) as error:
        raise unknown from error


def _blamed(connection: "Connection", run: ClosedRun) -> TrainingTarget | None:
    """The target to which a failure is attributed."""
    if run.label == Label.CODE:
        return TrainingTarget.CODE
    if run.label == Label.PLAN:
        return TrainingTarget.PLANNING
    if run.label != Label.RETRIEVAL:
        return None
    attribution = read_attribution(connection, *run.key)
    if attribution is None:
        return None
    decisions = stored_decisions(connection, run.key, [Stage.SCOPE], [relevance.value for relevance in Relevance])
    return _lost_by({each.subject: each.decision for each in decisions}, attribution.evidence)


def _lost_by(decided: Mapping[str, str], evidence: Evidence) -> TrainingTarget | None:
    """The first stage of retrieval that lost something which the commit changes."""
    lost = set()
    for place in evidence.unseen:
        if place.path not in decided:
            lost.add(TrainingTarget.TASK_ANALYSIS)
        elif decided[place.path] == Relevance.IRRELEVANT:
            lost.add(TrainingTarget.SCOPE)
        else:
            lost.add(TrainingTarget.PRECISION)
    return next(
        (t for t in (TrainingTarget.TASK_ANALYSIS, TrainingTarget.SCOPE, TrainingTarget.PRECISION) if t in lost), None
    )


def _need(
    harvest: StoredExamples,
    blamed: Mapping[TrainingTarget | None, int],
    use: Sequence[StageUse],
    settings: CurationSettings,
    waits: Sequence[str],
) -> TrainingNeed:
    target = harvest.target
    stages = {stage.value for stage in target.stages}
    answers = sum(each.questions for each in use if each.stage in stages)
    unread = sum(each.malformed for each in use if each.stage in stages)
    malformed = unread / answers if answers else 0.0
    attributed = sum(count for label, count in blamed.items() if label is not None)
    failures = blamed.get(target, 0)
    items = [pair.provenance for pair in harvest.pairs]
    need = TrainingNeed(
        target=target,
        examples=dict(sorted(Counter(pair.source.value for pair in harvest.pairs).items())),
        preferences=len(harvest.preferences),
        repositories=len({each.repository for each in items}),
        organisations=len({each.organisation for each in items}),
        failures=failures,
        answers=answers,
        malformed=round(malformed, 4),
        need=round((failures / attributed if attributed else 0.0) + malformed, 4),
        advice=(),
        waits=tuple(waits),
    )
    return need.model_copy(update={"advice": tuple(_advice(need, settings))})


def _advice(need: TrainingNeed, settings: CurationSettings) -> list[str]:
    """The data that would help a target, most needed first."""
    hints = []
    have, wanted = sum(need.examples.values()), WANTED[need.target]
    if have < wanted and need.target is not TrainingTarget.PLANNING:
        hints.append(f"{have} of {wanted} examples: run gold on more commits (`cra campaign PACKAGE --planner gold`)")
    if need.organisations < settings.min_organisations:
        hints.append(
            f"repositories of {need.organisations} organisations, {settings.min_organisations} are wanted: "
            "prepare others from their URLs (`cra prepare URL`), as local paths do not say whose they are"
        )
    if need.target in (TrainingTarget.CODE, TrainingTarget.PLANNING) and need.preferences < wanted:
        hints.append(
            f"{need.preferences} of {wanted} preferences: samples of one task that pass and fail make them "
            "(`cra campaign PACKAGE --planner student --temperatures 0.3,0.6,0.9 --samples 2`)"
        )
    if need.malformed >= _OFTEN:
        hints.append(f"{need.malformed:.0%} of answers cannot be read: gold's examples teach the format")
    if have and set(need.examples) == {"synthetic"}:
        hints.append("all examples are gold's: a teacher's passes show other ways (`--planner teacher`)")
    return hints


def _weakest(needs: Sequence[TrainingNeed], planners: Sequence[str]) -> tuple[TrainingTarget | None, str]:
    if not planners:
        return None, "no model has run yet, so nothing has failed; `cra campaign PACKAGE --planner student` shows where"
    worst = max(needs, key=lambda need: need.need)  # ties: the first in the order of tiers
    if worst.need == 0:
        return None, f"no failure of {', '.join(planners)} is put down to a stage, and every answer could be read"
    turn = f"; its turn has not come: it waits for {', '.join(worst.waits)}" if worst.waits else ""
    return worst.target, (
        f"{worst.failures} failures are put down to {worst.target.value}, "
        f"and {worst.malformed:.0%} of its {worst.answers} answers could not be read{turn}"
    )
