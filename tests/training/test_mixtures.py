"""Mixtures: rows of several datasets with their objectives, shares, caps, and what is held out of all of them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.errors import TrainingError, UsageError
from models.mixture import MixedObjective, MixtureSettings, shares_of
from models.objectives import Objective, objective_of, read_objectives
from models.protocols import Stage
from models.training import PairSource, TrainingTarget
from store.learning.datasets import datasets_since
from store.runs import RawStore, open_raw_store
from tests.support.base_material import dataset_of
from training.cycle.tuning import make_order
from training.data.datasets import newest_dataset, read_dataset
from training.data.mixtures import Mixture, make_mixture, read_mixture

STYLE, ROLE, PLANNING, POSITION = Objective.STYLE, Objective.ROLE, Objective.PLANNING, Objective.POSITION


@pytest.fixture
def raw(tmp_path: Path) -> RawStore:
    return open_raw_store(tmp_path / "raw.sqlite")


@pytest.fixture
def datasets(raw: RawStore, tmp_path: Path) -> dict[str, str]:
    """Datasets of plans, of scope, and of code with fail-fast examples and others."""
    plans, scope, code = TrainingTarget.PLANNING, TrainingTarget.SCOPE, TrainingTarget.CODE
    made = {
        "plans": dataset_of(raw, tmp_path, plans, stage="meta_plan", rows=5, held=("held0", "held1")),
        "scope": dataset_of(raw, tmp_path, scope, trained=("alpha", "held1"), held=("held0", "held2")),
        "style": dataset_of(raw, tmp_path, code, source="fail-fast", rows=3, held=("held2",)),
        "code": dataset_of(raw, tmp_path, code, rows=2, held=("held3",)),
    }
    return {name: str(path) for name, path in made.items()}


def mixed(raw: RawStore, folder: Path, names: list[str], wanted: tuple[Objective, ...] = (), **more: Any) -> Mixture:
    settings = MixtureSettings(datasets=tuple(names), **more)
    return make_mixture(raw, folder, settings, "reasoning", wanted)


def rows_of(mixture: Mixture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (mixture.directory / "sft.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("source", "stage", "objective"),
    [
        (PairSource.FAIL_FAST, Stage.CODE, STYLE),
        (PairSource.POSITION, Stage.CODE, POSITION),
        (PairSource.HARNESS, Stage.TEST_PLAN, PLANNING),
        (PairSource.PLAN_ARTIFACTS, Stage.META_PLAN, PLANNING),
        (PairSource.SYNTHETIC, Stage.SCOPE, ROLE),
        (PairSource.LINTSEQ, Stage.CODE, ROLE),
    ],
)
def test_the_objective_follows_from_source_and_stage(source: PairSource, stage: Stage, objective: Objective) -> None:
    assert objective_of(source.value, stage) is objective


def test_what_shares_leave_is_divided_by_rows() -> None:
    settings = MixtureSettings(datasets=("d",), objectives={STYLE: MixedObjective(share=0.2), ROLE: MixedObjective()})
    assert shares_of(settings, {STYLE: 10, ROLE: 30, PLANNING: 10}) == pytest.approx(
        {STYLE: 0.2, ROLE: 0.6, PLANNING: 0.2}
    )
    assert shares_of(MixtureSettings(datasets=("d",)), {ROLE: 30, PLANNING: 10}) == {PLANNING: 0.25, ROLE: 0.75}


def test_an_objective_that_would_get_nothing_is_refused(
    raw: RawStore, tmp_path: Path, datasets: dict[str, str]
) -> None:
    """The settings alone are whole; the objectives asked for at the command line are not."""
    settings: dict[Objective, Any] = {STYLE: {"share": 0.5}, ROLE: {"share": 0.5}}
    with pytest.raises(UsageError, match=r"objective planning would get nothing"):
        mixed(raw, tmp_path, list(datasets.values()), (STYLE, ROLE, PLANNING), objectives=settings)
    assert not (tmp_path / "mixtures").exists()
    made = mixed(raw, tmp_path, list(datasets.values()), (STYLE, ROLE), objectives=settings)
    assert made.shares == {STYLE: 0.5, ROLE: 0.5}
    part = MixtureSettings(datasets=("d",), objectives={STYLE: MixedObjective(share=0.5), ROLE: MixedObjective()})
    with pytest.raises(UsageError, match="objective role would get nothing"):
        shares_of(part, {STYLE: 3, ROLE: 0})
    assert shares_of(part, {STYLE: 3}) == {STYLE: 1.0}


def test_rows_of_all_datasets_come_with_what_no_dataset_trains_on_held_out(
    raw: RawStore, tmp_path: Path, datasets: dict[str, str]
) -> None:
    made = mixed(raw, tmp_path, list(datasets.values()), objectives={PLANNING: {"share": 0.5}, ROLE: {}, STYLE: {}})
    assert made.trained == {PLANNING: 20, ROLE: 8, STYLE: 12}
    assert made.shares == pytest.approx({PLANNING: 0.5, ROLE: 0.2, STYLE: 0.3})
    held = Counter(row["provenance"]["repository"] for row in rows_of(made) if row["split"] == "validation")
    assert held == {"held0": 4, "held2": 4}, "held1 is trained on by scope, and held3 is of another role's rows"
    left_out = made.card.config["left_out"]
    assert left_out["of the other role"] == 10 and left_out["held out, but trained on in another dataset"] == 2
    assert made.datasets == tuple(read_dataset(Path(path)).id for path in datasets.values())
    assert read_dataset(made.directory) == made.card


def test_the_same_mixture_is_the_same_and_no_dataset_of_a_target(
    raw: RawStore, tmp_path: Path, datasets: dict[str, str]
) -> None:
    names = [Path(datasets[name]).name for name in ("plans", "style")]
    one, two = (mixed(raw, tmp_path, names) for _ in range(2))
    assert one == two and len(datasets_since(raw.engine, None)) == len(datasets)
    assert newest_dataset(raw, tmp_path, TrainingTarget.PLANNING) == Path(datasets["plans"])
    other = mixed(raw, tmp_path, names, seed=7, objectives={PLANNING: {"cap": 6}, STYLE: {"share": 0.5}})
    assert other.card.id != one.card.id
    assert (other.trained, other.shares) == ({PLANNING: 6, STYLE: 12}, {PLANNING: 0.5, STYLE: 0.5})


def test_an_objective_without_data_is_named(raw: RawStore, tmp_path: Path, datasets: dict[str, str]) -> None:
    with pytest.raises(TrainingError, match=r"objective position has no rows .*the source position"):
        mixed(raw, tmp_path, [datasets["plans"]], (PLANNING, POSITION))
    only = mixed(raw, tmp_path, list(datasets.values()), (STYLE,))
    assert set(only.trained) == {STYLE}
    with pytest.raises(TrainingError, match="no rows of this role"):
        make_mixture(raw, tmp_path, MixtureSettings(datasets=(datasets["code"],)), "reasoning")
    with pytest.raises(UsageError, match="'nowhere' is no dataset"):
        mixed(raw, tmp_path, ["nowhere"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets = []", "datasets"),
        ('datasets = ["d"]\n[objectives.taste]\n', r"objectives\.taste"),
        ('datasets = ["d"]\n[objectives.style]\nshare = 0.7\n[objectives.role]\nshare = 0.7', "sum to 1.40"),
        ('datasets = ["d"]\n[objectives.style]\nshare = 0.3\n[objectives.role]\nshare = 0.3', "a mixture needs 1"),
        ('datasets = ["d"]\n[objectives.style]\nshare = 1.0\n[objectives.role]\n', "would get nothing"),
        ('datasets = ["d"]\n[objectives.window]\nshare = 0.1', "neither share nor cap"),
        ("datasets =", "mix.toml"),
    ],
)
def test_a_file_that_is_no_mixture_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mix.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_mixture(tmp_path / "mix.toml")


def test_an_order_says_what_it_trains_on(tmp_path: Path) -> None:
    mix = tmp_path / "mix.toml"
    mix.write_text('datasets = ["d"]\n[objectives.window]\n[objectives.planning]\n')
    with pytest.raises(UsageError, match=r"objective window needs .*--window TOKENS"):
        make_order("reasoning", "tiny", None, mix)
    assert make_order("reasoning", "tiny", None, mix, window=2048).window == 2048
    for given in ((None, None), (tmp_path, mix)):
        with pytest.raises(UsageError, match=r"on one dataset .* or on a mixture"):
            make_order("reasoning", "tiny", *given)
    with pytest.raises(UsageError, match="give --mix FILE"):
        make_order("reasoning", "tiny", tmp_path, None, "style")
    with pytest.raises(UsageError, match="objective 'taste' is unknown"):
        read_objectives("style,taste")
    assert read_objectives("role, style") == (STYLE, ROLE)
