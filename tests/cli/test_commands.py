"""`cra` as a user types it: what it prints, and how it ends when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from harness.packages.sample import build_sample
from tests.support.commands import invoke as cra


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['cra', '--help']\nfrom cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'prefect', 'sqlalchemy', 'pydantic', 'pydriller', 'torch', 'tree_sitter'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "campaign" in done.stdout


def test_the_installed_program_ends_a_mistake_in_one_line(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "cra"
    done = subprocess.run([program, "mine", "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and "nowhere does not exist" in done.stderr
    assert done.stderr.count("\n") == 1


def test_mine_counts_every_commit_of_the_sample(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    done = cra("mine", sample, "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    funnel = found["funnel"]
    assert funnel["total"] == funnel["kept"] + funnel["needs_message"] + sum(funnel["dropped"].values()) == 21
    assert set(funnel["dropped"]) == {
        "root", "merge", "automated", "version-bump", "docs-only", "ci-only", "no-code", "binary", "too-many-files",
        "too-many-lines",
    }  # fmt: skip
    assert {commit["subject"] for commit in found["needs_message"]} == {"wip", "Typo"}


def test_config_show_names_the_source_of_each_value(tmp_path: Path) -> None:
    (tmp_path / "cra.toml").write_text("concurrency = 3\n[limits]\nprocesses = 99\n")
    shown = json.loads(cra("config", "show", "--json", cwd=tmp_path, CRA_LIMITS__WALL_SECONDS="7").stdout)
    assert shown["concurrency"] == {"value": 3, "source": str(tmp_path / "cra.toml")}
    assert shown["limits.processes"]["source"] == str(tmp_path / "cra.toml")
    assert shown["limits.wall_seconds"] == {"value": 7.0, "source": "CRA_LIMITS__WALL_SECONDS"}
    assert shown["sandbox"]["source"] == "default"


def test_config_show_hides_passwords(tmp_path: Path) -> None:
    url = "postgresql://me:secret@localhost/x"
    for arguments in ("show",), ("show", "--json"):
        done = cra("config", *arguments, cwd=tmp_path, CRA_RAW_DATABASE=url)
        assert "secret" not in done.stdout
        assert "postgresql://me:***@localhost/x" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("mine", "nowhere"), 2, "nowhere does not exist"),
        (("mine", "."), 2, "is no git repository"),
        (("corpus", "show", "."), 2, "is no repo package"),
        (("campaign", ".", "--planner", "gold"), 2, "is no repo package"),
        (("report", "never"), 2, "never"),
        (("trace", "abc"), 2, "abc"),
        (("export", "never"), 2, "never"),
        (("sandbox", "run", "--sandbox", "open", "--", "true"), 2, "open"),
        (("prepare", "nowhere", "--sandbox", "open"), 2, "open is unknown"),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = cra(*arguments, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert says in line


@pytest.mark.parametrize(
    ("text", "variables", "says"),
    [
        ("concurrency = 0", {}, "concurrency"),
        ("no_such_setting = 1", {}, "no_such_setting"),
        ("this is not toml", {}, "cra.toml"),
        ("", {"CRA_LIMITS__PROCESSES": "many"}, "CRA_LIMITS__PROCESSES"),
        ("", {"CRA_BOGUS": "1"}, "unknown setting CRA_BOGUS"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, text: str, variables: dict[str, str], says: str) -> None:
    (tmp_path / "cra.toml").write_text(text)
    done = cra("config", "show", cwd=tmp_path, **variables)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_sandbox_takes_its_limits_from_the_settings(tmp_path: Path) -> None:
    done = cra("sandbox", "run", "--", "sleep", "20", cwd=tmp_path, CRA_LIMITS__WALL_SECONDS="0.5")
    assert done.returncode == 124
    done = cra("sandbox", "run", "--timeout", "60", "--", "sleep", "1", cwd=tmp_path, CRA_LIMITS__WALL_SECONDS="0.5")
    assert done.returncode == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = cra("prepare", build_sample(tmp_path / "spans"), "--out", "file/x", cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "file/x cannot be made" in done.stderr.replace("\n", "")


def test_an_empty_and_a_shallow_repository_are_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    assert "no commits" in cra("mine", "empty", cwd=tmp_path).stderr
    sample = build_sample(tmp_path / "spans")
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{sample}", str(tmp_path / "shallow")], check=True)
    assert "shallow" in cra("mine", "shallow", cwd=tmp_path).stderr


def test_a_hostile_configuration_beside_the_history_runs_nothing(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    subprocess.run(["git", "clone", "-q", str(sample), str(tmp_path / "hostile")], check=True)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    config = tmp_path / "hostile" / ".git" / "config"
    config.write_text(
        config.read_text()
        + f"[core]\n\tfsmonitor = {trap}\n\tsshCommand = {trap}\n\tpager = {trap}\n\thooksPath = {tmp_path}\n"
        + f"[diff]\n\texternal = {trap}\n[uploadpack]\n\tpackObjectsHook = {trap}\n"
    )
    assert cra("mine", "hostile", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "sprung").exists()


def test_every_command_has_help() -> None:
    for command in ("demo", "mine", "prepare", "corpus", "campaign", "report", "trace", "export", "import", "sandbox"):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
