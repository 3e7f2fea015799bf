"""Orders of shards: what a campaign gives out is what a worker with the same code, corpus and settings accepts."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.packages.package import MANIFEST, RepoPackage, read_manifest
from harness.runs.sharding import Shard, open_referenced
from models.errors import UsageError
from models.shards import PackageReference, ShardOrder
from store.runs import RawStore
from tests.support.campaign_runs import rows

pytestmark = [pytest.mark.index, pytest.mark.slow]


def part_of(sample: RepoPackage, folder: Path, instances: slice) -> None:
    """A copy of the sample package with some of its valid instances."""
    shutil.copytree(sample.directory, folder, symlinks=True)
    manifest = read_manifest(folder)
    valid = tuple(each for each in manifest.instances if each.valid)[instances]
    (folder / MANIFEST).write_text(manifest.model_copy(update={"instances": valid}).model_dump_json())


def test_shards_of_every_package_are_accepted(
    sample: RepoPackage, configured: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.campaign import campaign
    from flows.campaign_shard import campaign_shard

    part_of(sample, tmp_path / "corpus" / "first", slice(0, 1))
    part_of(sample, tmp_path / "corpus" / "second", slice(1, None))
    configured("http://127.0.0.1:9")
    monkeypatch.setenv("CRA_CORPUS_DIR", str(tmp_path / "corpus"))
    orders: list[ShardOrder] = []

    @contextmanager
    def noting(
        _: object, store: RawStore, shards: Sequence[Shard], order: Callable[[Shard], ShardOrder]
    ) -> Iterator[None]:
        orders.extend(order(shard) for shard in shards)
        yield

    monkeypatch.setattr("flows.campaign.sharing", noting)
    campaign([Path("first"), Path("second")], ["gold"], "c")
    assert {each.package for each in orders} == {"first", "second"}
    for order in orders:
        campaign_shard(ShardOrder.model_validate_json(order.model_dump_json()))
    assert rows("SELECT DISTINCT attempts, outcome FROM task_runs") == [(1, "passed")]


@pytest.mark.parametrize("folder", ["..", ".", "", "inner/spans", "/"])
def test_a_reference_names_a_folder_of_the_corpus(sample: RepoPackage, folder: str) -> None:
    corpus = sample.directory.parent
    assert open_referenced(corpus, PackageReference(folder="spans", identity=sample.identity)).identity
    inside = sample.directory / "inner"
    with pytest.raises(UsageError, match="no repo package"):
        open_referenced(inside if folder == ".." else corpus, PackageReference(folder=folder, identity=sample.identity))


def test_a_campaign_without_all_verdicts_is_no_success_of_the_run_that_was_started() -> None:
    from flows.campaign import check_finished
    from models.errors import InfrastructureError
    from store.runs import CampaignReport, PlannerReport

    def report(**counts: int) -> CampaignReport:
        planners = {"gold": PlannerReport(passed=1), "student": PlannerReport(failed=2, **counts)}
        return CampaignReport(name="c", campaign_id="id", instances=1, planners=planners, seconds=1.0)

    check_finished(report())
    for counts in ({"open": 3}, {"infrastructure": 3}):
        with pytest.raises(InfrastructureError, match="3 trajectories of c"):
            check_finished(report(**counts))
