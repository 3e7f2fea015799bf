"""Where the operation stands, from what rounds and whole runs showed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.evaluation import GateReport, GateVerdict, MetricTest, Subject
from models.guardrail_settings import GuardrailSettings
from models.training import TrainingTarget
from training.cycle.improvement import SKIPPED, TargetLine
from training.cycle.past_rounds import PastRound
from training.operation.measuring import Measure, group_rates, measured
from training.operation.plateau import Evidence, judge
from training.operation.standing import State

LIMITS = GuardrailSettings()
START = datetime(2026, 11, 1, tzinfo=UTC)


def gate(power: float | None, high: float = 0.3) -> GateReport:
    test = MetricTest(
        metric="pooled_macro_f1", primary=True, champion=0.6, challenger=0.61, difference=0.01, low=-0.1, high=high,
        p_repository=0.5, p_item=0.5, p_adjusted=0.5, detectable=0.05, threshold=None, items=50, repositories=8,
        power=power,
    )  # fmt: skip
    return GateReport(
        target=TrainingTarget.SCOPE, champion=Subject(name="a", base="b"), challenger=Subject(name="c", base="b"),
        set_id="s", verdict=GateVerdict.INCONCLUSIVE, reason="", tests=(test,),
    )  # fmt: skip


def past(
    number: int,
    verdict: str = "inconclusive",
    repositories: Sequence[str] = ("a",),
    fresh: Sequence[str] = (),
    gates: Sequence[GateReport] = (gate(0.9),),
    reason: str = "no significant gain",
    **changes: Any,
) -> PastRound:
    line = TargetLine(round=number, target=TrainingTarget.SCOPE, verdict=verdict, reason=reason, adapter=f"v{number}")
    given: dict[str, Any] = {
        "number": number, "repositories": tuple(repositories), "fresh": tuple(fresh), "base": "tiny",
        "targets": (TrainingTarget.SCOPE,), "began_at": START, "ended_at": START + timedelta(hours=1),
        "abandoned": False, "lines": (line,), "gates": tuple(gates),
    }  # fmt: skip
    return PastRound(**{**given, **changes})


def judged(
    *rounds: PastRound, offered: Sequence[str] = ("a",), measures: Sequence[Measure] = (), since: int = 0
) -> Any:
    standing = judge(Evidence(rounds, measures, offered, since), LIMITS)
    return standing.state, standing.rule


def whole(number: int, solved: Sequence[Sequence[bool]], repositories: int = 8) -> Measure:
    """Whole runs of repositories, each with these instances and their samples."""
    passes = {
        (f"r{repository}@{place}", seed): passed
        for repository in range(repositories)
        for place, samples in enumerate(solved)
        for seed, passed in enumerate(samples)
    }
    return measured(number, number, {"scope": f"v{number}"}, passes)


def test_it_goes_on_while_something_is_promoted() -> None:
    assert judged() == (State.GOES_ON, "")
    assert judged(past(1, "promote", fresh=["a"])) == (State.GOES_ON, "")
    assert judged(past(1), past(2, "promote", fresh=["b"]), offered=["z"]) == (State.GOES_ON, "")


def test_two_rounds_without_a_promotion_are_a_plateau_if_the_gates_could_have_seen_one() -> None:
    assert judged(past(1, fresh=["a"]), past(2)) == (State.DONE, "plateau")
    assert judged(past(1, "promote", fresh=["a"]), past(2), offered=["z"]) == (State.GOES_ON, "")


def test_a_new_repository_reopens_a_plateau_until_new_ones_do_not_help() -> None:
    rounds = [past(1, fresh=["a"]), past(2)]
    assert judged(*rounds, offered=["a", "b"]) == (State.GOES_ON, "")
    rounds.append(past(3, repositories=["a", "b"], fresh=["b"]))
    assert judged(*rounds, offered=["a", "b"]) == (State.DONE, "plateau")
    rounds.append(past(4, repositories=["a", "b", "c"], fresh=["c"]))
    assert judged(*rounds, offered=["a", "b", "c", "d"]) == (State.STOPPED, "plateau")


@pytest.mark.parametrize(("power", "high", "state"), [
    (0.79, 0.3, State.STOPPED), (None, 0.3, State.STOPPED), (0.80, 0.3, State.DONE), (None, 0.04, State.DONE),
])  # fmt: skip
def test_the_silence_of_weak_gates_is_no_plateau(power: float | None, high: float, state: State) -> None:
    weak = [gate(power, high)]
    rule = "plateau" if state is State.DONE else "power"
    assert judged(past(1, gates=weak, fresh=["a"]), past(2, gates=weak)) == (state, rule)


def test_rounds_in_which_nothing_was_judged() -> None:
    nothing = {"gates": (), "verdict": SKIPPED, "reason": "no new examples since the last training"}
    assert judged(past(1, **nothing), past(2, **nothing)) == (State.WAITING, "fresh-repositories")
    refused = {**nothing, "reason": "teacher-share: 1 of 10 examples (10%) are not the student's own"}
    assert judged(past(1, **refused), past(2, **refused)) == (State.STOPPED, "teacher-share")
    assert judged(past(1, **refused), past(2, **refused), offered=["b"]) == (State.GOES_ON, "")
    without = {**nothing, "reason": "scope-v2-0123456789ab: the adapter has no effect on the trial prompts"}
    assert judged(past(1, **without), past(2, **without)) == (State.STOPPED, "failed")


def test_after_two_rounds_without_a_new_repository_it_waits_for_one() -> None:
    rounds = [past(1, "promote", fresh=["a"]), past(2, "promote")]
    assert judged(*rounds) == (State.WAITING, "fresh-repositories")
    assert judged(*rounds, offered=["a", "b"]) == (State.GOES_ON, "")


def test_a_person_continues_after_a_plateau() -> None:
    rounds = [past(1, fresh=["a"]), past(2, repositories=["a", "b"], fresh=["b"])]
    assert judged(*rounds, offered=["b"]) == (State.STOPPED, "plateau")
    assert judged(*rounds, offered=["b"], since=2) == (State.GOES_ON, "")


def test_rounds_that_were_given_up_do_not_count() -> None:
    assert judged(past(1, fresh=["a"]), past(2, abandoned=True), offered=["z"]) == (State.GOES_ON, "")


def test_promotions_that_leave_whole_runs_where_they_were_are_a_plateau() -> None:
    same = [[True, False], [False, False]] * 5
    better = [[True, True], [False, True]] * 5
    rounds = [past(n, "promote", [f"r{n}"], [f"r{n}"]) for n in (1, 2, 3)]
    flat = [whole(n, same) for n in (1, 2, 3)]
    assert judged(*rounds, measures=flat, offered=["r4"]) == (State.STOPPED, "plateau")
    assert judged(*rounds, measures=[*flat[:2], whole(3, better)], offered=["r4"]) == (State.GOES_ON, "")


def test_few_repositories_or_few_instances_show_no_plateau() -> None:
    same = [[True, False], [False, False]] * 5
    rounds = [past(n, "promote", [f"r{n}"], [f"r{n}"]) for n in (1, 2, 3)]
    alone = [whole(n, same * 40, repositories=1) for n in (1, 2, 3)]
    assert judged(*rounds, measures=alone, offered=["r4"]) == (State.GOES_ON, "")
    small = [whole(n, same[:2]) for n in (1, 2, 3)]  # 16 instances without a change exclude no gain of 0.05
    assert judged(*rounds, measures=small, offered=["r4"]) == (State.GOES_ON, "")


@pytest.mark.parametrize(("items", "repositories", "rule"), [
    (1, 1, "power"), (50, 8, "power"), (500, 1, "power"), (500, 8, "plateau"),
])  # fmt: skip
def test_answers_that_are_all_equal_show_no_plateau_if_they_are_few(items: int, repositories: int, rule: str) -> None:
    equal = {"low": 0.0, "high": 0.0, "items": items, "repositories": repositories, "power": None}
    report = gate(None).model_copy(update={"tests": (gate(None).tests[0].model_copy(update=equal),)})
    rounds = [past(n, gates=[report], fresh=["a"] if n == 1 else []) for n in (1, 2)]
    assert judged(*rounds)[1] == rule


def test_a_fall_of_whole_runs_is_no_plateau() -> None:
    rounds = [past(n, "promote", [f"r{n}"], [f"r{n}"]) for n in (1, 2, 3)]
    good, bad = [[True, True], [False, True]] * 5, [[True, False], [False, True]] * 5
    falling = [whole(1, good), whole(2, good), whole(3, bad)]
    assert judged(*rounds, measures=falling, offered=["r4"]) == (State.STOPPED, "fall")


def test_an_adapter_that_may_not_serve_wants_a_person() -> None:
    held = {"verdict": "withheld", "reason": "passed its gate and was not promoted: a base is being replaced"}
    assert judged(past(1, fresh=["a"]), past(2, **held)) == (State.STOPPED, "withheld")


def test_loss_of_diversity_stops_it_also_if_it_comes_in_small_steps() -> None:
    def mixed(alike: int) -> list[list[bool]]:
        """Thirty instances at pass@1 0.5: samples of `alike` of them are all alike, half of these pass."""
        return [[bool(n % 2)] * 2 if n < alike else [True, False] for n in range(30)]

    rounds = [past(n, "promote", [f"r{n}"], [f"r{n}"]) for n in (1, 2, 3)]
    small = [whole(1, mixed(0)), whole(2, mixed(2)), whole(3, mixed(4))]
    assert judged(*rounds[:2], measures=small[:2], offered=["r9"]) == (State.GOES_ON, "")
    assert judged(*rounds, measures=small, offered=["r9"]) == (State.STOPPED, "diversity")


def test_rates_are_of_all_reserved_repositories_and_of_those_out_of_distribution() -> None:
    samples = {("a@1", 0): True, ("a@1", 1): False, ("b@1", 0): False, ("b@1", 1): False}
    rates = group_rates(measured(3, 2, {}, samples), {"a"})
    assert [(each.group, each.k, each.at_1.value, each.at_k.value) for each in rates] == [
        ("reserved", 2, 0.25, 0.5), ("out of distribution", 2, 0.5, 1.0),
    ]  # fmt: skip
    assert all(each.at_k.low <= each.at_k.value <= each.at_k.high for each in rates)
