"""Every attack of the table is tried, one test each; those of the table of residual risks may get through."""

from pathlib import Path

import pytest

from benchmarks.attacks import patches
from benchmarks.attacks.__main__ import attacks
from benchmarks.attacks.base import Attack, attempt

SLOW = {"clones", "engine", "exhaustion", "time and self"}
"""Kinds whose every attack starts processes of its own."""


def _parameters() -> list[object]:
    return [pytest.param(each, id=f"{each.kind}: {each.name}", marks=_marks(each)) for each in attacks([])]


def _marks(attack: Attack) -> list[pytest.MarkDecorator]:
    return [pytest.mark.index] * attack.index + [pytest.mark.slow] * (attack.kind in SLOW)


@pytest.mark.parametrize("attack", _parameters())
def test_an_attack_is_held(
    attack: Attack, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if attack.kind == "patches":
        prepared = request.getfixturevalue("subject")
        monkeypatch.setattr(patches, "subject", lambda: prepared)
    tried = attempt(attack, tmp_path)
    if tried.held is None:
        pytest.skip(tried.said)
    assert tried.held or attack.residual, tried.said
