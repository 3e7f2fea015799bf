"""The validate flow: predictions get the verdicts of campaigns, each once."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.swebench import export_instances
from harness.packages.package import RepoPackage
from runtime.trees import checked_out

pytestmark = pytest.mark.index

HARD_CODED = '    if seconds == -5400:\n        return "-1h 30m"\n'


@pytest.fixture
def lines(sample: RepoPackage) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export_instances(sample.manifest, sample.git)]


def _hard_coded(sample: RepoPackage, tmp_path: Path) -> str:
    """A patch that knows the answer to the one input that is tested."""
    import difflib

    instance = sample.manifest.instances[0]
    with checked_out(sample.git, instance.base_commit, tmp_path / "scratch") as tree:
        before = (tree / "src/spans/show.py").read_text()
    head, mark, rest = before.partition('seconds."""\n')
    after = head + mark + HARD_CODED + rest
    made = difflib.unified_diff(
        before.splitlines(True), after.splitlines(True), "a/src/spans/show.py", "b/src/spans/show.py"
    )
    return "".join(made)


def _ids(report: Any) -> Iterator[tuple[str, str]]:
    for line in report.lines:
        yield line.model_name_or_path, line.outcome


def test_predictions_get_a_verdict_each_and_are_judged_once(
    sample: RepoPackage, lines: list[dict[str, Any]], tmp_path: Path, configured: Callable[..., None]
) -> None:
    from flows.validate import validate
    from host.settings import load_settings
    from store.runs import open_raw_store

    configured("http://127.0.0.1:9")
    first = lines[0]["instance_id"]
    wanted = [
        {"instance_id": row["instance_id"], "model_patch": row["patch"], "model_name_or_path": "gold"} for row in lines
    ]
    wanted += [
        {"instance_id": first, "model_patch": _hard_coded(sample, tmp_path), "model_name_or_path": "hard-coded"},
        {"instance_id": first, "model_patch": " \n", "model_name_or_path": "empty"},
        {"instance_id": first, "model_patch": "rubbish", "model_name_or_path": "rubbish"},
        {"instance_id": "somebody__1", "model_patch": "x", "model_name_or_path": "unknown"},
    ]
    file = tmp_path / "predictions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in wanted))
    report = validate(file, [sample.directory])
    assert list(_ids(report)) == [
        *(("gold", "passed") for _ in lines),
        ("hard-coded", "passed-unconfirmed"),
        ("empty", "empty-patch"),
        ("rubbish", "does-not-apply"),
        ("unknown", "unknown-instance"),
    ]
    gold, hard = report.lines[0], report.lines[len(lines)]
    assert (gold.f2p_passed, gold.p2p_passed) == (gold.f2p_total, gold.p2p_total)
    assert gold.twins > 0
    assert gold.twins_agreed == gold.twins
    assert hard.twins_agreed < hard.twins == gold.twins
    assert not any(line.undecided for line in report.lines)

    store = open_raw_store(load_settings().raw_url)
    assert store.find_validation(gold.verdict) is not None
    again = validate(file, [sample.directory])
    assert [line.verdict for line in again.lines] == [line.verdict for line in report.lines]
    assert again.lines[0].seconds == gold.seconds  # found, not reached again
