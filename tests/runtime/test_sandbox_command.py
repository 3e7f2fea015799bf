"""`cra sandbox`, and what it says where there is no isolation to be had."""

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.sandbox.remedies import remedy
from tests.support.commands import Result, invoke


def cra_sandbox(*arguments: str | Path) -> Result:
    return invoke("sandbox", *arguments, cwd=Path.cwd())


def test_output_and_exit_code_come_through_unchanged():
    command = [Path(sys.executable).parent / "cra", "sandbox", "run", "--", "sh", "-c", r"printf 'a\r\n\377'; exit 7"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"a\r\n\xff", b"")


def test_options_after_the_command_belong_to_the_command(tmp_path):
    (tmp_path / "file").write_text("text")
    done = cra_sandbox("run", "--workdir", str(tmp_path), "cat", "--number", "file")
    assert (done.returncode, done.stdout) == (0, "     1\ttext")


def test_the_default_work_directory_is_empty():
    assert cra_sandbox("run", "--", "ls", "-A").stdout == ""


@pytest.mark.parametrize(
    ("options", "script", "code", "reason"),
    [
        (["--timeout", "0.5"], "sleep 60", 124, "timeout"),
        (
            ["--memory", "100"],
            "x=$(head -c 400000000 /dev/zero | tr '\\0' x); sleep 60",
            137,
            "memory-limit",
        ),
    ],
)
def test_a_killed_command_has_its_own_code_and_reason(options, script, code, reason):
    done = cra_sandbox("run", *options, "--", "sh", "-c", script)
    assert done.returncode == code
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_check_lists_what_holds():
    done = cra_sandbox("check")
    assert done.returncode == 0
    assert "cannot read the host's files" in done.stdout


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        ({"proc/sys/kernel/unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone=1"),
        ({"proc/sys/user/max_user_namespaces": "0"}, "user.max_user_namespaces=10000"),
        ({"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "profile cra-bwrap /opt/bwrap "),
        ({".dockerenv": ""}, "--security-opt systempaths=unconfined"),
        ({}, "CONFIG_USER_NS"),
    ],
)
def test_the_remedy_fits_what_is_found(tmp_path, files, advice):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    said = remedy(Path("/opt/bwrap"), tmp_path)
    assert advice in said
    assert "--sandbox=none" in said
