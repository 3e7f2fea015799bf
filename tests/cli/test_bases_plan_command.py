"""`cra bases plan`: of known shapes without weights, of a base that is here, and its refusals."""

import json
from pathlib import Path

import pytest

from tests.support.commands import invoke
from tests.support.tiny import make_tiny_base

QLORA = ("bases", "plan", "reasoning", "--base", "qwen3-4b", "--gpu", "rtx4090", "--method", "qlora")


def test_a_known_shape_is_planned_without_its_weights(tmp_path: Path) -> None:
    said = invoke(*QLORA, "--tokens", "8000000", "--longest", "2048", "--price", "0.5/h", "--json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    plan = json.loads(said.stdout)
    assert sum(plan["parts"].values()) == plan["peak"] <= plan["card"]["memory"]
    assert plan["base"]["parameters"] == 4_022_468_096 and plan["backend"] == "trl-gpu"
    assert plan["cost"] == pytest.approx(plan["hours"] / 2) and plan["hours"] > 0
    shown = invoke(*QLORA, cwd=tmp_path)
    assert "weights, NF4" in shown.stdout and "peak" in shown.stdout and "--longest" in shown.stdout


def test_the_settings_decide_what_is_planned(tmp_path: Path) -> None:
    def plan(**variables: str) -> dict[str, int]:
        said = invoke(*QLORA, "--json", cwd=tmp_path, CRA_TRAINING__PACKING="false", **variables)
        return dict(json.loads(said.stdout))

    one, two = plan(CRA_TRAINING__MICRO_BATCH="1"), plan(CRA_TRAINING__MICRO_BATCH="2")
    assert (one["micro_batch"], two["micro_batch"]) == (1, 2) and one["peak"] < two["peak"]
    assert plan(CRA_TRAINING__MAX_TOKENS="1024")["length"] == 1024


def test_what_does_not_fit_ends_in_one_line_that_says_what_would(tmp_path: Path) -> None:
    said = invoke("bases", "plan", "reasoning", "--base", "qwen3-4b", "--gpu", "rtx4080", cwd=tmp_path)
    assert said.returncode == 1 and said.stdout == ""
    assert said.stderr.count("\n") == 1 and "GiB" in said.stderr and "--method" in said.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--base", "qwen9", "--memory", "24"), "qwen3-4b"),
        (("--base", "qwen3-4b", "--memory", "0"), "--memory 0"),
        (("--base", "qwen3-4b", "--memory", "-1"), "--memory -1"),
        (("--base", "qwen3-4b", "--gpu", "voodoo2"), "rtx4090"),
        (("--base", "qwen3-4b"), "--gpu"),
        (("--base", "qwen3-4b", "--gpu", "l4", "--window", "1000000"), "40960"),
        (("--base", "qwen3-4b", "--gpu", "l4", "--price", "cheap"), "--price cheap"),
        (("--base", "qwen3-4b", "--gpu", "cpu", "--memory", "24", "--method", "qlora"), "lora"),
    ],
)
def test_a_bad_request_is_named(options: tuple[str, ...], told: str, tmp_path: Path) -> None:
    said = invoke("bases", "plan", "reasoning", *options, cwd=tmp_path)
    assert said.returncode == 2 and told in said.stderr and said.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_base_is_planned_by_its_own_configuration(tmp_path: Path) -> None:
    base = make_tiny_base(tmp_path / "tiny")
    assert invoke("bases", "add", base, "--name", "tiny", cwd=tmp_path).returncode == 0
    here = ("bases", "plan", "coding", "--base", "tiny", "--gpu", "cpu", "--memory", "4")
    said = invoke(*here, "--method", "lora", "--json", cwd=tmp_path)
    plan = json.loads(said.stdout)
    assert plan["base"]["parameters"] == 139_648 and plan["backend"] == "trl-cpu"
    assert plan["parts"]["weights, fp32"] == 4 * 139_648 and plan["tokens_per_second"] is None
    config = next((tmp_path / "data" / "bases").glob("*/config.json"))
    config.chmod(0o644)
    config.write_text("{}")
    refused = invoke(*here, cwd=tmp_path)
    assert refused.returncode == 1 and "config.json" in refused.stderr
