"""Commands in air-gapped mode: one line where they would need another machine, and what `cra doctor` says of it."""

import json
from pathlib import Path

import pytest

from harness.packages.sample import build_sample
from tests.support.commands import invoke

URL = "https://example.org/team/thing.git"


@pytest.mark.parametrize(
    "arguments",
    [
        ("mine", URL),
        ("prepare", URL, "--out", "corpus"),
        ("mine", "git@example.org:team/thing"),
        ("status",),
        ("models", "check", "--json"),
    ],
)
def test_each_ends_with_the_door_the_address_and_the_setting(arguments: tuple[str, ...], tmp_path: Path) -> None:
    endpoints = json.dumps({"far": {"url": "https://api.example.org/v1", "model": "m", "window": 4096}})
    done = invoke(
        *arguments, cwd=tmp_path, CRA_AIR_GAPPED="1", PREFECT_API_URL="https://flows.example.org/api",
        CRA_MODELS__ENDPOINTS=endpoints, CRA_MODELS__ROLES__REASONING="far", CRA_MODELS__ROLES__CODING="far",
        CRA_SANDBOX="none",
    )  # fmt: skip
    assert done.returncode != 0
    said = done.stderr + done.stdout
    assert all(part in said for part in ("example.org", "air_gapped is on", "CRA_AIR_GAPPED"))
    assert "Traceback" not in said


def test_a_path_is_mined_as_ever(tmp_path: Path) -> None:
    done = invoke("mine", build_sample(tmp_path / "spans"), "--json", cwd=tmp_path, CRA_AIR_GAPPED="1")
    assert done.returncode == 0, done.stderr


def test_the_setting_and_its_source_are_shown(tmp_path: Path) -> None:
    (tmp_path / "cra.toml").write_text('air_gapped = true\nair_gapped_hosts = ["models.inside"]\n')
    shown = json.loads(invoke("config", "show", "--json", cwd=tmp_path).stdout)
    assert shown["air_gapped"]["value"] is True
    assert shown["air_gapped"]["source"] == str(tmp_path / "cra.toml")
    assert shown["air_gapped_hosts"]["source"] == str(tmp_path / "cra.toml")
    assert "models.inside" in shown["air_gapped_hosts"]["value"]


@pytest.mark.slow
def test_doctor_says_whether_it_is_on_and_what_contradicts_it(tmp_path: Path) -> None:
    variables = {"HTTPS_PROXY": "http://127.0.0.1:3128", "UV_OFFLINE": "false"}

    def findings(**more: str) -> dict[str, dict[str, str]]:
        done = invoke("doctor", "--json", cwd=tmp_path, CRA_SANDBOX="none", **variables, **more)
        return {each["what"]: each for each in json.loads(done.stdout)}

    off = findings()
    assert off["air-gapped mode"]["found"].startswith("off")
    assert "variables" not in off
    on = findings(CRA_AIR_GAPPED="1", CRA_AIR_GAPPED_HOSTS='["models.inside"]')
    assert "models.inside" in on["air-gapped mode"]["found"]
    assert on["variables"]["verdict"] == "warning"
    assert "HTTPS_PROXY, UV_OFFLINE" in on["variables"]["found"]
