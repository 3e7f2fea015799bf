"""What reports say of pairs that no test judged: neither that they passed nor that they failed."""

from pathlib import Path

from cli.pages.campaign_results import rates
from evals.quality import qualities
from store.runs import open_raw_store
from store.runs.recent import recent_campaigns
from tests.support.direct_material import repository, run


def test_pairs_of_commits_have_no_pass_rate_and_have_not_passed(tmp_path: Path) -> None:
    run(tmp_path, repository(tmp_path / "spans.git"))
    store = open_raw_store(str(tmp_path / "raw.sqlite"))
    [gold] = qualities(store.usage("synthesis"))
    assert (gold.trajectories, gold.pass_at_1, gold.pass_at_k, gold.by_repository) == (9, None, {}, {})
    assert rates([gold]).rows == ()
    [campaign] = recent_campaigns(store.engine, 5)
    assert (campaign.closed, campaign.passed) == (9, 0)
