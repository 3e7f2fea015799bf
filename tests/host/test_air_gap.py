"""Air-gapped mode: what the settings do to the environment, and which addresses are refused."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from exchange.outsource.run import OFFLINE
from host.air_gap import refuse_address, refuse_database, refuse_network, uses_proxies
from host.offline import TELEMETRY, contradictions, offline_environment
from host.settings import load_settings
from models.errors import AirGapError, SettingsError

PROXIES = {"HTTP_PROXY": "http://127.0.0.1:3128", "all_proxy": "socks5://127.0.0.1:1080", "https_proxy": "http://p"}


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Variables that the mode sets are put back; cra.toml is read in an empty directory."""
    monkeypatch.chdir(tmp_path)
    places = {"CRA_DATA_DIR": str(tmp_path / "data"), "CRA_CACHE_DIR": str(tmp_path / "cache")}
    with patch.dict(os.environ, places):
        yield


@pytest.fixture
def air_gapped(own_environment: None) -> None:
    os.environ["CRA_AIR_GAPPED"] = "true"


def test_it_is_off_unless_switched_on_and_then_changes_nothing() -> None:
    os.environ |= {**PROXIES, "UV_OFFLINE": "0"}
    before = dict(os.environ)
    assert not load_settings().air_gapped
    assert dict(os.environ) == before
    refuse_network("a download", "do not")
    refuse_address("a model", "https://api.example/v1")
    assert uses_proxies("https://api.example/v1")
    assert not uses_proxies("http://127.0.0.1:8000/v1")
    refuse_database("db.example", {"service": "far"})


def test_a_file_switches_it_on_for_the_process_and_all_that_it_starts() -> None:
    os.environ |= {**PROXIES, "UV_OFFLINE": "0", "HF_HUB_OFFLINE": "0", "NO_PROXY": "localhost"}
    Path("cra.toml").write_text("air_gapped = true\n")
    assert contradictions(os.environ) == ["HF_HUB_OFFLINE", "HTTP_PROXY", "UV_OFFLINE", "all_proxy", "https_proxy"]
    assert load_settings().air_gapped
    assert not set(PROXIES) & set(os.environ)
    assert offline_environment(air_gapped=True).items() <= os.environ.items()
    assert contradictions(os.environ) == []


def test_a_value_that_is_neither_is_an_error_and_not_off() -> None:
    os.environ["CRA_AIR_GAPPED"] = "maybe"
    with pytest.raises(SettingsError, match=r"air_gapped = 'maybe'.*CRA_AIR_GAPPED"):
        refuse_network("a download", "do not")


@pytest.mark.parametrize("host", ["http://models", "models:8000", "models/v1", "*", "", "me@models", "a b"])
def test_what_is_no_host_cannot_be_allowed(host: str) -> None:
    Path("cra.toml").write_text(f'air_gapped_hosts = ["{host}"]\n')
    with pytest.raises(SettingsError, match="air_gapped_hosts"):
        load_settings()


def test_the_message_names_door_address_setting_and_remedy_but_no_password(air_gapped: None) -> None:
    with pytest.raises(AirGapError) as refused:
        refuse_address("endpoint 'teacher'", "https://me:secret@api.example/v1")
    said = str(refused.value)
    assert all(part in said for part in ("endpoint 'teacher'", "api.example/v1", "CRA_AIR_GAPPED", "air_gapped_hosts"))
    assert "secret" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "url", ["http://localhost:1/v1", "http://127.0.0.1:8000", "http://[::1]:80", "http://MODELS:1"]
)
def test_this_machine_and_listed_hosts_are_reached_without_a_proxy(air_gapped: None, url: str) -> None:
    os.environ["CRA_AIR_GAPPED_HOSTS"] = '["Models", "10.0.0.7"]'
    refuse_address("a model", url)
    assert not uses_proxies(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://0x7f.1",
        "http://2130706433",
        "http://10.0.0.70",
        "http://192.168.0.1",
        "http://models.evil.example",
        "http://10.0.0.7@evil.example",
    ],
)
def test_everything_else_is_refused_private_networks_included(air_gapped: None, url: str) -> None:
    os.environ["CRA_AIR_GAPPED_HOSTS"] = '["models", "10.0.0.7"]'
    with pytest.raises(AirGapError, match="another machine"):
        refuse_address("a model", url)


@pytest.mark.parametrize(
    ("host", "options", "variables"),
    [
        ("", {}, {}),
        ("localhost", {}, {"PGHOST": "db.example"}),
        ("", {"host": "/run/postgresql"}, {}),
        ("", {"host": ("/run/a", "127.0.0.1")}, {}),
        ("db.inside", {}, {}),
        ("::1", {"hostaddr": "127.0.0.1"}, {}),
    ],
)
def test_databases_of_this_machine_and_of_listed_hosts(
    air_gapped: None, host: str, options: dict[str, str | tuple[str, ...]], variables: dict[str, str]
) -> None:
    os.environ |= {"CRA_AIR_GAPPED_HOSTS": '["db.inside"]', **variables}
    refuse_database(host, options)


@pytest.mark.parametrize(
    ("host", "options", "variables"),
    [
        ("db.example", {}, {}),
        ("localhost,db.example", {}, {}),
        ("localhost", {"host": "db.example"}, {}),
        ("", {"host": ("127.0.0.1", "db.example")}, {}),
        ("localhost", {"hostaddr": "10.1.1.1"}, {}),
        ("", {}, {"PGHOST": "db.example"}),
        ("localhost", {}, {"PGHOSTADDR": "10.1.1.1"}),
        ("", {"service": "far"}, {}),
        ("localhost", {}, {"PGSERVICE": "far"}),
    ],
)
def test_databases_of_other_machines(
    air_gapped: None, host: str, options: dict[str, str | tuple[str, ...]], variables: dict[str, str]
) -> None:
    os.environ |= variables
    with pytest.raises(AirGapError):
        refuse_database(host, options)


def test_a_training_elsewhere_sets_the_same_variables() -> None:
    own = {name: value for name, value in OFFLINE.items() if not name.startswith("PYTHON")}
    of_training = ("DO_NOT_TRACK", "HF_", "PIP_", "TRANSFORMERS_", "UNSLOTH_")
    assert own == {name: value for name, value in TELEMETRY.items() if name.startswith(of_training)}
