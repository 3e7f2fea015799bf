"""Tasks of ours: what is retried, and what the engine leaves alone."""

from dataclasses import dataclass
from typing import Any

import pytest
from prefect import flow

from models.errors import CapReached, InfrastructureError, ProviderError
from tasks.define import engine_task, opaque_argument


@pytest.mark.parametrize(
    ("error", "tries"),
    [(InfrastructureError("disk"), 3), (ProviderError("down"), 1), (CapReached("spent"), 1), (ValueError("bug"), 1)],
)
def test_only_faults_of_the_machine_are_retried(
    prefect_engine: None, monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    monkeypatch.setattr("tasks.define.RETRY_DELAYS", [0.01, 0.01])
    tried: list[str] = []

    @engine_task("{label}")
    def fail(label: str) -> None:
        tried.append(label)
        raise error

    @flow(persist_result=False)
    def failing() -> None:
        fail("once more")

    with pytest.raises(type(error), match=str(error)):
        failing()
    assert len(tried) == tries


VISITS: list[str] = []


@dataclass
class Live:
    """Notes when its field is read."""

    field: int = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "field":
            VISITS.append(name)
        return object.__getattribute__(self, name)


def test_what_an_opaque_argument_holds_is_not_visited(prefect_engine: None) -> None:
    live = Live()

    @engine_task("look")
    def look(given: Live) -> bool:
        return given is live

    @flow(persist_result=False)
    def looking(opaque: bool) -> int:
        VISITS.clear()
        assert look(opaque_argument(live) if opaque else live)
        return len(VISITS)

    assert looking(True) == 0
    assert looking(False) > 0
