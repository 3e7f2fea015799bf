"""Gates: what they promote, reject and leave open, and what they refuse to compare."""

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.gate_report import COLUMNS, SHORT, gate_markdown, gate_rows, short_rows
from evals.gates import decide, decide_together
from evals.paired import at_item_level, detectable, holm, interval, mcnemar, no_worse, sign_flip
from evals.thresholds import REQUIREMENTS, Rules
from evals.tiers import TierStatus, check_tier, next_targets
from models.errors import EvaluationError, GuardrailError
from models.evaluation import ClassJudgement, Evaluation, GateVerdict, ItemScore, Subject
from models.training import TrainingTarget

Score = Callable[[int, int], dict[str, float]]


def evaluation(name: str, score: Score, repositories: int = 8, items: int = 20, **changes: object) -> Evaluation:
    scores = tuple(
        ItemScore(item=f"{r}-{i}", repository=f"r{r}", seed=0, scores=score(r, i))
        for r in range(repositories)
        for i in range(items)
    )
    fields: dict[str, object] = {
        "set_id": "s" * 64,
        "target": TrainingTarget.CODE,
        "subject": Subject(name=name, base="b", adapter=None if name == "base" else name),
        "settings": {"temperature": 0.0},
        "scores": scores,
        "seconds": 1.0,
    }
    return Evaluation.model_validate(fields | changes)


def passes(below: int) -> Score:
    """Of each repository's items the first `below` pass."""
    return lambda _, item: {"pass@1": float(item < below)}


def scope(accuracy: float, recall: float) -> Score:
    return lambda _, item: {"accuracy": float(item < accuracy * 20), "relevant_recall": float(item < recall * 20)}


def test_a_gain_in_every_repository_is_promoted() -> None:
    report = decide(evaluation("base", passes(5)), evaluation("code-v1", passes(8)))
    assert report.verdict is GateVerdict.PROMOTE
    [test] = report.tests
    assert test.p_repository == 2 / 2**8
    assert (test.champion, test.challenger) == (0.25, 0.4)
    assert test.difference == pytest.approx(0.15)
    assert (test.low, test.high) == pytest.approx((0.15, 0.15))


def test_no_difference_keeps_the_champion() -> None:
    report = decide(evaluation("base", passes(5)), evaluation("code-v1", passes(5)))
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert report.tests[0].p_adjusted == 1.0


def test_a_gain_in_one_repository_alone_is_not_significant() -> None:
    lone: Score = lambda repository, item: {"pass@1": float(item < (20 if repository == 0 else 5))}  # noqa: E731
    report = decide(evaluation("base", passes(5)), evaluation("code-v1", lone))
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert report.tests[0].p_item < 0.001


def plans(meta: int, part: int) -> Score:
    """Of each repository's items the first five are meta plans, the others part plans; so many of each pass."""

    def score(_: int, item: int) -> dict[str, float]:
        stage, passed = ("meta_plan", item < meta) if item < 5 else ("part_plan", item - 5 < part)
        return {"pass@1": float(passed), f"pass@1 {stage}": float(passed)}

    return score


@pytest.mark.parametrize(
    ("before", "after", "verdict", "said"),
    [
        ((3, 3), (3, 9), GateVerdict.PROMOTE, "pass@1 0.300 to 0.600 (p = 0.0078)"),
        ((3, 3), (1, 12), GateVerdict.REJECT, "pass@1 meta_plan 0.600 to 0.200, which is significantly worse"),
        ((0, 3), (0, 3), GateVerdict.INCONCLUSIVE, "no significant gain"),
    ],
)
def test_one_kind_of_plans_does_not_pay_for_another(
    before: tuple[int, int], after: tuple[int, int], verdict: GateVerdict, said: str
) -> None:
    one, other = (
        evaluation(name, plans(*counts), target=TrainingTarget.PLANNING)
        for name, counts in (("base", before), ("v1", after))
    )
    report = decide(one, other)
    assert (report.verdict, report.reason[: len(said)]) == (verdict, said)


def test_a_kind_of_plans_that_may_have_got_worse_keeps_the_champion() -> None:
    better = plans(3, 9)
    some: Score = lambda r, i: plans(0, 9)(r, i) if r < 3 else better(r, i)  # noqa: E731
    report = decide(
        evaluation("base", plans(3, 3), target=TrainingTarget.PLANNING),
        evaluation("v1", some, target=TrainingTarget.PLANNING),
    )
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert "but pass@1 meta_plan 0.600 to 0.375 (40 items, p = 0.0020) is a loss of more than 0.050" in report.reason


def test_one_item_of_a_kind_has_no_veto() -> None:
    unlucky: Score = lambda r, i: plans(2 if r == 0 else 3, 9)(r, i)  # noqa: E731
    few = {"target": TrainingTarget.PLANNING, "repositories": 6, "items": 20}
    report = decide(evaluation("base", plans(3, 3), **few), evaluation("v1", unlucky, **few))
    assert report.verdict is GateVerdict.PROMOTE


def test_a_gain_beside_a_loss_beyond_the_margin_is_rejected() -> None:
    one, other = (
        evaluation("base", scope(0.5, 0.9), target=TrainingTarget.SCOPE),
        evaluation("scope-v1", scope(0.9, 0.8), target=TrainingTarget.SCOPE),
    )
    report = decide(one, other)
    assert report.verdict is GateVerdict.REJECT
    assert "relevant_recall 0.900 to 0.800" in report.reason
    assert decide(one, other, rules=Rules(margin=0.2)).verdict is GateVerdict.REJECT  # the loss is significant as well


def test_a_gain_beside_a_metric_that_may_have_lost_is_left_open() -> None:
    chance = random.Random(3)
    noisy = {(r, i): float(chance.random() < 0.5) for r in range(8) for i in range(20)}
    before: Score = lambda r, i: {"accuracy": float(i < 8), "relevant_recall": noisy[r, i]}  # noqa: E731
    after: Score = lambda r, i: {"accuracy": float(i < 14), "relevant_recall": noisy[(r + 1) % 8, i]}  # noqa: E731
    one, other = (evaluation(n, s, target=TrainingTarget.SCOPE) for n, s in (("base", before), ("scope-v1", after)))
    report = decide(one, other)
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert "may be a loss of more than 0.050" in report.reason


def test_with_few_repositories_nothing_is_said_beyond_them() -> None:
    one, other = evaluation("base", passes(5), 4), evaluation("code-v1", passes(15), 4)
    kept = decide(one, other)
    assert kept.verdict is GateVerdict.INCONCLUSIVE
    assert "beyond these repositories: inconclusive" in kept.reason
    assert kept.tests[0].p_repository is None
    promoted = decide(one, other, rules=Rules(item_level=True))
    assert promoted.verdict is GateVerdict.PROMOTE
    assert "test over items of 4 repositories, which the rules accept" in promoted.reason
    assert "beyond these repositories: inconclusive" in promoted.reason
    assert decide(other, one).verdict is GateVerdict.REJECT


def test_targets_gated_together_are_corrected_for_it() -> None:
    gain = evaluation("base", passes(5), 6), evaluation("code-v1", passes(8), 6)
    alone = decide(*gain)
    idle = evaluation("base", passes(5), 6), evaluation("code-v2", passes(5), 6)
    together = decide_together([gain, idle])
    assert (alone.verdict, alone.tests[0].p_adjusted) == (GateVerdict.PROMOTE, 2 / 2**6)
    assert (together[0].verdict, together[0].tests[0].p_adjusted) == (GateVerdict.INCONCLUSIVE, 4 / 2**6)


def test_a_first_adapter_is_told_whether_it_reaches_the_thresholds() -> None:
    one, other = (
        evaluation(n, s, target=TrainingTarget.SCOPE) for n, s in (("base", scope(0.5, 0.7)), ("x", scope(0.8, 0.8)))
    )
    reason = decide(one, other).reason
    assert "accuracy reaches the 0.75" in reason
    assert "relevant_recall misses the 0.85" in reason
    later = evaluation("scope-v1", scope(0.5, 0.7), target=TrainingTarget.SCOPE)
    assert "first adapter" not in decide(later, other).reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"set_id": "t" * 64}, "set_id"),
        ({"target": TrainingTarget.PLANNING}, "target"),
        ({"settings": {"temperature": 1.0}}, "setting temperature is 0.0 against 1.0"),
        ({"settings": {"temperature": 0.0, "template": "x"}}, "setting template"),
        ({"scores": ()}, "no counterpart"),
    ],
)
def test_what_was_not_measured_alike_is_not_compared(changes: dict[str, object], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        decide(evaluation("base", passes(5)), evaluation("code-v1", passes(6), **changes))


def test_seeds_and_metrics_must_pair_up() -> None:
    one = evaluation("base", passes(5))
    moved = tuple(score.model_copy(update={"seed": 1}) for score in one.scores)
    with pytest.raises(EvaluationError, match="no counterpart, first item 0-0 seed 0"):
        decide(one, evaluation("code-v1", passes(6), scores=moved))
    gap: Score = lambda _, item: {"pass@1": 1.0} if item else {}  # noqa: E731
    with pytest.raises(EvaluationError, match="item 0-0 has pass@1 for one of the two only"):
        decide(one, evaluation("code-v1", gap))
    with pytest.raises(EvaluationError, match="primary metric pass@1"):
        decide(*(evaluation(name, lambda *_: {"other": 1.0}) for name in ("base", "code-v1")))


def test_a_report_reads_the_same_everywhere() -> None:
    report = decide(evaluation("base", passes(5)), evaluation("code-v1", passes(8)))
    [row], [short] = gate_rows(report), short_rows(report)
    assert (len(row), len(short)) == (len(COLUMNS), len(SHORT))
    assert set(short[:3]) <= set(row)
    text = gate_markdown([report])
    assert f"**promote**: {report.reason}" in text
    assert all(cell in text for cell in row)


def coins(chance: random.Random, spread: float) -> Score:
    """Two metrics that are coins, whose bias is drawn for each repository about a half."""
    bias = {(r, m): chance.gauss(0.5, spread) for r in range(7) for m in ("accuracy", "relevant_recall")}
    return lambda r, _: {m: float(chance.random() < bias[r, m]) for m in ("accuracy", "relevant_recall")}


def test_the_gate_promotes_what_is_no_better_in_at_most_a_twentieth() -> None:
    chance = random.Random(11)
    rounds, promoted, naive = 150, 0, 0
    for _ in range(rounds):
        one = evaluation("base", coins(chance, 0.0), 7, target=TrainingTarget.SCOPE)
        other = evaluation("scope-v1", coins(chance, 0.15), 7, target=TrainingTarget.SCOPE)
        report = decide(one, other)
        promoted += report.verdict is GateVerdict.PROMOTE
        naive += any(test.p_item <= 0.05 and test.difference > 0 for test in report.tests)
    assert promoted <= 0.05 * rounds
    assert naive > 0.05 * rounds


def test_mcnemar_needs_six_changes_one_way() -> None:
    assert mcnemar([1.0] * 5) == 0.0625
    assert mcnemar([1.0] * 6) == 0.03125
    assert mcnemar([]) == mcnemar([0.0] * 9) == mcnemar([1.0, -1.0]) == 1.0


@given(st.lists(st.integers(-4, 4), max_size=9))
@settings(max_examples=60, deadline=None)
def test_the_sign_flip_is_the_share_of_all_signs(values: list[int]) -> None:
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in _signs(len(values))]
    assert sign_flip(values) == pytest.approx(sum(each >= abs(sum(values)) for each in sums) / len(sums))
    assert sign_flip(values) == sign_flip([-value for value in values])


def _signs(count: int) -> list[tuple[int, ...]]:
    return list(itertools.product((1, -1), repeat=count))


def test_a_drawn_sign_flip_is_near_the_exact_one_and_repeats() -> None:
    chance = random.Random(5)
    values = [chance.gauss(0.4, 1) for _ in range(20)]
    padded = [*values, *[1e-7] * 5]  # too many to enumerate, and of no weight
    assert sign_flip(padded) == pytest.approx(sign_flip(values), abs=0.01)
    assert sign_flip(padded) == sign_flip(padded)
    assert sign_flip([1.0] * 60) == pytest.approx(1 / 20_001)


@given(st.lists(st.sampled_from([0.001, 0.01, 0.03, 0.2, 1.0]), min_size=1, max_size=6))
def test_holm_keeps_the_order_and_never_lowers(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(after >= before for before, after in zip(values, adjusted, strict=True))
    pairs = sorted(zip(values, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    assert min(adjusted) == min(1.0, len(values) * min(values))


def test_no_worse_is_shown_by_data_and_not_by_their_lack() -> None:
    assert no_worse([[0.0] * 10] * 6, 0.05) == 1 / 2**6
    assert no_worse([[0.0] * 10] * 2, 0.05) > 0.05
    assert no_worse([[-0.2] * 10] * 8, 0.05) == 1.0


def test_interval_and_detectable_follow_the_clusters() -> None:
    alike = {f"r{r}": [1.0, -1.0] * 10 for r in range(6)}
    apart = {f"r{r}": [(-1.0) ** r] * 20 for r in range(6)}
    assert interval(alike)[1] < interval(apart)[1]
    assert (detectable(list(alike.values())) or 1.0) < (detectable(list(apart.values())) or 0.0)
    assert detectable([[0.0] * 30] * 10) == 6 / 300
    assert detectable([[1.0]] * 5) is None


def test_two_targets_gated_together_take_a_seventh_repository() -> None:
    pairs = [(evaluation("base", passes(0), count), evaluation("code-v1", passes(20), count)) for count in (6, 7)]
    six, seven = ([report.reason for report in decide_together([pair, pair])] for pair in pairs)
    assert "can find no difference of 2 targets gated together: at least 7 repositories are needed" in six[0]
    assert seven[0].startswith("pass@1 0.000 to 1.000 (p = 0.0312)")


def test_a_kind_with_too_few_items_to_tell_may_not_lose_any() -> None:
    def rare(meta: float, part: int) -> Score:
        def score(r: int, i: int) -> dict[str, float]:
            stage, passed = ("meta_plan", meta) if (r, i) in ((0, 0), (1, 0)) else ("part_plan", float(i < part))
            return {"pass@1": passed, f"pass@1 {stage}": passed}

        return score

    both = [evaluation(n, rare(*c), target=TrainingTarget.PLANNING) for n, c in (("base", (1.0, 3)), ("v1", (0.0, 9)))]
    report = decide(*both)
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert "pass@1 meta_plan 1.000 to 0.000 (2 items" in report.reason


def test_a_set_that_can_show_nothing_says_so() -> None:
    few = {"repositories": 1, "items": 5}
    report = decide(evaluation("base", passes(0), **few), evaluation("code-v1", passes(5), **few))
    assert report.verdict is GateVerdict.INCONCLUSIVE
    assert report.reason.endswith("can find no difference: at least 6 items are needed")
    assert gate_rows(report)[0][7] == "none"
    assert interval({"one": [0.0, 1.0] * 20})[0] > 0.3


def test_items_that_are_no_yes_or_no_go_by_sign_flip() -> None:
    assert at_item_level([1.0] * 6) == mcnemar([1.0] * 6)
    assert at_item_level([0.5] * 6) == sign_flip([0.5] * 6) == 0.03125


def test_every_target_has_its_metrics() -> None:
    assert set(REQUIREMENTS) == {each for each in TrainingTarget if each.serves}
    assert all(1 <= len(need.metrics) <= 2 for need in REQUIREMENTS.values())  # the gate's bound on alpha rests on it


def test_no_tier_before_the_one_below_has_passed() -> None:
    nothing = TierStatus()
    assert next_targets(nothing) == [TrainingTarget.CODE, TrainingTarget.SCOPE]
    assert check_tier(TrainingTarget.SCOPE, nothing) == ""
    with pytest.raises(GuardrailError, match="tier-order: precision is of tier 2") as caught:
        check_tier(TrainingTarget.PRECISION, nothing)
    assert caught.value.rule == "tier-order"
    assert "passed over" in check_tier(TrainingTarget.PRECISION, nothing, "a trial")
    with pytest.raises(GuardrailError):
        check_tier(TrainingTarget.PRECISION, nothing, "  ")
    first = TierStatus(frozenset({TrainingTarget.CODE, TrainingTarget.SCOPE}), frozenset({"reasoning"}))
    assert next_targets(first) == [TrainingTarget.PRECISION, TrainingTarget.TASK_ANALYSIS]
    everything = first._replace(promoted=frozenset(set(TrainingTarget) - {TrainingTarget.PLANNING}), stable=True)
    assert next_targets(everything) == [TrainingTarget.PLANNING]
    for stable, why in ((False, "succeed steadily;"), (None, "two student campaigns on the same packages")):
        with pytest.raises(GuardrailError, match=why):
            check_tier(TrainingTarget.PLANNING, everything._replace(stable=stable))


def judging(skill: Callable[[int], float], chance: random.Random, repositories: int = 8) -> Evaluation:
    """A judge of scope: in repository r a candidate gets its class with probability `skill(r)`, else another; of five
    candidates one is relevant, one supporting."""
    labels = ("relevant", "supporting", "irrelevant", "irrelevant", "irrelevant")
    scores = []
    for r in range(repositories):
        for i in range(12):
            given = [label if chance.random() < skill(r) else chance.choice(labels) for label in labels]
            judged = tuple(
                ClassJudgement(expected=label, given=answer, place=place)
                for place, (label, answer) in enumerate(zip(labels, given, strict=True), 1)
            )
            right = [a == b for a, b in zip(labels, given, strict=True)]
            values = {"accuracy": sum(right) / 5, "relevant_recall": float(right[0])}
            scores.append(ItemScore(item=f"{r}-{i}", repository=f"r{r}", seed=0, scores=values, judgements=judged))
    return evaluation("judge", lambda *_: {}, target=TrainingTarget.SCOPE, scores=tuple(scores))


def test_a_judge_that_is_better_everywhere_is_promoted_by_pooled_metrics() -> None:
    chance = random.Random(3)
    report = decide(judging(lambda _: 0.1, chance), judging(lambda _: 0.7, chance))
    assert report.verdict is GateVerdict.PROMOTE
    assert [test.metric for test in report.tests if test.primary] == ["average_precision", "pooled_macro_f1"]
    assert {"accuracy", "relevant_recall", "balanced_accuracy"} <= {test.metric for test in report.tests}
    assert all(test.power is not None for test in report.tests if test.primary)


def test_on_few_repositories_a_judge_is_compared_by_items() -> None:
    chance = random.Random(3)
    report = decide(judging(lambda _: 0.1, chance, 5), judging(lambda _: 0.7, chance, 5))
    assert [test.metric for test in report.tests if test.primary] == ["accuracy", "relevant_recall"]
    assert report.verdict is GateVerdict.INCONCLUSIVE


def test_the_gate_promotes_a_judge_that_is_no_better_in_at_most_a_twentieth() -> None:
    chance = random.Random(17)
    rounds, promoted, naive = 120, 0, 0
    for _ in range(rounds):
        edges = [chance.gauss(0.0, 0.25) for _ in range(8)]
        one = judging(lambda _: 0.5, chance)
        other = judging(lambda r, edges=edges: min(1.0, max(0.0, 0.5 + edges[r])), chance)  # type: ignore[misc]
        report = decide(one, other)
        promoted += report.verdict is GateVerdict.PROMOTE
        naive += any(test.p_item <= 0.05 and test.difference > 0 for test in report.tests if test.metric == "accuracy")
    assert promoted <= 0.05 * rounds
    assert naive > 0.05 * rounds
