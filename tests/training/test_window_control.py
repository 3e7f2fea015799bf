"""What is known of a smaller window's part in a gate: its sibling on the same data, which is the control."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.base_evaluation import BaseReport, Forgetting, ForgettingBounds
from models.evaluation import GateVerdict, Subject
from tests.support.tiny import make_tiny_base
from training.adapters.registry.base_registry import BaseRegistry
from training.bases.bases import Base, add_base, find_base, list_bases
from training.cycle.window_control import window_note

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytest.importorskip("torch")


def tuned(curated: "Engine", root: Path, seed: int, data: str, window: int | None = None, steps: int = 9) -> Base:
    folder = make_tiny_base(root / f"tuned-{seed}", seed=seed)
    if window is not None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"max_position_embeddings": window}))
    return BaseRegistry(curated, root).register(
        folder, "reasoning", find_base(curated, "old"), dataset=data * 64, datasets=(), job=str(seed) * 64,
        config={"max_steps": steps, "max_tokens": window or 4096}, code_revision="2", window=window,
    )  # fmt: skip


def note(curated: "Engine", root: Path, challenger: Base, champion: Base) -> str:
    return window_note(BaseRegistry(curated, root), list_bases(curated), challenger, champion)


def test_the_control_is_the_sibling_on_the_same_data_with_the_whole_window(curated: "Engine", tmp_path: Path) -> None:
    old = add_base(curated, tmp_path, make_tiny_base(tmp_path / "old"), "old")
    reduced = tuned(curated, tmp_path, 1, "a", window=1024)
    assert reduced.facts["window"] < old.facts["window"]
    tuned(curated, tmp_path, 2, "b")  # on other data
    tuned(curated, tmp_path, 3, "a", window=512)  # smaller as well
    tuned(curated, tmp_path, 5, "a", steps=1)  # by another recipe
    assert "without --window" in note(curated, tmp_path, reduced, old)

    control = tuned(curated, tmp_path, 4, "a")
    assert note(curated, tmp_path, control, old) == ""
    assert f"--against {control.name}" in note(curated, tmp_path, reduced, old)
    assert "only the window differs" in note(curated, tmp_path, reduced, control)

    report = BaseReport(
        role="reasoning",
        champion=Subject(name=control.name, base=control.id),
        challenger=Subject(name=reduced.name, base=reduced.id),
        verdict=GateVerdict.INCONCLUSIVE,
        reason="no gain",
        forgetting=(Forgetting(kind="instructions", prompts=1, tokens=9, before=1.0, after=1.1),),
        bounds=ForgettingBounds(rise=0.2, agreement=0.7),
    )
    BaseRegistry(curated, tmp_path).note(reduced, report)
    assert note(curated, tmp_path, reduced, old).endswith("the gate against it says inconclusive")
