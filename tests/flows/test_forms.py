"""The listed deployments: by module, without a machine's paths or limits over all machines, with forms that suffice."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows.packages import corpus_packages
from models.errors import UsageError
from models.settings import Settings

LISTED: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]


def test_all_flows_that_people_start_are_listed() -> None:
    assert {each["name"] for each in LISTED} == {
        "prepare", "campaign", "teacher-campaign", "student-campaign", "self-improve", "validate", "score", "curate",
        "train", "evaluate", "campaign-shard", "ingest", "operate",
    }  # fmt: skip


@pytest.mark.parametrize("listed", LISTED, ids=lambda each: each["name"])
def test_a_deployment_is_a_flow_in_a_module_whose_parameters_are_its_own(listed: dict[str, Any]) -> None:
    assert "/" not in listed["entrypoint"]
    assert not {"concurrency_limit", "pull"} & set(listed)
    assert "clean-room" in listed["tags"]
    flow: Flow[Any, Any] = load_flow_from_entrypoint(listed["entrypoint"], use_placeholder_flow=False)
    assert set(listed.get("parameters", {})) <= set(inspect.signature(flow.fn).parameters)
    assert all(each["active"] is False for each in listed.get("schedules", []))
    if "schedules" in listed:  # nobody fills in a form then
        flow.validate_parameters(listed.get("parameters", {}))
        required = parameter_schema(flow).required
        assert set(required) <= set(listed.get("parameters", {}))


@pytest.mark.parametrize("name", ["prepare", "teacher-campaign", "student-campaign", "ingest"])
def test_each_field_of_a_form_is_described(name: str) -> None:
    listed = next(each for each in LISTED if each["name"] == name)
    flow: Flow[Any, Any] = load_flow_from_entrypoint(listed["entrypoint"], use_placeholder_flow=False)
    assert all(field.get("description") for field in parameter_schema(flow).properties.values())


def test_packages_are_named_by_folder_and_none_means_all(tmp_path: Path) -> None:
    settings = Settings(corpus_dir=tmp_path)
    with pytest.raises(UsageError, match=str(tmp_path)):
        corpus_packages([], settings)
    for name in ("b", "a", "half-made"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        (tmp_path / name / "manifest.json").write_text("{}")
    assert corpus_packages([], settings) == [tmp_path / "a", tmp_path / "b"]
    assert corpus_packages(["b", "b"], settings) == [tmp_path / "b"]
    for unknown in ("c", "half-made", "../a", str(tmp_path / "a")):
        with pytest.raises(UsageError, match="there are: a, b"):
            corpus_packages(["a", unknown], settings)
