"""Mixing: from all candidates to the balanced new round and its replay of earlier rounds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from models.curation_settings import CurationRequest
from models.training import TrainingTarget
from training.data.curation.balance import by_class, by_direct, by_sought, by_stage, within_share
from training.data.curation.blending import within_shares
from training.data.curation.examples import Example
from training.data.curation.rounds import EarlierRound, replayed
from training.data.sources import Funnel

EARLIER = "of earlier rounds or other campaigns"


@dataclass(frozen=True)
class Mix:
    """Examples, the first `new` of which are new and the others from earlier rounds, whose pool holds `pool`."""

    examples: list[Example]
    new: int
    pool: int


def domain_share(request: CurationRequest) -> float:
    """The largest share of a domain. Overriding the rule on organisations overrides this one as well."""
    if request.max_domain_share is not None:
        return request.max_domain_share
    few = request.min_organisations is not None and request.min_organisations < request.settings.min_organisations
    return 1.0 if few else request.settings.max_domain_share


def organisations(request: CurationRequest) -> int:
    """The fewest organisations."""
    return request.settings.min_organisations if request.min_organisations is None else request.min_organisations


def parted(
    examples: Sequence[Example], before: Sequence[EarlierRound], campaigns: Collection[str]
) -> tuple[list[Example], list[Example]]:
    """Splits off what is new in `campaigns` (keys) since the rounds `before` from their pool."""
    earlier = frozenset[str]().union(*(each.considered for each in before))
    new = [example for example in examples if example.id not in earlier and not example.campaigns.isdisjoint(campaigns)]
    return new, [example for example in examples if example.id in earlier]


def mix(
    examples: Sequence[Example],
    before: Sequence[EarlierRound],
    campaigns: Collection[str],
    request: CurationRequest,
    funnel: Funnel,
    *,
    capped: bool = True,
) -> Mix:
    """What is new in `campaigns` (keys) since the rounds `before`, balanced, and a replay of older examples.

    `capped` is false if the rule on domains is already violated, so that no share can be kept.
    """
    new, old = parted(examples, before, campaigns)
    pool = len(old)
    known = {example.id for example in (*new, *old)}
    funnel.rows.append((EARLIER, len(new), len(examples) - len(new)))
    funnel.lost(EARLIER, (example for example in examples if example.id not in known))
    if request.whole_pool and old:
        new_ids = {example.id for example in new}
        both = sorted([*new, *old], key=lambda example: example.id)
        funnel.rows.append(("with the whole pool", len(both), 0))
        both = _limited(_balanced(both, request, funnel, capped), request.limit, funnel)
        ordered = sorted(both, key=lambda example: example.id not in new_ids)
        funnel.rows.append(("in the dataset", len(ordered), 0))
        return Mix(ordered, len([example for example in both if example.id in new_ids]), pool)
    share = request.settings.replay
    limit = request.limit if request.limit is None or not old else max(1, round(request.limit * (1 - share)))
    new = _limited(_balanced(new, request, funnel, capped), limit, funnel)
    again = replayed(_balanced(old, request, Funnel(), capped), len(new), share, len(before))
    taken = {example.id for example in again}
    funnel.lost(EARLIER, (example for example in old if example.id not in taken))
    funnel.rows.append(("in the dataset", len(new) + len(again), 0))
    return Mix([*new, *again], len(new), pool)


def _balanced(examples: list[Example], request: CurationRequest, funnel: Funnel, capped: bool) -> list[Example]:
    examples = _balanced_by_content(examples, request, funnel, capped)
    if request.mix is None:
        return examples
    return funnel.kept("source over its share", examples, within_shares(examples, request.mix))


def _balanced_by_content(
    examples: list[Example], request: CurationRequest, funnel: Funnel, capped: bool
) -> list[Example]:
    if request.settings.direct_share < 1:
        few = by_direct(examples, request.settings.direct_share)
        examples = funnel.kept("synthesized over their share", examples, few)
    share = domain_share(request) if capped else 1.0
    examples = funnel.kept(
        "domain over its share", examples, within_share(examples, lambda each: each.provenance.domain, share)
    )
    if request.target is TrainingTarget.PLANNING:
        share = request.settings.stage_share
        return funnel.kept("stage over its share", examples, by_stage(examples, share))
    [stage] = request.target.stages
    settings = request.settings
    examples = funnel.kept("commonest class alone", examples, by_class(stage, examples, settings.uniform_share))
    return funnel.kept("nothing to be found", examples, by_sought(stage, examples, settings.seeking_share))


def _limited(examples: list[Example], limit: int | None, funnel: Funnel) -> list[Example]:
    if limit is None:
        return examples
    return funnel.kept(f"over the limit of {limit}", examples, sorted(examples, key=lambda each: each.id)[:limit])
