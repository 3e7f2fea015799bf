"""A sample of plans for a person to read: so many of each type, stratified by what came of them.

Plans of one type are grouped by planner and outcome; the groups take turns, and within a group the repositories do, so
that a sample of twenty holds what passed and what failed in its ways, of as many repositories as there are. The order
within a repository is a random one by the seed: the same seed gives the same sample.
"""

import hashlib
from bisect import insort
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from operator import itemgetter
from typing import NamedTuple

from evals.planning import STAGES
from evals.step_success import planned_steps
from models.chat import messages_by_role
from models.manifest import PlanningType
from models.plan_reviews import PlanName, PlanReview
from models.plans import Frozen, MetaPlan, PartPlan
from store.runs import RawStore
from store.runs.events import CallEvent, Trace
from store.runs.plan_runs import PlanRun, StoredPlan

TYPES = {stage: kind for kind, stage in STAGES.items()}


class Drawn(NamedTuple):
    """A plan that was drawn, with its trajectory."""

    type: PlanningType
    run: PlanRun
    stored: StoredPlan

    @property
    def name(self) -> PlanName:
        """The name by which it is reviewed."""
        return PlanName(trajectory=self.run.key.trajectory, attempt=self.run.key.attempt, seq=self.stored.seq)


class PlanSample(Frozen):
    """A plan as a person reads it: prompt, reasoning, answer, the plan, and what came of it.

    `prompt` has role and text of each message, none for a planner that needs none. `steps` says of each step
    of the plan (of a meta plan: of each part) what became of it. `review` is the last verdict on it, if there is one.
    """

    name: str
    type: PlanningType
    planner: str
    model: str
    repository: str
    instance: str
    trajectory: str
    part: str
    prompt: tuple[tuple[str, str], ...]
    reasoning: str
    plan: str
    outcome: str
    detail: str
    steps: tuple[tuple[str, str], ...]
    tests: str
    patch: str
    review: PlanReview | None = None


def draw(runs: Iterable[PlanRun], count: int, seed: int = 0) -> list[Drawn]:
    """At most `count` plans of each type, in the order of types and then as drawn. Runs are read one after the other,
    and of each group no more than `count` plans are held."""
    groups: dict[PlanningType, dict[tuple[str, str], _Group]] = {}
    for run in runs:
        for stored in run.plans:
            if (kind := TYPES.get(stored.stage)) is not None:
                key = (run.planner, run.outcome)
                group = groups.setdefault(kind, {}).setdefault(key, _Group(f"{seed} {kind} {key}", count))
                group.add(Drawn(kind, run, stored))
    drawn: list[Drawn] = []
    for kind in STAGES:
        turns = [group.in_turns() for _, group in sorted(groups.get(kind, {}).items())]
        drawn += _in_turn(turns)[:count]
    return drawn


class _Group:
    """The first `count` plans of a group, its repositories taking turns in an order that hashes with a seed give, and
    the plans of each as well. A plan that has so many before it stays behind these, whatever comes later."""

    def __init__(self, seed: str, count: int) -> None:
        self._seed, self._count, self._held = seed, count, 0
        self._repositories: dict[str, list[tuple[str, Drawn]]] = {}

    def add(self, plan: Drawn) -> None:
        """Take in a plan; drop the last one if there are too many."""
        held = self._repositories.setdefault(plan.run.repository, [])
        insort(held, (self._place(plan.name.model_dump_json()), plan), key=itemgetter(0))
        self._held += 1
        if self._held > self._count:
            last = max(self._repositories, key=lambda name: (len(self._repositories[name]), self._place(name)))
            self._repositories[last].pop()
            self._held -= 1

    def in_turns(self) -> list[Drawn]:
        """The plans that are held."""
        names = sorted(self._repositories, key=self._place)
        return _in_turn([[plan for _, plan in self._repositories[name]] for name in names])

    def _place(self, name: str) -> str:
        return hashlib.sha256(f"{self._seed} {name}".encode()).hexdigest()


def _in_turn(groups: Sequence[Sequence[Drawn]]) -> list[Drawn]:
    return [each for each in chain.from_iterable(zip_longest(*groups)) if each is not None]


def sample_of(store: RawStore, drawn: Drawn, review: PlanReview | None = None) -> PlanSample:
    """All of a drawn plan that a person reads."""
    trace = store.trace(drawn.run.key.trajectory, prompts=True)
    call = _call_before(trace, drawn)
    outcome = next(each for each in trace.outcomes if each.attempt == drawn.run.key.attempt)
    model = "" if call is None else " with ".join(filter(None, (call.model, call.adapter)))
    plan = drawn.stored.plan
    return PlanSample(
        name=str(drawn.name),
        type=drawn.type,
        planner=drawn.run.planner,
        model=model,
        repository=drawn.run.repository,
        instance=drawn.run.instance.instance_id,
        trajectory=drawn.run.key.trajectory,
        part=plan.part_id if isinstance(plan, PartPlan) else "",
        prompt=tuple(messages_by_role(call.prompt)) if call else (),
        reasoning="" if call is None else call.reasoning,
        plan=plan.model_dump_json(indent=2),
        outcome=drawn.run.outcome,
        detail=outcome.detail,
        steps=tuple(_became(drawn)),
        tests=drawn.run.own_tests.sentence if drawn.run.own_tests else "",
        patch=outcome.patch,
        review=review,
    )


def _call_before(trace: Trace, drawn: Drawn) -> CallEvent | None:
    """The call whose answer became the plan."""
    calls = [
        event
        for event in trace.events
        if isinstance(event, CallEvent)
        and event.attempt == drawn.run.key.attempt
        and event.seq < drawn.stored.seq
        and event.stage == drawn.stored.stage.value
    ]
    return calls[-1] if calls else None


def _became(drawn: Drawn) -> list[tuple[str, str]]:
    """What became of each step of a plan, or of each part of a meta plan."""
    if drawn.run.synthesized:
        return []
    plan, taken = drawn.stored.plan, planned_steps(drawn.run.steps)
    if isinstance(plan, MetaPlan):
        of_part = {
            part.id: [flag for each in taken if each.plan.part_id == part.id for flag in each.succeeded.values()]
            for part in plan.parts
        }
        return [(part, f"{sum(flags)} of {len(flags)} steps succeeded") for part, flags in of_part.items()]
    # Equal plans of one attempt (a part planned again) are told apart by their order.
    same = [stored for stored in drawn.run.plans if stored.plan == plan and stored.seq < drawn.stored.seq]
    found = [each for each in taken if each.plan == plan][len(same) : len(same) + 1]
    words = {(True, True): "succeeded at once", (True, False): "succeeded at the second attempt"}
    return [
        (step, words.get((done, each.at_once[step]), "did not succeed"))
        for each in found
        for step, done in each.succeeded.items()
    ]
