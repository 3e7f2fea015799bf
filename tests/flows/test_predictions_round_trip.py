"""Predictions of a campaign, judged again where no verdict is stored: the verdicts are the campaign's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage
from store.runs import RawStore

pytestmark = pytest.mark.index


def test_predictions_of_a_campaign_get_its_verdicts_again(
    sample: RepoPackage, tmp_path: Path, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from exchange.model_patches import export_predictions
    from flows.campaign import campaign
    from flows.validate import validate
    from host.settings import load_settings
    from store.runs import open_raw_store

    configured("http://127.0.0.1:9")
    campaign([sample.directory], ["gold", "null"], "c", limit=2)
    store = open_raw_store(load_settings().raw_url)
    wanted = _verdicts(store)
    file = tmp_path / "predictions.jsonl"
    file.write_text("".join(line + "\n" for line in export_predictions(store, "c")))
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "fresh"))  # where no verdict is stored yet
    report = validate(file, [sample.directory])
    got = {(each.instance_id, each.model_name_or_path): (each.outcome, each.verdict) for each in report.lines}
    assert got == {key: (outcome, verdict if outcome == "passed" else "") for key, (outcome, verdict) in wanted.items()}
    assert sorted(outcome for outcome, _ in got.values()) == ["empty-patch", "empty-patch", "passed", "passed"]


def _verdicts(store: RawStore) -> dict[tuple[str, str], tuple[str, str]]:
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for group in store.export_groups("c"):
        for each in store.exported(group):
            trace = each.trace
            verdict = trace.outcomes[-1].validation
            found[trace.instance, f"{trace.planner}-t0-s0"] = (trace.outcome.value, verdict.key if verdict else "")
    return found
