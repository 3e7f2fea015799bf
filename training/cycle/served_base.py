"""Which of two bases gave the answers of a campaign: a likelihood ratio test on the recorded answers.

An endpoint's name is all that is on record of what it served, but its answers are samples. Their likelihood under the
one base, divided by that under the other, at the temperature at which they were sampled, exceeds e^10 with probability
e^-10 at most if the other base wrote them (Ville's inequality). Only free text counts: what stands within a JSON string
after its first space. The rest follows from a schema at the server as much as from the model. There, a server's
quantisation, a cut of unlikely tokens, and what a schema forbids within strings are all that the test leaves out.

Where the bases have other tokens, those of both stand for the same characters. Greedy answers are read as cold ones.
Two bases are told apart, no more: a third one may be nearer to either.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from models.chat import read_prompt
from models.errors import InfrastructureError, TrainingError
from models.plans import Frozen
from models.protocols import Stage
from store.database import reading
from store.runs.own_answers import OwnAnswer, own_answers
from training.bases.bases import Base
from training.bases.chat_format import END_THINK, THINK, ChatFormat
from training.bases.loading import loaded_base
from training.cycle.base_planning import PlanningCampaigns, identities
from training.cycle.context import TrainingContext
from training.cycle.kept_measures import read_measures, write_measures

ANSWERS = 64
"""Most answers of a campaign that are read."""
EVIDENCE = 10.0
"""The least log likelihood ratio, in nats, that says which base wrote a campaign's answers."""
STAGES = frozenset({Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.ADJUSTMENT, Stage.TASK_ANALYSIS})
"""Stages of the reasoning role whose answers have free text."""
_VERSION = 2
"""Raised when the same answers would give another ratio."""
_COLDEST = 0.3
"""Sampling at a lower temperature is tested as at this one: near 0 a server's rounding decides."""


class ServedBase(Frozen):
    """Of a campaign: its answers and tokens that were compared, and the log likelihood ratio in nats (positive: the
    challenger is likelier)."""

    campaign: str
    answers: int
    tokens: int
    ratio: float


class _Kept(Frozen):
    found: tuple[ServedBase, ...]


class _Answer(NamedTuple):
    """Prompt and answer as token ids, the places that may count by stretch of free text, each with its characters
    (from, to), and the temperature."""

    ids: list[int]
    stretches: list[list[tuple[int, tuple[int, int]]]]
    temperature: float

    @property
    def counted(self) -> list[int]:
        """The places that count."""
        return [place for stretch in self.stretches for place, _ in stretch]


def check_served(
    context: TrainingContext,
    campaigns: PlanningCampaigns,
    champion: Base,
    challenger: Base,
    thinking: bool | None,
    max_tokens: int,
) -> list[str]:
    """Notes that say which base answered in each campaign, if it is the one meant: `campaigns.before` the champion,
    `campaigns.after` the challenger. Only prompts of at most `max_tokens` with their answers are read.

    Raises InfrastructureError where the answers are the other base's, or do not say whose they are: then the campaigns
    are no evidence. EvaluationError and UsageError as `planning_evidence` does.
    """
    recorded = {}
    with reading(context.raw_engine) as connection:
        for name, (campaign, identity) in zip(campaigns, identities(connection, campaigns), strict=True):
            recorded[name] = own_answers(connection, campaign, identity, STAGES, ANSWERS)
    texts = "\n".join("\t".join(map(str, (name, *each))) for name, rows in recorded.items() for each in rows)
    asked = f"{_VERSION} {champion.id} {challenger.id} {thinking} {max_tokens}"
    key = hashlib.sha256(f"{asked}\n{texts}".encode()).hexdigest()
    path = context.settings.data_dir / "evaluations" / "bases" / f"served-{key}.json"
    kept = read_measures(path, _Kept)
    if kept is None:
        with context.device():
            ratios = _ratios(context, recorded, (champion, challenger), thinking, max_tokens)
        kept = _Kept(found=tuple(ratios))
        write_measures(path, kept)
    sides = ((champion, challenger, -1), (challenger, champion, 1))
    return [_checked(each, *side) for each, side in zip(kept.found, sides, strict=True)]


def _checked(found: ServedBase, meant: Base, other: Base, sign: int) -> str:
    """A note, if the base that was meant answered. Raises InfrastructureError."""
    support = sign * found.ratio
    figures = f"log likelihood ratio {support:.1f} nats, {found.answers} answers, {found.tokens} tokens of free text"
    remedy = f"serve {meant.name} at the student's endpoint and run the campaign again under another name"
    if found.tokens == 0:
        raise InfrastructureError(
            f"campaign {found.campaign}: no answer without an adapter has free text, so that it cannot be known which "
            f"base was served; {remedy}, with no adapter active"
        )
    if support <= -EVIDENCE:
        raise InfrastructureError(
            f"campaign {found.campaign}: its answers are those of {other.name}, not of {meant.name} ({figures}); "
            f"{remedy}"
        )
    if support < EVIDENCE:
        raise InfrastructureError(
            f"campaign {found.campaign}: its answers do not say whether {meant.name} or {other.name} was served "
            f"({figures}; {EVIDENCE:.0f} needed); run it over more instances, or compare without --planning"
        )
    return f"the answers of {found.campaign} are {meant.name}'s rather than {other.name}'s: {figures}"


def _ratios(
    context: TrainingContext,
    recorded: dict[str, list[OwnAnswer]],
    bases: tuple[Base, Base],
    thinking: bool | None,
    max_tokens: int,
) -> Iterator[ServedBase]:
    chats = [ChatFormat.load(base.path, thinking) for base in bases]
    tokenised = {name: _pairs(rows, chats, max_tokens) for name, rows in recorded.items()}
    sums: dict[tuple[str, int], float] = {}
    for side, base in enumerate(bases):
        with loaded_base(base.path) as model:
            for name, pairs in tokenised.items():
                context.notify(f"whether {base.name} gave the answers of {name}", 0, None)
                sums[name, side] = sum(_log_likelihood(model, pair[side]) for pair in pairs)
    for name, pairs in tokenised.items():
        tokens = sum(len(pair[0].counted) for pair in pairs)
        yield ServedBase(campaign=name, answers=len(pairs), tokens=tokens, ratio=sums[name, 1] - sums[name, 0])


def _pairs(rows: Sequence[OwnAnswer], chats: Sequence[ChatFormat], max_tokens: int) -> list[tuple[_Answer, _Answer]]:
    """The answers as tokens of both bases, without those that one of them cannot read. In each stretch of free text the
    tokens of both stand for the same characters, as likelihoods of other texts cannot be compared."""
    both = [(_tokenised(each, chats[0], max_tokens), _tokenised(each, chats[1], max_tokens)) for each in rows]
    pairs = [_alike(one, other) for one, other in both if one is not None and other is not None]
    return [(one, other) for one, other in pairs if one.counted and other.counted]


def _alike(one: _Answer, other: _Answer) -> tuple[_Answer, _Answer]:
    """Two tokenisations of an answer, from the first to the last character at which tokens of both begin and end."""
    kept: tuple[list[Any], list[Any]] = ([], [])
    for sides in zip(one.stretches, other.stretches, strict=True):
        first = [{start for _, (start, _) in side} for side in sides]
        last = [{end for _, (_, end) in side} for side in sides]
        since, until = min(first[0] & first[1], default=math.inf), max(last[0] & last[1], default=0)
        for side, found in zip(sides, kept, strict=True):
            found.append([each for each in side if since <= each[1][0] and each[1][1] <= until])
    return one._replace(stretches=kept[0]), other._replace(stretches=kept[1])


def _tokenised(answer: OwnAnswer, chat: ChatFormat, max_tokens: int) -> _Answer | None:
    """An answer by a base's tokens; None if it is too long, has no free text, or is of a form that the base would not
    be asked in."""
    try:
        messages = [each.model_dump() for each in read_prompt(answer.prompt)]
        said = f"{THINK}{answer.reasoning}{END_THINK}" if answer.reasoning else ""
        prompt, ids = chat.prompt_ids(messages), chat.answer_ids(messages, said + answer.text)
    except (ValidationError, ValueError, TrainingError):
        return None
    tail = chat.encoder.ids(answer.text)
    offsets = chat.answer_offsets([*tail, chat.end_id], answer.text)
    if offsets is None or ids[-1 - len(tail) : -1] != tail or len(prompt) + len(ids) > max_tokens:
        return None
    first = len(prompt) + len(ids) - 1 - len(tail)
    stretches = [
        [(first + n, (start, end)) for n, (start, end) in enumerate(offsets[:-1]) if since <= start < end <= until]
        for since, until in free_text(answer.text)
    ]
    return _Answer(prompt + ids, stretches, max(answer.temperature, _COLDEST))


def free_text(answer: str) -> Sequence[tuple[int, int]]:
    """The characters (from, to) of a JSON text that lie within a string after its first space."""
    spans, inside, escaped, since = [], False, False, -1
    for place, character in enumerate(answer):
        if not inside:
            inside, since = character == '"', -1
        elif escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            if since >= 0:
                spans.append((since, place))
            inside = False
        elif character == " " and since < 0:
            since = place + 1
    if inside and since >= 0:
        spans.append((since, len(answer)))
    return spans


def _log_likelihood(model: Any, answer: _Answer) -> float:
    """The log-probability, in nats, of the tokens that count, sampled at the answer's temperature."""
    import torch

    ids = torch.tensor([answer.ids], device=model.device)
    first = answer.counted[0]
    with torch.no_grad():
        logits = model(input_ids=ids, logits_to_keep=len(answer.ids) - first + 1, use_cache=False).logits[0].float()
    places = torch.tensor(answer.counted, device=model.device)
    chosen = (logits[places - first] / answer.temperature).log_softmax(-1)
    return float(chosen.gather(1, ids[0, places][:, None]).sum())
