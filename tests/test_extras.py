"""Installing what an extra brings never removes what another one brought, if one follows what we say."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WRITTEN = [
    path
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("*/**/*.md"), *ROOT.glob("*/**/*.py")])
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1]) and path != Path(__file__)
]
COMMAND = re.compile(r"\buv sync((?: --?[a-z][\w-]*(?: [a-z]\w*)?)*)")
COMMANDS = [
    (path.relative_to(ROOT), found[0])
    for path in WRITTEN
    for found in COMMAND.finditer(path.read_text(encoding="utf-8"))
    if "--project" not in found[0].split()  # of another environment
]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_the_commands_are_found() -> None:
    assert {Path("README.md"), Path("docs/prefect.md"), Path("llm/embedded.py")} <= {path for path, _ in COMMANDS}


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=str)
def test_every_command_that_we_name_keeps_what_is_installed(path: Path, command: str) -> None:
    assert "--inexact" in command.split(), f"{path} names a command that removes extras"
    assert set(re.findall(r"--extra (\w+)", command)) <= set(EXTRAS)


@pytest.mark.parametrize("command", sorted({command for _, command in COMMANDS}))
def test_such_a_command_would_remove_nothing(command: str) -> None:
    done = subprocess.run(
        [*command.split(), "--locked", "--dry-run"],
        cwd=ROOT,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    removed, added = (set(re.findall(rf"^ \{sign} ([\w.-]+)==", done.stderr, re.MULTILINE)) for sign in "-+")
    assert removed <= added, "what is replaced comes back in another version"
