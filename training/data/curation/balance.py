"""Limits on the share of one domain, one stage, or the commonest class in a dataset."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from models.errors import GuardrailError, TrainingError
from models.protocols import Stage
from models.training import Pair, PairSource
from store.runs.closed_runs import UNKNOWN
from training.data.curation.examples import Example
from training.data.sources.reading import CLASSES, SOUGHT, classes_of

ORGANISATIONS, DOMAIN_SHARE = "organisations", "domain-share"


def check_spread(examples: Sequence[Example], organisations: int, share: float) -> None:
    """Raises GuardrailError for repositories of too few organisations, or of too few domains for the share.

    Repositories with an unknown organisation or domain count as one.
    """
    owners = sorted({example.provenance.organisation for example in examples})
    if len(owners) < organisations:
        local = " (a repository prepared from its URL has a known one)" if UNKNOWN in owners else ""
        raise GuardrailError(
            ORGANISATIONS,
            f"examples come from {len(owners)} organisation{'s' if len(owners) > 1 else ''} ({', '.join(owners)}), and "
            f"{organisations} are wanted; "
            f"add repositories{local}, or override this on record with --min-organisations {len(owners)}",
        )
    domains = sorted({example.provenance.domain for example in examples})
    if len(domains) * share < 1:
        least = math.ceil(100 / len(domains)) / 100
        raise GuardrailError(
            DOMAIN_SHARE,
            f"examples come from {len(domains)} domains ({', '.join(domains)}), so one has more than {share:.0%}; "
            f"add repositories, or override this on record with --max-domain-share {least}",
        )


def within_share(examples: Sequence[Example], group: Callable[[Example], str], share: float) -> list[Example]:
    """The largest subset in which no group exceeds a share; the best examples of a large group stay."""
    sizes = Counter(group(example) for example in examples)
    total = len(examples)
    while total and (fits := sum(min(size, math.floor(share * total + 1e-9)) for size in sizes.values())) < total:
        total = fits
    most = math.floor(share * total + 1e-9)
    taken: Counter[str] = Counter()
    kept = set()
    for example in sorted(examples, key=lambda example: example.rank):
        if taken[group(example)] < most:
            taken[group(example)] += 1
            kept.add(example.id)
    return [example for example in examples if example.id in kept]


def by_stage(examples: Sequence[Example], share: float) -> list[Example]:
    """Examples in which no stage exceeds a share; with too few stages for that, all get equal shares."""
    stages = {example.item.stage for example in examples}
    return within_share(examples, lambda each: each.item.stage.value, max(share, 1 / len(stages))) if stages else []


def class_counts(stage: Stage, examples: Sequence[Example]) -> Counter[str]:
    """Counts of each class in the answers of a classifying stage."""
    pairs = [example.item for example in examples if isinstance(example.item, Pair)]
    return Counter(each for pair in pairs for each in classes_of(stage, pair.answer))


def by_class(stage: Stage, examples: Sequence[Example], share: float) -> list[Example]:
    """Examples of scope or precision, in which those with only the commonest class have at most a share."""
    if stage not in CLASSES:
        return list(examples)
    counts = class_counts(stage, examples)
    commonest = min(counts, key=lambda each: (-counts[each], each)) if counts else ""
    return _few(examples, lambda pair: set(classes_of(stage, pair.answer)) <= {commonest}, share)


def by_sought(stage: Stage, examples: Sequence[Example], share: float) -> list[Example]:
    """Examples of scope or precision, in which those without the relevant class have at most a share.

    Undersampling: a small model learns the class frequencies first, and the class it must not miss is the rarest.
    """
    if stage not in SOUGHT:
        return list(examples)
    return _few(examples, lambda pair: SOUGHT[stage] not in classes_of(stage, pair.answer), share)


def by_direct(examples: Sequence[Example], share: float) -> list[Example]:
    """Examples of which those synthesized without a test run have at most a share; all of them if there are no
    others."""
    direct = [example for example in examples if example.item.source is PairSource.SYNTHETIC_DIRECT]
    others = len(examples) - len(direct)
    if share == 1 or not others:
        return list(examples)
    most = math.floor(share / (1 - share) * others + 1e-9)
    dropped = {example.id for example in sorted(direct, key=lambda example: example.rank)[most:]}
    return [example for example in examples if example.id not in dropped]


def _few(examples: Sequence[Example], dull: Callable[[Pair], bool], share: float) -> list[Example]:
    """Examples in which the dull ones have at most a share; the best of these stay."""
    found = [example for example in examples if isinstance(example.item, Pair) and dull(example.item)]
    others = len(examples) - len(found)
    most = len(found) if share == 1 else math.floor(share / (1 - share) * others + 1e-9)
    dropped = {example.id for example in sorted(found, key=lambda example: example.rank)[most:]}
    return [example for example in examples if example.id not in dropped]


def check_classes(stage: Stage, examples: Sequence[Example], funnel: str) -> None:
    """Raises TrainingError if the answers of a classifying stage give one class only; `funnel` is its summary."""
    counts = class_counts(stage, examples) if stage in CLASSES else Counter[str]()
    if stage in CLASSES and len(counts) < 2:
        raise TrainingError(
            f"{stage.value}: all {sum(counts.values())} judgements are {next(iter(counts), 'missing')!r}, so nothing "
            f"can be learned ({funnel}); run a gold campaign on more commits"
        )
