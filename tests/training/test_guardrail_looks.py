"""The rule on diversity looks after each round: together its looks have few false alarms, and collapses are seen."""

import random

import pytest

from benchmarks.guardrail_looks import LIMITS, corrected, draw, stopped_at, uncorrected
from evals.spending import level
from training.operation.measuring import Measure, measured
from training.operation.plateau import diversity, incomparable, too_few_instances

ROUNDS, INSTANCES, SAMPLES, OPERATIONS = 30, 10, 4, 60


def test_the_levels_of_all_looks_add_up_to_alpha_at_most() -> None:
    levels = [level(look, 0.2, 30) for look in range(1, 31)]
    assert levels == sorted(levels, reverse=True)
    assert 0.17 < sum(levels) < 0.2
    assert sum(level(look, 0.2, 30) for look in range(31, 61)) < 0.12
    with pytest.raises(ValueError, match="from 1"):
        level(0, 0.2, 30)


def test_false_alarms_over_thirty_rounds_are_as_rare_as_alpha_allows() -> None:
    chance = random.Random(1)
    calm = [list(draw(chance, ROUNDS, INSTANCES, SAMPLES)) for _ in range(OPERATIONS)]
    false = sum(stopped_at(each, corrected) is not None for each in calm)
    naive = sum(stopped_at(each, uncorrected) is not None for each in calm)
    assert false < naive
    assert false <= LIMITS.end_to_end_alpha * OPERATIONS


def test_a_collapse_is_seen_within_four_looks_early_and_late() -> None:
    chance = random.Random(2)
    for collapse in (2, 20):
        fallen = [list(draw(chance, collapse + 3, 40, SAMPLES, collapse)) for _ in range(10)]
        late = [stopped_at(each, corrected) for each in fallen]
        assert sum(found is not None and found >= collapse for found in late) >= 7, late


def test_turns_after_which_the_same_adapters_serve_are_no_further_look() -> None:
    def whole(turn: int, alike: int) -> Measure:
        """Forty instances at pass@1 0.5: the samples of `alike` of them are all alike, half of these pass."""
        shown = {(f"r{n % 8}@{n}", k): bool(n % 2) if n < alike else bool(k % 2) for n in range(40) for k in (0, 1)}
        return measured(turn, turn, {}, shown)

    assert corrected([whole(1, 0), whole(2, 6)]) is not None
    assert corrected([*(whole(turn, 0) for turn in range(1, 20)), whole(20, 6)]) is not None
    changing = [whole(turn, turn % 2) for turn in range(1, 20)]
    assert corrected([*changing, whole(20, 6)]) is None, "the twentieth look wants more"
    assert corrected([*changing, whole(20, 40)]) is not None


def test_too_few_instances_to_see_a_collapse_are_said_before_it_comes() -> None:
    def whole(turn: int, instances: int, alike: bool = False) -> Measure:
        """Instances of which one sample of four passes; alike: all samples of each fourth, and no others."""
        passes = {(f"r{n}@{n}", k): (n % 4 == 0 if alike else k == 0) for n in range(instances) for k in range(4)}
        return measured(turn, turn, {}, passes | {("other@0", turn): False})

    assert too_few_instances([], LIMITS) == ""
    for instances in (1, 4, 6, 8, 12, 40):
        calm = [whole(turn, instances) for turn in range(1, 10)]
        seen = corrected([*calm, whole(10, instances, alike=True)]) is not None
        said = too_few_instances(calm, LIMITS)
        assert seen or said, instances
        assert ("by chance" in said) is (instances < 2)
    assert too_few_instances(calm, LIMITS) == ""
    sure = [measured(turn, turn, {}, {(f"r{n}@{n}", k): True for n in range(40) for k in (0, turn)}) for turn in (1, 2)]
    assert too_few_instances(sure, LIMITS).startswith("0 instances of whole runs pass in some samples")
    assert "at look 9" in too_few_instances([whole(turn, 6) for turn in range(1, 10)], LIMITS)


def test_whole_runs_of_other_packages_are_named_where_they_cannot_be_compared() -> None:
    def turn(number: int, repository: str, *passed: bool) -> Measure:
        return measured(number, number, {}, {(f"{repository}@{commit}", 0): each for commit, each in enumerate(passed)})

    kept = [turn(1, "one", True, True), turn(2, "one", True, False)]
    assert incomparable(kept) == incomparable(kept[:1]) == incomparable([]) == ""
    changed = [*kept, turn(3, "two", False, False)]
    assert "turn 2 and of turn 3" in incomparable(changed)
    assert diversity(changed, LIMITS) is None
    later = [*changed, turn(4, "two", False, True)]
    assert "turn 1 and of turn 4" in incomparable(later)
