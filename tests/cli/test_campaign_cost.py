"""When `cra campaign` asks before it spends."""

import io

import pytest

from cli.campaign import _confirm_cost
from harness.runs.campaigns import Estimate
from models.errors import UsageError

DEAR = Estimate(trajectories=3, prompt_tokens=1000, completion_tokens=100, cost=5.0, basis="a guess")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


@pytest.mark.parametrize("cap", [0.0, 1.0, 9.0])
def test_a_cap_of_the_users_own_is_an_answer_already(cap: float, capsys: pytest.CaptureFixture[str]) -> None:
    _confirm_cost(DEAR, 1.0, cap, confirmed=False)
    said = capsys.readouterr().err
    assert "5.00" in said
    assert ("ends in order" in said) == (cap < DEAR.cost)


def test_without_a_cap_a_dear_campaign_is_asked_about_and_a_cheap_one_is_not() -> None:
    with pytest.raises(UsageError, match="--max-cost"):
        _confirm_cost(DEAR, 1.0, None, confirmed=False)
    _confirm_cost(DEAR, 1.0, None, confirmed=True)
    _confirm_cost(DEAR, 6.0, None, confirmed=False)
