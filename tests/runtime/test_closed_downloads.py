"""Downloads in air-gapped mode: each is refused before a program is started for it; what is there is used."""

from datetime import date
from pathlib import Path

import pytest

from exchange.lock import fetch_wheels as fetch_wheels_of_a_pack
from models.errors import AirGapError
from models.manifest import Environment
from runtime.environments import fetch_wheels, installed_interpreters
from runtime.environments.node.npm import install
from runtime.environments.node.release import fetch_release
from runtime.environments.resolve import lock
from tests.support.air_gapped import air_gapped
from tests.support.projects import project
from tests.support.wheels import digest, make_wheel


def of_one_wheel(wheel: Path) -> Environment:
    interpreter = installed_interpreters()[0]
    text = f"thing==1.0 \\\n    --hash=sha256:{digest(wheel)}\n"
    return Environment(
        key="k", python=interpreter.version, abi=interpreter.abi, requires=(), cutoff="2024-01-01", lock=text, wheels=()
    )


def test_wheels_that_are_there_are_used_and_no_others_fetched(tmp_path: Path) -> None:
    interpreter = installed_interpreters()[0]
    wheel = make_wheel(tmp_path / "packages", "thing", "1.0", {"thing.py": ""})
    environment = of_one_wheel(wheel)
    with air_gapped(tmp_path):
        assert fetch_wheels(environment, interpreter, tmp_path / "packages") == {wheel.name: digest(wheel)}
        with pytest.raises(AirGapError, match=r"1 wheels \(thing==1\.0\).*cra package repository"):
            fetch_wheels(environment, interpreter, tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_nothing_is_resolved(tmp_path: Path) -> None:
    wanted = project({"pyproject.toml": '[project]\nname = "thing"\nversion = "1"\ndependencies = ["attrs"]\n'})
    with air_gapped(tmp_path), pytest.raises(AirGapError, match="requirements of thing"):
        lock(wanted, installed_interpreters()[0], date(2024, 1, 1))


def test_neither_node_nor_what_npm_installs_is_fetched(tmp_path: Path) -> None:
    with air_gapped(tmp_path):
        with pytest.raises(AirGapError, match=r"Node\.js 20"):
            fetch_release([20], tmp_path / "wheels")
        with pytest.raises(AirGapError, match="npm"):
            install(tmp_path / "node", [{"name": "thing"}], "", None, tmp_path / "npm", {})


def test_a_pack_gets_no_wheels(tmp_path: Path) -> None:
    with air_gapped(tmp_path), pytest.raises(AirGapError, match="air_gapped"):
        fetch_wheels_of_a_pack(tmp_path / "requirements.txt", tmp_path / "folder")
