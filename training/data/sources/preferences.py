"""Preferences between runs of one instance: an answer of a passing run over one of a failed run.

Both answered the same prompt, byte for byte, so two runs diverge at the first answer in which they differ, and their
outcomes are attributed to that answer. The failure must have been attributed, by experiment, to the plan (for plan
stages) or to the code (for the code stage, to a failed step if there is one).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from models.attribution import Label
from models.chat import read_prompt
from models.curation_settings import CurationSettings
from models.protocols import Stage
from models.training import PairSource, Preference, TrainingTarget
from store.texts import read_texts
from training.data.sources.calls import CUT_OFF, NO_PROMPT, UNREAD, Call
from training.data.sources.funnel import Funnel
from training.data.sources.reading import is_text
from training.data.sources.templates import is_current

if TYPE_CHECKING:
    from store.database import Connection

AnswerPlace = tuple[str, Stage, str]
NOT_ATTRIBUTED, OTHER_STEP, NOT_SHARED, NO_CONTRAST = (
    "failure not attributed to this stage",
    "step did not fail",
    "prompt not shared with a pass",
    "same answer as the pass",
)
DUPLICATE, OVER = "same again", "enough for this prompt"
OTHER_TEMPLATE, UNREADABLE = "other template", "not readable"
_ORDER = (NO_PROMPT, NOT_ATTRIBUTED, UNREAD, CUT_OFF, OTHER_STEP, NOT_SHARED, NO_CONTRAST, DUPLICATE, OVER)


def label_of(stage: Stage) -> Label | None:
    """The attribution that makes a failed run's answer of a stage a bad one; None if no label does."""
    if stage is Stage.CODE:
        return Label.CODE
    return Label.PLAN if stage in TrainingTarget.PLANNING.stages else None


def attributed(
    connection: "Connection",
    good: Sequence[tuple[Call, float]],
    calls: Sequence[Call],
    campaigns: Collection[str],
    settings: CurationSettings,
    funnel: Funnel,
) -> list[Preference]:
    """Preferences of `good` answers, each with its weight, over those of failed runs among `calls`.

    Each bad answer is paired with the best good one of its prompt, up to a limit per prompt; those of `campaigns`
    (keys) come first.
    """
    chosen: dict[AnswerPlace, tuple[Call, float]] = {}
    answers: dict[AnswerPlace, set[str]] = defaultdict(set)
    for call, weight in good:
        place = _place(call)
        answers[place].add(call.response)
        if place not in chosen or weight > chosen[place][1]:
            chosen[place] = (call, weight)
    failed = [call for call in calls if not call.run.outcome.succeeded and call.run.outcome.trains]
    dropped: Counter[str] = Counter()
    rejected: dict[AnswerPlace, dict[str, Call]] = defaultdict(dict)
    for call in sorted(failed, key=lambda call: (call.run.campaign not in campaigns, *_key(call))):
        place = _place(call)
        fault = _fault(call) or _shared(call, chosen, answers, rejected, settings.preferences_per_prompt)
        if fault is not None:
            dropped[fault] += 1
        else:
            rejected[place][call.response] = call
    funnel.begin("answers of failed runs", len(failed))
    funnel.reasons(_ORDER, dropped, len(failed))
    made = [_preference(connection, chosen[place], call) for place, bad in rejected.items() for call in bad.values()]
    made = funnel.keep(OTHER_TEMPLATE, made, lambda each: is_current(each.stage, each.messages))
    return funnel.keep(UNREADABLE, made, lambda each: is_text(each.rejected))


def _key(call: Call) -> tuple[str, str, int]:
    return (call.run.campaign, call.run.trajectory, call.seq)


def _place(call: Call) -> AnswerPlace:
    return (call.run.instance.instance_id, call.stage, call.prompt or "")


def _fault(call: Call) -> str | None:
    """Why an answer of a failed run cannot be a rejected answer; None if it can."""
    if call.prompt is None:
        return NO_PROMPT
    if call.run.label is None or call.run.label != label_of(call.stage):
        return NOT_ATTRIBUTED
    if call.fault in (UNREAD, CUT_OFF):
        return call.fault
    if call.stage is Stage.CODE and call.run.failed_steps and call.place not in call.run.failed_steps:
        return OTHER_STEP
    return None


def _shared(
    call: Call,
    chosen: dict[AnswerPlace, tuple[Call, float]],
    answers: dict[AnswerPlace, set[str]],
    rejected: dict[AnswerPlace, dict[str, Call]],
    most: int,
) -> str | None:
    place = _place(call)
    if place not in chosen:
        return NOT_SHARED
    if call.response in answers[place]:
        return NO_CONTRAST
    if call.response in rejected[place]:
        return DUPLICATE
    return OVER if len(rejected[place]) == most else None


def _preference(connection: "Connection", chosen: tuple[Call, float], rejected: Call) -> Preference:
    good, weight = chosen
    assert good.prompt is not None
    texts = read_texts(connection, [good.prompt, good.response, rejected.response])
    logged = PairSource.LOGGED in (good.run.source, rejected.run.source)
    return Preference(
        stage=good.stage,
        source=PairSource.LOGGED if logged else PairSource.HARNESS,
        kind="attributed",
        messages=read_prompt(texts[good.prompt]),
        chosen=texts[good.response],
        rejected=texts[rejected.response],
        weight=weight,
        chosen_by=good.provenance,
        rejected_by=rejected.provenance,
    )
