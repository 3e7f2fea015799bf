"""Trajectories in ATIF: checked against the rules of its specification, written down here a second time."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from exchange.atif import export_trajectories, file_name
from store.runs import RawStore, open_raw_store
from tests.support.exported_campaign import HOSTILE, NAME, fill

FIELDS = {
    "trajectory": ({"schema_version", "agent", "steps"}, {"session_id", "trajectory_id", "notes", "final_metrics",
                    "continued_trajectory_ref", "extra", "subagent_trajectories"}),
    "agent": ({"name", "version"}, {"model_name", "tool_definitions", "extra"}),
    "step": ({"step_id", "source", "message"}, {"timestamp", "model_name", "reasoning_effort", "reasoning_content",
              "tool_calls", "observation", "metrics", "is_copied_context", "llm_call_count", "extra"}),
    "call": ({"tool_call_id", "function_name", "arguments"}, {"extra"}),
    "result": (set(), {"source_call_id", "content", "subagent_trajectory_ref", "extra"}),
    "metrics": (set(), {"prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd", "prompt_token_ids",
                 "completion_token_ids", "logprobs", "extra"}),
    "final": (set(), {"total_prompt_tokens", "total_completion_tokens", "total_cached_tokens", "total_cost_usd",
               "total_steps", "extra"}),
}  # fmt: skip
"""What each object of version 1.7 must have, and what it may have besides; it may have nothing else."""
AGENTS_OWN = {"model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics"}


def _has(kind: str, value: dict[str, Any]) -> None:
    required, optional = FIELDS[kind]
    assert required <= set(value) <= required | optional, (kind, sorted(value))


def _check(found: dict[str, Any]) -> None:
    _has("trajectory", found)
    assert found["schema_version"] == "ATIF-v1.7"
    _has("agent", found["agent"])
    _has("final", found["final_metrics"])
    assert [step["step_id"] for step in found["steps"]] == list(range(1, len(found["steps"]) + 1))
    for step in found["steps"]:
        _has("step", step)
        assert step["source"] in ("system", "user", "agent")
        assert isinstance(step["message"], str)
        assert datetime.fromisoformat(step["timestamp"]).tzinfo
        assert step["source"] == "agent" or not AGENTS_OWN & set(step)
        calls = step.get("tool_calls", [])
        for call in calls:
            _has("call", call)
        for result in step.get("observation", {}).get("results", []):
            _has("result", result)
            assert result.get("source_call_id") in {None, *(call["tool_call_id"] for call in calls)}
        if "metrics" in step:
            _has("metrics", step["metrics"])
        if step.get("llm_call_count") == 0:
            assert not {"metrics", "reasoning_content"} & set(step)
    assert found["final_metrics"]["total_steps"] == len(found["steps"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RawStore:
    return open_raw_store(tmp_path_factory.mktemp("store") / "raw.db")


@pytest.fixture(scope="module")
def keys(store: RawStore) -> dict[str, str]:
    return fill(store)


@pytest.fixture(scope="module")
def found(store: RawStore, keys: dict[str, str]) -> dict[str, dict[str, Any]]:
    lines = [line for group in store.export_groups(NAME) for _, line in export_trajectories(store, group)]
    for line in lines:
        line.encode("ascii")
        assert "\n" not in line
    read = [json.loads(line) for line in lines]
    return {each["trajectory_id"]: each for each in read}


def test_all_begun_trajectories_follow_the_specification(
    found: dict[str, dict[str, Any]], keys: dict[str, str]
) -> None:
    assert set(found) == set(keys.values()) - {keys["waiting"]}
    for each in found.values():
        _check(each)


def test_the_check_refuses_what_the_specification_does(found: dict[str, dict[str, Any]], keys: dict[str, str]) -> None:
    good = found[keys["passed"]]
    last = {**good["steps"][-1], "step_id": len(good["steps"]) + 2}
    for bad in (
        {**good, "more": 1},
        {**good, "steps": [*good["steps"][:-1], last]},
        {**good, "steps": [{**good["steps"][0], "model_name": "m"}, *good["steps"][1:]]},
    ):
        with pytest.raises(AssertionError):
            _check(bad)


def test_steps_tell_task_prompt_answer_edits_tests_and_end(
    found: dict[str, dict[str, Any]], keys: dict[str, str]
) -> None:
    steps = found[keys["passed"]]["steps"]
    assert (steps[0]["source"], steps[0]["message"]) == ("user", "Add it")
    asked = next(number for number, step in enumerate(steps) if step["message"] == f"Add it {HOSTILE}")
    assert steps[asked - 1]["message"] == "Plan."
    answer = steps[asked + 1]
    assert answer["message"] == HOSTILE + "\\ud800"
    assert (answer["reasoning_content"], answer["llm_call_count"]) == (HOSTILE, 1)
    assert answer["metrics"] == {
        "prompt_tokens": 100, "completion_tokens": 10, "cached_tokens": 40, "cost_usd": 0.25,
    }  # fmt: skip
    done = [(step["tool_calls"][0]["function_name"], step["observation"]["results"][0]["content"].split()[0])
            for step in steps if step.get("tool_calls")]  # fmt: skip
    assert done == [("edit", "applied"), ("edit", "rejected:"), ("run_tests", "completed"), ("run_tests", "completed")]
    assert steps[-1]["extra"]["outcome"] == "passed"


def test_sums_cover_all_attempts_and_an_open_trajectory_says_so(
    found: dict[str, dict[str, Any]], keys: dict[str, str]
) -> None:
    failed, broken = found[keys["failed"]], found[keys["broken"]]
    assert failed["final_metrics"]["total_cost_usd"] == 0.5
    assert [step["extra"]["outcome"] for step in failed["steps"] if "outcome" in step.get("extra", {})] == [
        "provider-error", "tests-failed",
    ]  # fmt: skip
    assert failed["steps"][-1]["extra"]["stage_at_fault"] == "plan"
    assert broken["extra"]["outcome"] is None
    assert broken["notes"]


def test_files_of_different_trajectories_have_different_names(store: RawStore, keys: dict[str, str]) -> None:
    names = [file_name(each) for group in store.export_groups(NAME) for each in store.exported(group)]
    assert len(set(names)) == len(names) == 4
    assert all(Path(name).parts[1:] == ("agent", "trajectory.json") for name in names)
