"""Inspect logs of a campaign, read back by Inspect itself: what they hold, and what they leave out."""

import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog, EvalSample, read_eval_log

from exchange import inspect_export
from exchange.inspect_export import cached_site, export_logs, log_name
from exchange.inspect_log import COLUMNS
from models.errors import InfrastructureError, UsageError
from models.outcomes import OutcomeKind
from store.runs import RawStore, open_raw_store
from tests.support.exported_campaign import HOSTILE, NAME, PATCH, fill

pytestmark = pytest.mark.slow  # another process imports inspect_ai


def _ignore(planner: str, done: int, of: int) -> None:
    """No progress is shown."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RawStore:
    return open_raw_store(tmp_path_factory.mktemp("store") / "raw.db")


@pytest.fixture(scope="module")
def keys(store: RawStore) -> dict[str, str]:
    return fill(store)


@pytest.fixture(scope="module")
def log(store: RawStore, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    written = export_logs(store, NAME, tmp_path_factory.mktemp("logs"), _ignore)
    assert [(each.planner, each.shown, each.unfinished, each.left_out) for each in written] == [
        ("null", 0, 0, 1),
        ("student", 4, 1, 0),
    ]
    return read_eval_log(str(written[1].path), resolve_attachments=True)


def _of(log: EvalLog, key: str) -> EvalSample:
    return next(each for each in log.samples or [] if each.metadata["trajectory"] == key)


def _events(sample: EvalSample, kind: str) -> list[Any]:
    return [event for event in sample.events if event.event == kind]


def test_samples_are_trajectories_by_instance_and_epochs_are_temperatures_with_samples(
    log: EvalLog, keys: dict[str, str]
) -> None:
    assert sorted((str(each.id), each.epoch) for each in log.samples or []) == [
        ("lib-0", 1), ("lib-0", 2), ("lib-1", 1), ("lib-1", 2),
    ]  # fmt: skip
    assert log.eval.config.epochs == 2
    warm = _of(log, keys["warm"])
    assert warm.scores is not None
    assert (warm.epoch, warm.scores["temperature"].value, warm.scores["sample"].value) == (2, 0.5, 1)


def test_our_columns_hold_outcome_fault_cost_and_place(log: EvalLog, keys: dict[str, str]) -> None:
    failed = _of(log, keys["failed"]).scores or {}
    assert set(failed) == {name for name, _ in COLUMNS}
    values = {name: score.value for name, score in failed.items()}
    assert values == {
        "resolved": "I", "outcome": "tests-failed", "stage_at_fault": "plan", "blame": "undetermined", "cost": 0.5,
        "repository": "lib", "commit": "0" * 7, "temperature": 0.0, "sample": 0,
    }  # fmt: skip
    assert (_of(log, keys["passed"]).scores or {})["resolved"].value == "C"
    shown = log.eval.viewer.task_samples_view if log.eval.viewer else None
    assert shown is not None
    assert not isinstance(shown, list)
    assert {f"score__{name}__{name}" for name, _ in COLUMNS} <= {column.id for column in shown.columns or []}


def test_calls_hold_the_exact_prompt_and_answer_within_the_span_of_their_stage(
    log: EvalLog, keys: dict[str, str]
) -> None:
    passed = _of(log, keys["passed"])
    spans = {event.id: event.name for event in _events(passed, "span_begin")}
    call = _events(passed, "model")[-1]
    assert [message.text for message in call.input] == ["Plan.", f"Add it {HOSTILE}"]
    assert call.output.completion == HOSTILE + "\\ud800"
    assert call.output.choices[0].stop_reason == "max_tokens"
    assert (call.config.temperature, call.config.seed, call.role) == (0.5, 7, "code")
    assert spans[call.span_id] == "code p1 s1"
    assert (call.output.usage.input_tokens, call.output.usage.input_tokens_cache_read) == (60, 40)


def test_attempts_follow_each_other_and_each_ends_with_its_outcome(log: EvalLog, keys: dict[str, str]) -> None:
    failed = _of(log, keys["failed"])
    attempts = [event.name for event in _events(failed, "span_begin") if event.type == "attempt"]
    assert attempts == ["attempt 1", "attempt 2"]
    sources = [event.source for event in _events(failed, "info")]
    assert [source for source in sources if source.startswith("outcome")] == [
        "outcome: provider-error",
        "outcome: tests-failed",
    ]
    assert "attribution: plan" in sources
    assert {"decision: scope", "plan accepted: meta_plan", "edit: applied", "edit: rejected"} <= set(sources)
    opened = [event.id for event in _events(failed, "span_begin")]
    assert sorted(opened) == sorted(event.id for event in _events(failed, "span_end"))
    assert len({event.uuid for event in failed.events}) == len(failed.events)


def test_test_runs_are_commands_with_their_output_and_without_this_machines_folders(
    log: EvalLog, keys: dict[str, str]
) -> None:
    runs = _events(_of(log, keys["failed"]), "sandbox")
    assert runs[-1].cmd == "python -m pytest t.py"
    assert runs[-1].result == 1
    assert runs[-1].output.startswith("1 failed")
    results = [event.data for event in _events(_of(log, keys["failed"]), "info") if event.source == "test run"]
    assert len(results) == len(runs)
    assert "assert 1 == 2" in results[-1]
    assert "hidden tests" in results[-1]


def test_an_open_trajectory_is_shown_as_not_finished(log: EvalLog, keys: dict[str, str]) -> None:
    broken = _of(log, keys["broken"])
    assert broken.error is not None
    assert OutcomeKind.PROVIDER_ERROR in broken.error.message
    assert (broken.scores or {})["resolved"].value == "N"
    assert log.status == "cancelled"
    assert log.results is not None
    assert log.results.scores[0].metrics["passed"].value == pytest.approx(2 / 3, abs=1e-4)
    assert (log.results.total_samples, log.results.completed_samples) == (4, 3)


def test_content_is_marked_as_not_to_be_trusted(log: EvalLog) -> None:
    assert log.eval.viewer is not None
    assert log.eval.viewer.trust_content is False


def test_the_same_rows_give_the_same_bytes_and_another_row_another_log(store: RawStore, tmp_path: Path) -> None:
    keys = fill(store, "again")
    first, second = (
        [each.path.read_bytes() for each in export_logs(store, "again", tmp_path / name, _ignore)] for name in "ab"
    )
    assert first == second
    store.begin_attempt(keys["waiting"])
    third = [each.path.read_bytes() for each in export_logs(store, "again", tmp_path / "c", _ignore)]
    assert [old == new for old, new in zip(first, third, strict=True)] == [False, True]


def test_planners_of_one_name_with_other_models_are_kept_apart(tmp_path: Path) -> None:
    store = open_raw_store(tmp_path / "raw.db")
    fill(store)
    group = store.export_groups(NAME)[1]
    row = next(store.exported(group)).trace
    instance = store.register_package(_manifest())["lib-0"]
    other = store.open_trajectory(row.campaign, instance, "student", "student with another model")
    store.begin_attempt(other)
    (_, written) = export_logs(store, NAME, tmp_path / "logs", _ignore)
    found = read_eval_log(str(written.path)).samples or []
    assert len({(each.id, each.epoch) for each in found}) == len(found) == 5


def _manifest() -> Any:
    from tests.support.store_material import make_manifest

    return make_manifest()


def test_a_site_is_made_once_for_the_same_rows(store: RawStore, tmp_path: Path) -> None:
    keys = fill(store, "site")
    site, made = cached_site(store, "site", tmp_path, _ignore)
    assert made
    assert (site / "logs" / log_name(store.export_groups("site")[1])).is_file()
    assert cached_site(store, "site", tmp_path, _ignore) == (site, False)
    store.begin_attempt(keys["waiting"])
    again, made = cached_site(store, "site", tmp_path, _ignore)
    assert made
    assert again != site
    assert not any(path.name.startswith("making-") for path in (tmp_path / "viewer").iterdir())


def test_a_missing_extra_is_named_with_its_remedy(
    store: RawStore, keys: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(inspect_export, "version", absent)
    with pytest.raises(UsageError, match="--extra viewer"):
        export_logs(store, NAME, tmp_path, _ignore)


def test_a_log_that_cannot_be_written_is_one_line_and_leaves_no_log(
    store: RawStore, keys: dict[str, str], tmp_path: Path
) -> None:
    for group in store.export_groups(NAME):
        (tmp_path / f".{log_name(group)}.partial").mkdir()
    with pytest.raises(InfrastructureError) as refused:
        export_logs(store, NAME, tmp_path, _ignore)
    assert "\n" not in str(refused.value)
    assert "IsADirectory" in str(refused.value)
    assert not list(tmp_path.glob("*.eval"))


def test_a_log_is_a_zip_file_whose_members_bear_no_time(store: RawStore, keys: dict[str, str], tmp_path: Path) -> None:
    (_, written) = export_logs(store, NAME, tmp_path, _ignore)
    with zipfile.ZipFile(written.path) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert PATCH.splitlines()[0].encode() in archive.read("samples/lib-0_epoch_1.json")
