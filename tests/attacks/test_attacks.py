"""Every attack of the table is tried, one test each; those of the table of residual risks may get through."""

from pathlib import Path

import pytest

from benchmarks.attacks.__main__ import attacks
from benchmarks.attacks.base import Attack, attempt


def _parameters() -> list[object]:
    found = attacks([])
    return [pytest.param(a, id=f"{a.kind}: {a.name}", marks=[pytest.mark.index] if a.index else []) for a in found]


@pytest.mark.parametrize("attack", _parameters())
def test_an_attack_is_held(attack: Attack, tmp_path: Path) -> None:
    tried = attempt(attack, tmp_path)
    if tried.held is None:
        pytest.skip(tried.said)
    assert tried.held or attack.residual, tried.said
