"""The raw database's runs as pairs and preferences.

    closed trajectories -> their calls -> accepted answers of runs that passed a real oracle -> Pairs
                                       -> passed against attributed failures, prompt by prompt -> Preferences

Filters work on hashes first and texts are loaded last, so that dropped texts are never loaded.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.planners.registry import TEAMS
from models.chat import read_prompt
from models.curation_settings import CurationSettings
from models.errors import PlanError, UsageError
from models.protocols import JUDGING_STAGES, Stage
from models.targets import require_stages
from models.training import Pair, PairSource, Preference, TrainingTarget
from store.database import reading
from store.learning.answer_scores import read_scores
from store.runs import RawStore
from store.runs.closed_runs import ClosedRun, campaign_ids, read_runs
from store.texts import read_texts
from training.data.sources.calls import CUT_OFF, NO_PROMPT, REJECTED, REPEATED, UNREAD, Call, read_calls
from training.data.sources.coverage import ExpectedScope, known_by_gold, worth
from training.data.sources.evolution import before_after
from training.data.sources.funnel import Funnel
from training.data.sources.preferences import attributed
from training.data.sources.reading import is_readable, is_text
from training.data.sources.scores import score_of
from training.data.sources.templates import is_current
from training.data.sources.weighing import LUCKY, NO_ORACLE, NOT_PASSED, SCORED_LOW, weigh

if TYPE_CHECKING:
    from store.database import Connection

NOT_OWN = "a generalist's"
DUPLICATE, OTHER_TEMPLATE, UNREADABLE, MISSED = "same again", "other template", "not readable", "missed the change"
_FIRST = (NO_PROMPT, NOT_PASSED, SCORED_LOW, NO_ORACLE, LUCKY, UNREAD, CUT_OFF, REJECTED, REPEATED, DUPLICATE)
_THEN = (OTHER_TEMPLATE, UNREADABLE, MISSED)


@dataclass
class StoredExamples:
    """The raw database's examples for a target, with the funnels; `campaigns` are the selected ones."""

    target: TrainingTarget
    campaigns: frozenset[str]
    pairs: list[Pair]
    preferences: list[Preference]
    funnel: Funnel = field(default_factory=Funnel)
    preference_funnel: Funnel = field(default_factory=Funnel)

    def without(self, repositories: Collection[str]) -> "StoredExamples":
        """The same without the examples of some repositories."""
        return replace(
            self,
            pairs=[each for each in self.pairs if each.provenance.repository not in repositories],
            preferences=[each for each in self.preferences if each.chosen_by.repository not in repositories],
        )

    def of(self, sources: Collection[PairSource]) -> "StoredExamples":
        """The same with the examples of some sources alone. Raises UsageError for one that has no example."""
        items: list[Pair | Preference] = [*self.pairs, *self.preferences]
        counts = Counter(each.source for each in items)
        for source in sources:
            if not counts[source]:
                there = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "no example at all"
                raise UsageError(
                    f"--sources {source.value}: there is no such example of {self.target.value}; there is: {there}"
                )
        named = frozenset(sources)
        pairs, preferences = self.pairs, self.preferences
        return replace(
            self,
            pairs=self.funnel.keep("other source", pairs, lambda each: each.source in named),
            preferences=self.preference_funnel.keep("other source", preferences, lambda each: each.source in named),
        )


def read_pairs(
    raw: RawStore, target: TrainingTarget, settings: CurationSettings | None = None, campaigns: Collection[str] = ()
) -> StoredExamples:
    """Pairs and preferences of a target from all closed trajectories, sorted by id.

    `campaigns` (labels or key prefixes; none: all) do not restrict what is read: they are resolved, so that the caller
    can distinguish the new round from earlier ones. Raises UsageError for a campaign that never ran, or a target
    without stages.
    """
    require_stages(target)
    settings = settings or CurationSettings()
    with reading(raw.engine) as connection:
        meant = campaign_ids(connection, campaigns)
        runs = list(read_runs(connection))
        harvest = StoredExamples(target, frozenset(meant or {run.campaign for run in runs}), [], [])
        calls = [call for run in runs for call in read_calls(connection, run, target.stages)]
        scores = read_scores(connection)
        good = _positives(calls, lambda call: weigh(call.run, settings, score_of(call, scores)), harvest)
        harvest.pairs = _pairs(connection, good, runs, harvest.funnel)
        kept = {(pair.provenance.trajectory, pair.provenance.seq) for pair in harvest.pairs}
        chosen = [(call, weight) for call, weight in good if (call.run.trajectory, call.seq) in kept]
        preferences = attributed(connection, chosen, calls, harvest.campaigns, settings, harvest.preference_funnel)
        if target is TrainingTarget.CODE:
            preferences += before_after(connection, chosen, settings, harvest.preference_funnel)
        harvest.preference_funnel.begin("preferences", len(preferences))
        harvest.preferences = sorted(preferences, key=lambda preference: preference.id)
    return harvest


def read_unverified(raw: RawStore, target: TrainingTarget, weight: float) -> StoredExamples:
    """The student's own answers for a target as pairs of one weight, sorted by id, whatever came of their runs.

    A generalist's are none of them. They can be parsed and were not cut off, as an answer can be told to be without a
    test or gold.
    """
    with reading(raw.engine) as connection:
        runs = [run for run in read_runs(connection) if TEAMS.get(run.planner) == "student"]
        harvest = StoredExamples(target, frozenset(run.campaign for run in runs), [], [])
        calls = [call for run in runs for call in read_calls(connection, run, target.stages)]
        harvest.pairs = _pairs(
            connection,
            _positives(calls, lambda call: NOT_OWN if call.by_generalist else weight, harvest),
            runs,
            harvest.funnel,
            verified=False,
        )
    return harvest


def _positives(
    calls: Sequence[Call], weigher: Callable[[Call], float | str], harvest: StoredExamples
) -> list[tuple[Call, float]]:
    """Accepted answers of runs that count, with their weights. Each (prompt, answer) occurs once, with its largest
    weight, preferably from a selected campaign. `weigher` gives an answer's weight, or why it does not count."""

    def rank(call: Call, weight: float) -> tuple[bool, float, str, str, int]:
        run = call.run
        return (run.campaign not in harvest.campaigns, -weight, run.campaign, run.trajectory, call.seq)

    dropped: Counter[str] = Counter()
    best: dict[object, tuple[Call, float]] = {}
    for call in calls:
        weight = weigher(call)
        fault = NO_PROMPT if call.prompt is None else weight if isinstance(weight, str) else call.fault
        if fault is not None:
            dropped[fault] += 1
            continue
        assert isinstance(weight, float)
        known = best.get(call.says)
        dropped[DUPLICATE] += known is not None
        if known is None or rank(call, weight) < rank(*known):
            best[call.says] = (call, weight)
    harvest.funnel.begin("calls", len(calls))
    harvest.funnel.reasons((*_FIRST, *([NOT_OWN] if dropped[NOT_OWN] else [])), dropped, len(calls))
    return sorted(best.values(), key=lambda each: rank(*each))


def _pairs(
    connection: "Connection",
    good: Iterable[tuple[Call, float]],
    runs: Sequence[ClosedRun],
    funnel: Funnel,
    *,
    verified: bool = True,
) -> list[Pair]:
    """Positives with their texts, except those that current templates or parsers reject, and, if `verified`, a judge's
    misses."""
    good = list(good)
    dropped: Counter[str] = Counter()
    wanted = _wanted(connection, [call for call, _ in good] if verified else [], runs)
    pairs = []
    for call, weight in good:
        assert call.prompt is not None
        hashes = [call.prompt, call.response, call.request, *([call.reasoning] if call.reasoning else [])]
        texts = read_texts(connection, hashes)
        messages, answer = read_prompt(texts[call.prompt]), texts[call.response]
        share: float | None = 1.0
        if not is_current(call.stage, messages):
            dropped[OTHER_TEMPLATE] += 1
            continue
        reasoning = texts[call.reasoning] if call.reasoning else None
        if not is_readable(call.stage, answer) or not is_text(*(m.content for m in messages), answer, reasoning):
            dropped[UNREADABLE] += 1
            continue
        if verified and call.stage in JUDGING_STAGES and not known_by_gold(call.run):
            try:
                share = worth(call.stage, answer, texts[call.request], wanted[call.run.instance_key])
            except PlanError:  # it judges what was not shown
                dropped[UNREADABLE] += 1
                continue
        if share is None:
            dropped[MISSED] += 1
            continue
        pairs.append(
            Pair(
                stage=call.stage,
                source=call.run.source,
                messages=messages,
                answer=answer,
                reasoning=reasoning,
                weight=round(weight * share, 4),
                provenance=call.provenance,
            )
        )
    funnel.reasons(_THEN, dropped, len(good))
    return sorted(pairs, key=lambda pair: pair.id)


def _wanted(connection: "Connection", judged: Sequence[Call], runs: Sequence[ClosedRun]) -> dict[str, ExpectedScope]:
    """What judges other than gold must find, by instance."""
    instances = {
        call.run.instance_key: call.run.instance
        for call in judged
        if call.stage in JUDGING_STAGES and not known_by_gold(call.run)
    }
    gold: dict[str, list[tuple[Stage, str, str]]] = defaultdict(list)
    for run in runs:
        if run.instance_key in instances and known_by_gold(run) and run.passed:
            for call in read_calls(connection, run, JUDGING_STAGES):
                texts = read_texts(connection, [call.response, call.request])
                text = texts[call.response]
                if is_readable(call.stage, text):
                    gold[run.instance_key].append((call.stage, text, texts[call.request]))
    return {key: ExpectedScope.of(instance, gold[key]) for key, instance in instances.items()}
