"""Each rule lets through what it should and bites where it should, by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.whole_runs import RateChange, RateChanges
from models.errors import GuardrailError
from models.guardrail_settings import GuardrailSettings
from models.training import TrainingTarget
from training.cycle import guardrails as rules

LIMITS = GuardrailSettings()
OTHERS = [TrainingTarget.CODE, TrainingTarget.SCOPE, TrainingTarget.PRECISION, TrainingTarget.TASK_ANALYSIS]


def bitten(name: str):
    return pytest.raises(GuardrailError, match=f"^{name}: ")


def test_accumulated_data_may_grow_and_not_shrink() -> None:
    rules.check_accumulated(["a", "b"], ["a", "b", "c"])
    with bitten("accumulate") as caught:
        rules.check_accumulated(["a", "b"], ["b", "c"])
    assert caught.value.rule == "accumulate" and "(a)" in str(caught.value)


def test_a_merge_is_no_base() -> None:
    rules.check_frozen_base("smollm2", {"architecture": "llama"})
    with bitten("frozen-base"):
        rules.check_frozen_base("smollm2", {"merged_from": "scope-v1"})


@pytest.mark.parametrize(("replayed", "fine"), [(9, False), (10, True), (20, True), (21, False)])
def test_replay_has_a_least_and_a_most(replayed: int, fine: bool) -> None:
    if fine:
        rules.check_replay(replayed, 100, 1, LIMITS)
    else:
        with bitten("replay"):
            rules.check_replay(replayed, 100, 1, LIMITS)


@pytest.mark.parametrize(("replayed", "total"), [(0, 1), (1, 1), (0, 3), (1, 3), (2, 9)])
def test_a_small_round_is_given_one_example(replayed: int, total: int) -> None:
    rules.check_replay(replayed, total, 1, LIMITS)


def test_the_whole_pool_is_more_than_a_replay_and_fine() -> None:
    rules.check_replay(90, 100, 1, LIMITS, whole=True)


def test_the_first_round_has_nothing_to_replay() -> None:
    rules.check_replay(0, 100, 0, LIMITS)


def test_two_rounds_on_the_same_repositories_and_a_third_needs_a_new_one() -> None:
    rules.check_fresh_repositories([["a"]], LIMITS)
    rules.check_fresh_repositories([["a", "b"], ["a"]], LIMITS)
    with bitten("fresh-repositories"):
        rules.check_fresh_repositories([["a", "b"], ["a"], ["b"]], LIMITS)
    rules.check_fresh_repositories([["a", "b"], ["a"], ["b", "c"]], LIMITS)


@given(st.lists(st.frozensets(st.sampled_from("abcde"), min_size=1), max_size=8))
def test_a_new_repository_always_makes_a_round_allowed(earlier: list[frozenset[str]]) -> None:
    rules.check_fresh_repositories([*earlier, frozenset("z")], LIMITS)


def test_a_small_base_needs_a_teacher_and_a_large_one_does_not() -> None:
    rules.check_teacher_share(25, 100, 135_000_000, LIMITS)
    rules.check_teacher_share(0, 100, 7_000_000_000, LIMITS)
    with bitten("teacher-share"):
        rules.check_teacher_share(24, 100, 135_000_000, LIMITS)


def test_own_plans_come_last() -> None:
    rules.check_planning_last(TrainingTarget.PLANNING, 0, [])
    rules.check_planning_last(TrainingTarget.PLANNING, 5, OTHERS)
    rules.check_planning_last(TrainingTarget.SCOPE, 5, [])
    with bitten("planning-last") as caught:
        rules.check_planning_last(TrainingTarget.PLANNING, 5, OTHERS[1:])
    assert "code" in str(caught.value)


def test_reserved_repositories_are_not_trained_on() -> None:
    rules.check_held_out(["a"], ["b"])
    with bitten("held-out"):
        rules.check_held_out(["a", "b"], ["b"])


def test_no_evaluation_item_is_trained_on() -> None:
    rules.check_uncontaminated([])
    with bitten("contamination") as caught:
        rules.check_uncontaminated(["i1", "i2", "i3", "i4"])
    assert "i1, i2, i3 and 1 more" in str(caught.value)


def changes(first: tuple[float, float], then: tuple[float, float], p: float = 0.01) -> RateChanges:
    """Rates of 50 instances, each given as (pass@1, pass@k)."""
    return RateChanges(*(RateChange(before, after, p, 50, 50) for before, after in zip(first, then, strict=True)))


def test_answers_must_not_become_all_alike() -> None:
    rules.check_diversity(changes((0.2, 0.5), (0.3, 0.46)), LIMITS)
    rules.check_diversity(changes((0.3, 0.5), (0.2, 0.3)), LIMITS)  # pass@1 fell as well, which undoes it anyway
    rules.check_diversity(changes((0.2, 0.5), (0.3, 0.44), p=0.4), LIMITS)  # which may be chance
    with bitten("diversity"):
        rules.check_diversity(changes((0.2, 0.5), (0.3, 0.44)), LIMITS)
    alike = RateChanges(RateChange(0.5, 0.45, 0.41, 20, 20), RateChange(1.0, 0.45, 0.0005, 20, 20))
    with bitten("diversity"):
        rules.check_diversity(alike, LIMITS)  # pass@1 may have fallen by chance, pass@k did not
