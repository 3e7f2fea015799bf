"""A critic's figures: symmetric in the order, beside baselines, resumable; and best of n with a scripted critic."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.critic.cues import CUES, LENGTH, TOGETHER, fit_cues
from evals.critic.figures import ALWAYS_FIRST, baselines, critic_contender, critic_report
from evals.critic.judging import CriticQuestion, KeptCritic, Verdict, both_orders, judge, question_of
from evals.critic.parts import part_of
from evals.critic.ranking import (
    ORACLE,
    RANDOM,
    SHORTEST,
    WITH_CHANGE,
    Sample,
    SampledInstance,
    choose_best,
    rank,
    rank_instances,
)
from evals.critic.selection import choose
from models.comparisons import Comparison, Criterion, Part
from models.errors import EvaluationError
from tests.support.comparison_material import ScriptedCritic, a_comparison, longer

CODE = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
PROBABILITY = st.floats(0, 1)


def swapped(comparison: Comparison) -> Comparison:
    return comparison.model_copy(update={"better": comparison.worse, "worse": comparison.better})


def several(number: int, *, part: Part = Part.TRAINING, repositories: int = 4) -> list[Comparison]:
    criteria = list(Criterion)
    return [
        a_comparison(n, part=part, repository=f"r{n % repositories}", criterion=criteria[n % 3]) for n in range(number)
    ]


@given(CODE, CODE)
def test_a_critic_that_reads_both_sides_does_not_know_the_order(better: str, worse: str) -> None:
    question = CriticQuestion(Criterion.TASK, "Do it", "a.py::f", better, worse)
    assert question.reversed.reversed == question
    first, second = both_orders(ScriptedCritic(longer), question)
    assert first == second
    there, back = both_orders(ScriptedCritic(longer), question.reversed)
    assert there == back == 1 - first


@given(PROBABILITY, PROBABILITY)
def test_a_verdict_scores_the_swapped_comparison_as_its_complement(first: float, second: float) -> None:
    one = Verdict(id="a", shown_first=first, shown_second=second)
    other = Verdict(id="b", shown_first=1 - second, shown_second=1 - first)
    assert 0 <= one.score <= 1 and 0 <= one.first_answers <= 1
    if 0.5 not in (1 - first, 1 - second) or 0.5 in (first, second):  # rounding may make a tie of what was none
        assert one.score == 1 - other.score
        assert one.first_answers == other.first_answers


@given(st.lists(st.tuples(CODE, CODE), min_size=1, max_size=12), CODE, CODE)
def test_cues_pick_one_version_whichever_comes_first(texts: Sequence[tuple[str, str]], better: str, worse: str) -> None:
    cues = fit_cues([a_comparison(n, better=one or "x", worse=two or "y") for n, (one, two) in enumerate(texts)])
    asked = a_comparison(99, better=better or "x", worse=worse or "y")
    for cue in (*CUES, TOGETHER):
        assert cues.score(cue, asked) == pytest.approx(1 - cues.score(cue, swapped(asked)))


@pytest.mark.parametrize(
    ("script", "score", "consistency", "first"),
    [
        (lambda question: 0.9, 0.5, 0.0, 1.0),
        (lambda question: 0.2, 0.5, 0.0, 0.0),
        (lambda question: 0.5, 0.5, 0.0, 0.5),
        (longer, 1.0, 1.0, 0.5),
        (lambda question: 1 - longer(question), 0.0, 1.0, 0.5),
    ],
    ids=["always-first", "always-second", "no-opinion", "right", "wrong"],
)
def test_order_and_skill_are_told_apart(
    tmp_path: Path, script: object, score: float, consistency: float, first: float
) -> None:
    comparisons = several(12)
    critic = ScriptedCritic(script)  # type: ignore[arg-type]
    verdicts = judge(KeptCritic(critic, tmp_path), comparisons, lambda *_: None)
    found = critic_contender("c", comparisons, verdicts)
    assert (found.accuracy.value, found.consistency, found.first) == (score, consistency, first)
    assert found.accuracy.right + found.accuracy.wrong + found.accuracy.undecided == 12
    assert found.accuracy.undecided == (12 if score == 0.5 else 0)
    assert {name: each.comparisons for name, each in found.by_criterion.items()} == {c.value: 4 for c in Criterion}
    assert found.accuracy.repositories == len(found.by_repository) == 4


def test_a_critic_that_only_measures_length_does_not_beat_length(tmp_path: Path) -> None:
    comparisons = several(24, part=Part.HELD_OUT, repositories=8)
    cues = fit_cues(several(30))
    verdicts = judge(KeptCritic(ScriptedCritic(longer), tmp_path), comparisons, lambda *_: None)
    report = critic_report("held-out", comparisons, {"scripted": verdicts}, cues, ["c"], {})
    by_reference = {each.reference: each for each in report.differences}
    assert by_reference[LENGTH].value == 0 and by_reference[LENGTH].p == 1
    assert by_reference[ALWAYS_FIRST].value == 0.5
    assert by_reference[ALWAYS_FIRST].p == pytest.approx(2 / 2**8)
    assert report.fitted_on == 30


def test_cues_are_fitted_in_their_direction() -> None:
    long_is_better, short_is_better = several(30), [swapped(each) for each in several(30)]
    asked = several(6, part=Part.HELD_OUT)
    for data, expected in ((long_is_better, 1.0), (short_is_better, 0.0)):
        scores = baselines(asked, fit_cues(data))
        for cue in (LENGTH, "`raise`", "`if`", TOGETHER):
            assert set(scores[cue].values()) == {expected}
        assert set(scores["`assert`"].values()) == {0.5}
        assert set(scores[ALWAYS_FIRST].values()) == {0.5}
    assert set(baselines(asked, fit_cues([]))[TOGETHER].values()) == {0.5}


def test_a_stopped_evaluation_goes_on(tmp_path: Path) -> None:
    comparisons = several(8)

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    critic = ScriptedCritic(longer)
    with pytest.raises(KeyboardInterrupt):
        judge(KeptCritic(critic, tmp_path), comparisons, stop)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])  # as a kill in the middle of a line leaves it
    again = judge(KeptCritic(critic, tmp_path), comparisons, lambda *_: None)
    assert [each.id for each in again] == [each.id for each in comparisons]
    assert critic.asked == 2 * 8 + 1
    assert judge(KeptCritic(critic, tmp_path), comparisons, lambda *_: None) == again
    assert critic.asked == 2 * 8 + 1
    other = ScriptedCritic(longer, identity="other")
    judge(KeptCritic(other, tmp_path), comparisons, lambda *_: None)
    assert other.asked == 16


DATA = several(40) + several(5, part=Part.HELD_OUT)


@given(st.randoms(use_true_random=False), st.integers(0, 3), st.integers(1, 40))
def test_a_draw_depends_on_the_comparisons_and_the_seed_alone(chance: random.Random, seed: int, number: int) -> None:
    shuffled = [*DATA, *DATA[:7]]
    chance.shuffle(shuffled)
    drawn = choose(DATA, Part.TRAINING, number, seed)
    assert choose(shuffled, Part.TRAINING, number, seed) == drawn
    assert len({each.id for each in drawn}) == len(drawn) == number
    assert {each.part for each in drawn} == {Part.TRAINING}
    of_each = [sum(each.repository == f"r{n}" for each in drawn) for n in range(4)]
    assert max(of_each) - min(of_each) <= 1


@given(st.integers(0, 20), st.integers(0, 20), st.one_of(st.none(), st.integers(1, 40)), st.integers(0, 2))
def test_of_a_balanced_draw_length_tells_nothing(
    longer_ones: int, shorter_ones: int, number: int | None, seed: int
) -> None:
    data = several(longer_ones + shorter_ones)
    data = [*data[:longer_ones], *map(swapped, data[longer_ones:])]
    drawn = choose(data, Part.TRAINING, number, seed, balanced=True)
    least = min(longer_ones, shorter_ones)
    assert len(drawn) == 2 * (least if number is None else min(least, number // 2))
    assert sum(each.better_is_longer for each in drawn) * 2 == len(drawn)
    assert choose(list(reversed(data)), Part.TRAINING, number, seed, balanced=True) == drawn


def test_length_alone_is_right_half_the_time_when_lengths_are_balanced(tmp_path: Path) -> None:
    data = several(9)
    data = [*data[:6], *map(swapped, data[6:])]
    verdicts = judge(KeptCritic(ScriptedCritic(longer), tmp_path), data, lambda *_: None)
    found = critic_contender("c", data, verdicts)
    assert found.accuracy.value == pytest.approx(6 / 9)
    assert (found.when_longer, found.when_not_longer, found.length_balanced) == (1.0, 0.0, 0.5)


def test_parts_are_known_by_name_and_by_first_commit() -> None:
    from evals.study.plan import HELD_OUT_ROOTS

    root = HELD_OUT_ROOTS.read_text().split('"')[1]
    assert part_of({"bidict"}, ()) is Part.HELD_OUT
    assert part_of({"renamed"}, (root,)) is Part.HELD_OUT
    assert part_of({"loguru"}, ()) is Part.VALIDATION
    assert part_of({"attrs"}, ("f" * 40,)) is Part.TRAINING
    assert part_of({"of-somebody"}, ()) is Part.TRAINING


def test_both_orders_of_a_comparison_carry_the_same_words() -> None:
    asked = question_of(a_comparison(1))
    assert {asked.first, asked.second} == {asked.reversed.first, asked.reversed.second}
    assert asked[:3] == asked.reversed[:3]


# Best of n.


def instance(number: int, patches: Sequence[str], passed: Sequence[bool]) -> SampledInstance:
    samples = tuple(Sample(f"t{number}-{n}", patch) for n, patch in enumerate(patches))
    verdicts = {sample.trajectory: ok for sample, ok in zip(samples, passed, strict=True)}
    return SampledInstance(f"i{number}", f"r{number % 3}", f"Task {number}", samples, verdicts)


def shown(patch: str) -> str:
    return patch


def test_the_chosen_samples_are_compared_with_other_ways_to_choose() -> None:
    instances = [
        instance(0, ["a", "aaaa", ""], [False, True, False]),
        instance(1, ["bb", "b", "bbb"], [False, True, True]),
        instance(2, ["c", "ccc"], [False, False]),
        instance(3, ["d"], [True]),
    ]
    report = rank_instances(ScriptedCritic(longer), instances, shown, lambda *_: None)
    rates = {each.name: each.value for each in report.rates}
    assert rates == pytest.approx(
        {"scripted": 2 / 3, RANDOM: 1 / 3, WITH_CHANGE: (1 / 2 + 2 / 3) / 3, SHORTEST: 1 / 3, ORACLE: 2 / 3}
    )
    assert [each.trajectory for each in report.choices] == ["t0-1", "t1-2", "t2-1"]
    assert (report.instances, report.samples, report.left_out) == (3, 8, 1)
    assert {each.reference for each in report.differences} == {RANDOM, WITH_CHANGE, SHORTEST}
    assert all(each.low <= each.value <= each.high for each in report.rates)


def test_a_critic_is_shown_the_task_and_the_patches_alone() -> None:
    seen: list[CriticQuestion] = []

    def note(question: CriticQuestion) -> float:
        seen.append(question)
        return 0.7

    rank_instances(ScriptedCritic(note), [instance(0, ["x", "y"], [True, False])], shown, lambda *_: None)
    assert seen == [
        CriticQuestion(Criterion.TASK, "Task 0", "", "x", "y"),
        CriticQuestion(Criterion.TASK, "Task 0", "", "y", "x"),
    ]


def test_equal_and_empty_patches_are_not_asked_about() -> None:
    critic = ScriptedCritic(longer)
    samples = [Sample("a", "same"), Sample("b", "same"), Sample("c", " \n"), Sample("d", "")]
    shares, undecided = rank(critic, "Do it", samples, shown)
    assert critic.asked == 0 and undecided == 0
    assert shares["a"] == shares["b"] > shares["c"] == shares["d"]
    assert choose_best(samples, shares).trajectory == "a"
    shares, undecided = rank(
        ScriptedCritic(lambda question: 1.0), "Do it", [Sample("a", "x"), Sample("b", "yy")], shown
    )
    assert undecided == 1 and shares == {"a": 0.5, "b": 0.5}


@given(st.lists(st.sampled_from(["", "p", "qq", "rrr", "ssss"]), min_size=2, max_size=5), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_samples(patches: list[str], chance: random.Random) -> None:
    samples = [Sample(f"t{n}", patch) for n, patch in enumerate(patches)]
    again = chance.sample(samples, len(samples))
    critic = ScriptedCritic(lambda question: 0.9 if "q" in question.first else 0.3)
    shares, _ = rank(critic, "Do it", samples, shown)
    others, _ = rank(critic, "Do it", again, shown)
    assert shares == pytest.approx(others)
    assert choose_best(samples, shares) == choose_best(again, shares)


def test_one_sample_of_each_instance_is_nothing_to_choose_from() -> None:
    with pytest.raises(EvaluationError, match="samples"):
        rank_instances(ScriptedCritic(longer), [instance(0, ["a"], [True])], shown, lambda *_: None)
