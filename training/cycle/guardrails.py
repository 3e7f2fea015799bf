"""The guardrails of self-improvement: named checks, each of which raises GuardrailError when it is violated.

They prevent known failures: replacing data instead of accumulating it collapses a model (Shumailov et al.,
Nature 2024; Gerstgrasser et al., 2024: accumulating avoids it), small models do not bootstrap from their own answers
alone (STaR, Zelikman et al., 2022), gains end after about two rounds without fresh tasks (SWE-Gym, 2025), and training
on a merge of an earlier adapter compounds its faults.
"""

import math
from collections.abc import Collection, Sequence

from evals.whole_runs import RateChanges
from models.errors import GuardrailError
from models.guardrail_settings import GuardrailSettings
from models.training import TrainingTarget
from training.bases.files import MERGED

ACCUMULATE = "accumulate"
FROZEN_BASE = "frozen-base"
REPLAY = "replay"
FRESH_REPOSITORIES = "fresh-repositories"
TEACHER_SHARE = "teacher-share"
PLANNING_LAST = "planning-last"
HELD_OUT = "held-out"
CONTAMINATION = "contamination"
DIVERSITY = "diversity"
_NAMED = 3


def check_accumulated(earlier: Collection[str], pool: Collection[str]) -> None:
    """Require that the pool of a new dataset contains all data of earlier rounds. Both are ids."""
    lost = sorted(set(earlier) - set(pool))
    if lost:
        raise GuardrailError(
            ACCUMULATE,
            f"{len(lost)} datasets of earlier rounds are left out ({_some(lost)}); add to old data, never replace it",
        )


def check_frozen_base(name: str, facts: dict[str, object]) -> None:
    """Refuse a base with a merged adapter: each adapter is trained from the frozen base."""
    if MERGED in facts:
        raise GuardrailError(
            FROZEN_BASE, f"{name} is a merge of {facts[MERGED]}; train from the base that adapter was trained from"
        )


def check_replay(
    replayed: int, total: int, earlier_rounds: int, settings: GuardrailSettings, whole: bool = False
) -> None:
    """Require from the second round on that a set share of a dataset is from earlier rounds (within one example), or
    all of their pool (`whole`)."""
    if not earlier_rounds or whole:
        return
    share = replayed / total if total else 0.0
    if not math.floor(settings.replay_least * total) <= replayed <= math.ceil(settings.replay_most * total):
        raise GuardrailError(
            REPLAY,
            f"{replayed} of {total} examples ({share:.0%}) are from earlier rounds; "
            f"{settings.replay_least:.0%} to {settings.replay_most:.0%} must be",
        )


def check_fresh_repositories(rounds: Sequence[Collection[str]], settings: GuardrailSettings) -> None:
    """Limit the consecutive rounds without a new repository; `rounds` holds each round's repositories in order."""
    seen: set[str] = set()
    stale = 0
    for repositories in rounds:
        stale = 0 if set(repositories) - seen else stale + 1
        seen |= set(repositories)
    if stale >= settings.rounds:
        raise GuardrailError(
            FRESH_REPOSITORIES,
            f"{stale} rounds ran on {_some(sorted(seen))} and no other repository; "
            f"after {settings.rounds} a new one is due: prepare one and give its package",
        )


def check_teacher_share(taught: int, total: int, parameters: int, settings: GuardrailSettings) -> None:
    """Require a share of examples that no student wrote for a small base: `taught` of `total` are gold's, a teacher's,
    or of a recipe over people's code."""
    share = taught / total if total else 0.0
    if parameters < settings.small_base and share < settings.teacher_share:
        raise GuardrailError(
            TEACHER_SHARE,
            f"{taught} of {total} examples ({share:.0%}) are not the student's own, and a base of "
            f"{parameters / 1e9:.2f}B parameters needs {settings.teacher_share:.0%}; run a teacher or gold campaign",
        )


def check_planning_last(target: TrainingTarget, own_answers: int, promoted: Collection[TrainingTarget]) -> None:
    """Allow training on a student's own plans only after its judgements and its code have passed their gates."""
    others = [each for each in TrainingTarget if each.serves and each is not TrainingTarget.PLANNING]
    missing = [each.value for each in others if each not in promoted]
    if target is TrainingTarget.PLANNING and own_answers and missing:
        raise GuardrailError(
            PLANNING_LAST,
            f"{own_answers} examples are the student's own plans, and no adapter has passed its gate for "
            f"{', '.join(missing)} yet; train those first",
        )


def check_held_out(repositories: Collection[str], reserved: Collection[str]) -> None:
    """Refuse held-out repositories in training data. Both are names of repositories."""
    both = sorted(set(repositories) & set(reserved))
    if both:
        raise GuardrailError(
            HELD_OUT,
            f"{_some(both)} is reserved for evaluation, or a copy of what is, and in the training data; "
            "curate again without it",
        )


def check_uncontaminated(hits: Sequence[str]) -> None:
    """Refuse evaluation items in training data; `hits` names those found."""
    if hits:
        raise GuardrailError(
            CONTAMINATION, f"{len(hits)} evaluation items are in the training data ({_some(hits)}); curate again"
        )


def check_diversity(changes: RateChanges, settings: GuardrailSettings, level: float | None = None) -> None:
    """Require that pass@k does not fall unless pass@1 does (loss of diversity).

    `level` is the p of one look, where there are several: the spread between both must then have fallen at this level,
    in place of pass@k, which chance moves more. With too few instances for any p each fall of pass@k counts.
    """
    at_1, at_k, spread = changes
    alpha, margin = settings.end_to_end_alpha, settings.pass_at_k_margin
    lost = at_k.is_loss(margin, alpha)
    if level is not None and spread is not None and at_k.smallest_p <= alpha:
        lost = at_k.fall > margin and spread.p <= level
    if lost and not at_1.is_loss(settings.end_to_end_margin, alpha):
        raise GuardrailError(
            DIVERSITY,
            f"pass@k fell from {at_k.before:.3f} to {at_k.after:.3f} while pass@1 went from {at_1.before:.3f} to "
            f"{at_1.after:.3f}; the answers are becoming all alike: add repositories or teacher data",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
