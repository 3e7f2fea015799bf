"""Curation of pairs that were synthesized from commits: their source, weight and share, and what is held out."""

from pathlib import Path

import pytest

from evals.sets import build_set, reserve
from models.curation_settings import CurationRequest, CurationSettings
from models.errors import EvaluationError, UsageError
from models.training import PairSource, TrainingTarget
from store.database import open_database
from store.runs import open_raw_store
from tests.support.direct_material import ENTRIES, repository, run
from tests.support.identity_material import PAIR
from tests.support.mining_history import Entry
from training.data.curation import Curated, curate
from training.data.curation.balance import by_direct
from training.data.curation.examples import Example
from training.data.sources import read_pairs

WHOLE = CurationSettings(uniform_share=1, seeking_share=1)
RENAMED = Entry("Rename the distribution", {"pyproject.toml": '[project]\nname = "other"\nversion = "1"\n'})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases with the pairs of a repository and of a copy under another name."""
    folder = tmp_path_factory.mktemp("direct")
    run(folder, repository(folder / "spans.git"), repository(folder / "other.git", [*ENTRIES, RENAMED]))
    return folder


def curated(
    folder: Path, target: TrainingTarget, *sources: PairSource, curated_file: str = "curated.sqlite"
) -> Curated:
    request = CurationRequest(
        target=target, data_dir=str(folder), min_organisations=1, settings=WHOLE, sources=sources, dry_run=True
    )
    raw = open_raw_store(str(folder / "raw.sqlite"))
    return curate(raw, open_database(folder / curated_file, "curated"), request)


def test_pairs_have_a_weight_of_their_own_and_no_oracle(data: Path) -> None:
    raw = open_raw_store(str(data / "raw.sqlite"))
    pairs = read_pairs(raw, TrainingTarget.SCOPE).pairs
    assert {(pair.source, pair.weight, pair.provenance.oracle) for pair in pairs} == {
        (PairSource.SYNTHETIC_DIRECT, 0.5, None)
    }
    assert read_pairs(raw, TrainingTarget.SCOPE, CurationSettings(direct_weight=0)).pairs == []


def test_sources_are_chosen_and_one_without_examples_is_named(data: Path) -> None:
    card = curated(data, TrainingTarget.PLANNING, PairSource.SYNTHETIC_DIRECT).card
    assert set(card.sources) == {"synthetic-direct"}
    assert card.config["sources"] == ["synthetic-direct"]
    with pytest.raises(UsageError, match=r"harness.*synthetic-direct"):
        curated(data, TrainingTarget.PLANNING, PairSource.HARNESS)


def test_code_has_preferences_of_the_new_code_over_the_old(data: Path) -> None:
    card = curated(data, TrainingTarget.CODE).card
    assert card.examples["dpo"] > 0
    assert set(card.sources) == {"synthetic-direct"}


def test_reserved_repositories_and_their_copies_are_refused(data: Path) -> None:
    held = open_database(data / "held.sqlite", "curated")
    reserve(held, open_raw_store(str(data / "raw.sqlite")).engine, ["spans"], "evaluation")
    made = curated(data, TrainingTarget.SCOPE, curated_file="held.sqlite")
    dropped = {name: count for name, _, count in made.card.funnel}
    assert made.refused is not None
    assert dropped["reserved repository"] > 0
    assert dropped["copy of a reserved repository"] > 0


def test_what_no_test_judged_makes_no_evaluation_set(data: Path) -> None:
    with pytest.raises(EvaluationError, match="spans"):
        build_set(open_raw_store(str(data / "raw.sqlite")).engine, TrainingTarget.SCOPE, ["spans"])


def test_a_share_is_of_datasets_that_have_other_examples_too() -> None:
    def example(number: int, source: PairSource) -> Example:
        pair = PAIR.model_copy(update={"answer": str(number), "source": source})
        return Example(pair, pair.id, 1, 2)

    direct = [example(n, PairSource.SYNTHETIC_DIRECT) for n in range(8)]
    others = [example(n + 100, PairSource.SYNTHETIC) for n in range(2)]
    kept = by_direct([*direct, *others], 0.5)
    assert [each.item.source for each in kept].count(PairSource.SYNTHETIC_DIRECT) == 2
    assert len(by_direct(direct, 0.5)) == 8
    assert len(by_direct([*direct, *others], 1.0)) == 10
